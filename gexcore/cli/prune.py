"""`gexcore prune`: a smaller dataset."""

from __future__ import annotations

import argparse

import numpy as np

from gexcore.cli.clean import add_output, deliver
from gexcore.cli.scored_folder import Scored, add_scored, open_scored
from gexcore.decisions.clean import Cleaned
from gexcore.decisions.prune import prune
from gexcore.errors import InvalidDataError

DESCRIPTION = (
    "Writes a new file with the samples of highest self-influence, in exact number. Wrong labels "
    "have a high self-influence as well: clean the data first. The data itself is never touched."
)
SCORES = ("self_influence", "suspicion")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_scored(parser)
    parser.add_argument(
        "--keep", metavar="FRACTION", type=float, required=True, help="share of the samples to keep"
    )
    parser.add_argument("--by", choices=SCORES, default=SCORES[0], help=f"(default: {SCORES[0]})")
    parser.add_argument("--class-quota", action="store_true", help="keep that share of every class")
    add_output(parser)


def run(args: argparse.Namespace) -> None:
    """Choose, print and write the pruned data."""
    scored = open_scored(args)
    deliver(pruned(scored, args.keep, by=args.by, class_quota=args.class_quota), scored, args)


def pruned(
    scored: Scored, keep: float, *, by: str = SCORES[0], class_quota: bool = False
) -> Cleaned:
    """The share of the data with the highest scores.

    Raises
    ------
    InvalidDataError
        If some samples have no such score.
    InvalidSettingError
        If the share keeps nothing, or a class would vanish.
    """
    scores, y = getattr(scored.audit, by), scored.samples.y
    missing = int(np.isnan(scores).sum())
    if missing:
        raise InvalidDataError(
            f"{missing} samples of {scored.folder} have no {by}, and pruning ranks by it; "
            "score them again"
        )
    kept = prune(scores, keep, labels=scored.audit.labels, class_quota=class_quota)
    return Cleaned(
        kept,
        y[kept] if scored.audit.labels is None else scored.audit.labels[kept],
        np.setdiff1d(np.arange(len(y)), kept),
        "prune",
    )
