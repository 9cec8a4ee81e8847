"""`gexcore clean`: a scored dataset without its wrong labels."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gexcore.cli.files import Columns
from gexcore.cli.scored_folder import Scored, add_rate, add_scored, open_scored
from gexcore.decisions.clean import RELABELLINGS, Cleaned, clean
from gexcore.decisions.marks import read_marks
from gexcore.decisions.targets import new_targets
from gexcore.outputs.diff import diff
from gexcore.outputs.tables import check_columns, write_columns

DESCRIPTION = (
    "Writes a new file with the data that `gexcore score` scored, its suspects relabelled or "
    "left out, "
    "and says what changed. The data itself is never touched."
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
        "that is the given "
        f"one (default: {RELABELLINGS[0]}), or another method's",
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
        help="a new .npz file (x, y and the positions as index); for tables also .csv or .parquet",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(args: argparse.Namespace) -> None:
    """Choose, print and write the cleaned data."""
    scored = open_scored(args)
    labels = scored.labels
    if args.marks is None:
        suspects = scored.suspects(args.rate)
        predictions = None if args.method == "drop" else scored.predictions(suspects)
        deliver(clean(labels, suspects, args.method, predictions), scored, args)
        return
    marks = read_marks(args.marks, labels, scored.classes)
    found = scored.suspects(args.rate) if args.rate or scored.audit.suspect.any() else NOBODY
    suspects = marks.chosen(found)
    predictions = None if args.method == "drop" else scored.predictions(suspects)
    deliver(marks.applied(clean(labels, suspects, args.method, predictions), labels), scored, args)


def deliver(cleaned: Cleaned, scored: Scored, args: argparse.Namespace) -> None:
    """Print the changes, and write them unless this is a dry run."""
    columns = cleaned_columns(scored, cleaned, table=args.out.suffix.lower() != ".npz")
    check_columns(args.out, columns)
    print(diff(cleaned, scored.audit.labels))
    if args.dry_run:
        print(f"nothing is written: without --dry-run it goes to {args.out}")
        return
    write_columns(args.out, columns)
    print(f"written to {args.out}: {len(cleaned)} samples")


def cleaned_columns(scored: Scored, cleaned: Cleaned, *, table: bool) -> Columns:
    """The kept samples with new targets: x, y and index, or the columns of a table.

    In a table, soft targets of a column ``label`` become the columns ``label_0``, ``label_1``, ….
    """
    kept, (x, y) = cleaned.indices, scored.data
    targets = new_targets(y, scored.audit.labels, cleaned)
    if not table:
        return {"x": x[kept], "y": targets, "index": kept}
    columns: Columns = {}
    for name, column in scored.columns.items():
        if name != (scored.label or "y"):
            columns[name] = column[kept]
        elif targets.ndim == 1:
            columns[name] = targets
        else:
            columns |= {f"{name}_{k}": targets[:, k] for k in range(targets.shape[1])}
    return columns
