"""Tables and sentences in plain text."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.cli.output import plain
from gexcore.influence.check import Finding
from gexcore.report.audit import score_of

TOLD = 10


def add_json(parser: argparse._ActionsContainer) -> None:
    """Add the flag that asks for JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object. Numbers that are not finite are null."""
    print(json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False))


def aligned(rows: Sequence[Sequence[str]], *, indent: str = "", right: bool = True) -> str:
    """Rows in columns, two spaces apart; all columns but the first can be aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if i and right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def most_suspect(columns: Mapping[str, NDArray[Any]], *, true: NDArray[Any] | None = None) -> str:
    """The samples of highest suspicion, or of highest self-influence without suspicion.

    Parameters
    ----------
    columns : mapping
        Columns of a result.
    true : array, shape (samples,), optional
        Right labels, if they are known.
    """
    shown = {"index": columns["index"], "label": columns["label"]}
    if "suggested_label" in columns:
        shown["suggested"] = columns["suggested_label"]
    if true is not None:
        shown["true label"] = true
    score = score_of(columns)
    order = np.argsort(-columns[score], kind="stable")[:TOLD]
    errors = columns.get("standard_error", np.full(len(columns[score]), np.nan))
    scores = [_with_error(columns[score][i], errors[i]) for i in order]
    rows = [
        [_cell(column[i]) for column in shown.values()] + [told]
        for i, told in zip(order, scores, strict=True)
    ]
    return aligned([[*shown, score.replace("_", "-")], *rows], indent="  ")


def doubts(findings: Sequence[Finding]) -> str:
    """Findings of `LossInfluence.diagnose`, one line each; empty without findings."""
    return "".join(f"\nnote ({finding.name}): {finding.sentence}" for finding in findings)


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _with_error(score: float, error: float) -> str:
    return f"{score:.3f}" if math.isnan(error) else f"{score:.3f} ± {error:.3f}"
