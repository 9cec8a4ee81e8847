"""`gexcore clean`: a scored dataset without its wrong labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gexcore.cli.cleaned import writer
from gexcore.cli.scored_folder import Scored, add_rate, add_scored, open_scored
from gexcore.cli.text import add_json, print_json
from gexcore.decisions.clean import RELABELLINGS, Cleaned, clean
from gexcore.decisions.marks import read_marks
from gexcore.outputs.diff import diff

if TYPE_CHECKING:
    pass

DESCRIPTION = (
    "Writes a new file with the data that `gexcore score` scored, its suspects relabelled or left "
    "out, and says what changed. The data itself is never touched."
)


NOBODY = np.empty(0, np.intp)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_scored(parser)
    treatment = parser.add_mutually_exclusive_group(required=True)
    treatment.add_argument(
        "--drop", action="store_const", const="drop", dest="method", help="leave the suspects out"
    )
    treatment.add_argument(
        "--relabel",
        nargs="?",
        const=RELABELLINGS[0],
        choices=RELABELLINGS,
        dest="method",
        help="give them new labels: the members' most probable class, leaving out those for which "
        f"that is the given one (default: {RELABELLINGS[0]}), or another method's",
    )
    add_output(parser)
    add_rate(parser)
    parser.add_argument(
        "--marks",
        metavar="FILE",
        type=Path,
        help="the marks.csv of a review: a mark beats the suggestion",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the output."""
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        type=Path,
        help="a new file: .npz (x, y and the positions as index), and for tables .csv, .tsv, "
        ".parquet or .jsonl, with the columns as they came; for pictures and for a Hugging Face "
        "dataset also a new folder",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Choose, print and write the cleaned data."""
    scored = open_scored(args)
    labels = scored.labels
    if args.marks is None:
        suspects = scored.suspects(args.rate)
        predictions = None if args.method == "drop" else scored.predictions(suspects)
        deliver(clean(labels, suspects, args.method, predictions), scored, args)
        return
    marks = read_marks(args.marks, labels, scored.classes, names=scored.audit.names)
    found = scored.suspects(args.rate) if args.rate or scored.audit.suspect.any() else NOBODY
    suspects = marks.chosen(found)
    predictions = None if args.method == "drop" else scored.predictions(suspects)
    deliver(marks.applied(clean(labels, suspects, args.method, predictions), labels), scored, args)


def deliver(cleaned: Cleaned, scored: Scored, args: argparse.Namespace) -> None:
    """Print the changes, and write them unless this is a dry run."""
    audit, write = scored.audit, writer(scored, cleaned, args.out)
    if not args.json:
        print(diff(cleaned, audit.labels, names=audit.names))
    if not args.dry_run:
        write()
    if args.json:
        print_json(told(cleaned, scored, None if args.dry_run else args.out))
    elif args.dry_run:
        print(f"nothing is written: without --dry-run it goes to {args.out}")
    else:
        print(f"written to {args.out}: {len(cleaned)} samples")


def told(cleaned: Cleaned, scored: Scored, out: Path | None) -> dict[str, Any]:
    """The changes, for `--json`: one row for each sample that was relabelled or left out."""
    given, names = scored.audit.labels, scored.audit.names
    rows = dict(zip(cleaned.indices.tolist(), cleaned.targets, strict=True))

    def name(code: Any) -> Any:
        return code if names is None or np.ndim(code) else names[int(code)]

    changes = [
        {
            "index": i,
            "given": None if given is None else name(given[i]),
            "new": np.asarray(name(rows[i])).tolist() if i in rows else None,
        }
        for i in cleaned.changed.tolist()
    ]
    return {
        "samples": len(scored.audit),
        "kept": len(cleaned),
        "method": cleaned.method,
        "changes": changes,
        "out": out and str(out),
    }
