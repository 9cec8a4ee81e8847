"""`gexcore report`: a finished run as one HTML page."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.files import data_digest, data_paths, read_samples
from gexcore.cli.reading import Reading, add_reading, reading_of, size
from gexcore.cli.text import add_json, print_json
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.report import LIMIT, check_target, write_report
from gexcore.report.audit import read_audit
from gexcore.report.related import read_related

DESCRIPTION = (
    "Writes one self-contained page from the folder of a finished `gexcore score`: the ranked "
    "samples, a threshold to move, the classes they are confused with, and marks to review them "
    "by, which the page exports as CSV or JSON."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="the folder that `gexcore score` wrote"
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="samples to show, in the order of the scores (default: the data that was scored, if "
        "it is still there): as for `gexcore score`, or a .txt file with one sample per line",
    )
    parser.add_argument(
        "--image",
        metavar="HxW",
        type=size,
        help="show rows of numbers as pictures of this size: 28x28",
    )
    add_reading(parser)
    parser.add_argument("--scores-only", action="store_true", help="leave the samples out")
    parser.add_argument(
        "--class-names", metavar="A,B,C", type=_names, help="names of the classes, in their order"
    )
    parser.add_argument("--title", metavar="TEXT", help="heading of the page")
    parser.add_argument(
        "--limit", metavar="N", type=int, default=LIMIT, help=f"samples to list (default: {LIMIT})"
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="(default: DIR/report.html)")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Read the run and write the page."""
    audit = read_audit(args.folder)
    out = args.out or args.folder / "report.html"
    check_target(out, force=args.force)
    data, remarks = (None, []) if args.scores_only else _samples(args, audit.run)
    write_report(
        audit,
        out,
        data=data,
        class_names=args.class_names,
        title=args.title,
        limit=args.limit,
        force=args.force,
        remarks=remarks,
        related=read_related(args.folder, audit.run, len(audit)),
    )
    if args.json:
        print_json({"samples": len(audit), "out": str(out)})
    else:
        print(f"{len(audit)} samples reported in {out}")
    if args.open:
        _show(out)


def _show(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.absolute().as_uri()):
        print(f"gexcore: no browser was found; open {page} by hand", file=sys.stderr)


def _samples(
    args: argparse.Namespace, run: Mapping[str, Any]
) -> tuple[list[Any] | NDArray[Any] | None, list[str]]:
    """Samples to show, if they can be found, and remarks for the page."""
    command = run.get("command", {})
    if args.data is None:
        paths = [Path(path) for path in run.get("data", [])]
        if not paths or not all(path.exists() for path in paths) or not _is_scored(paths, command):
            told = "The samples are not shown: the data is not any more where it was scored."
            return None, [told] if paths else []
    else:
        paths = data_paths(args.data)
    told = "The samples are not read from what was scored, and are matched by their position."
    remarks = [] if _is_scored(paths, command) else [told]
    if len(paths) == 1 and paths[0].suffix.lower() == ".txt":
        return _lines(paths[0]), remarks
    reading = reading_of(args)
    if reading == Reading():
        reading = Reading.of(command.get("reading", {}))
    samples = read_samples(paths, reading)
    if samples.frame is not None:
        hidden = {reading.label}
        columns = [reading.text] if reading.text else list(reading.columns)
        frame = samples.frame[columns or [n for n in samples.frame.columns if n not in hidden]]
        if args.image is None:
            return frame.to_dict("records"), remarks
    x = np.asarray(samples.given_to(None).x)
    if samples.pictures:
        x = np.rint(255 * x).astype(np.uint8)
    return (x if args.image is None else _as_pictures(x, *args.image)), remarks


def _is_scored(paths: list[Path], command: Mapping[str, Any]) -> bool:
    return [data_digest(path) for path in paths] == command.get("data")


def _as_pictures(x: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    if x[0].size != height * width:
        msg = (
            f"a sample has {x[0].size} numbers, and --image {height}x{width} asks for "
            f"{height * width}"
        )
        raise InvalidSettingError(msg)
    return x.reshape(len(x), height, width)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidDataError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}); convert it"
        ) from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
