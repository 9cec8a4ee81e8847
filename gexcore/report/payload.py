"""The data of the page's script: compact columns of all samples, and rows of listed samples."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.deviations.ranking import Top
from gexcore.errors import InvalidDataError
from gexcore.report.audit import Audit
from gexcore.report.samples import CONTROLS, Shown

STEPS = 120
NAME = 60
NO_CLASS = 0xFFFF


def payload(
    audit: Audit, listed: NDArray[np.intp], samples: Sequence[Shown], names: Sequence[str] | None
) -> dict[str, Any]:
    """Plain values for JSON. Columns of all samples are base64 of little-endian 16-bit integers."""
    cut = audit.cut()
    names = audit.names if names is None else names
    edges, found = grid(audit.suspicion, cut)
    return {
        "samples": len(audit),
        "classes": class_names(audit, names),
        "named": names is not None,
        "suggests": audit.suggested is not None,
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "found": found,
        "reason": "No threshold was found."
        if cut is None
        else f"Found at {cut:.3g}: {audit.threshold.reason}.",
        "bins": _packed(np.searchsorted(edges[1:-1], audit.suspicion, side="left")),
        "labels": _packed(_coded(audit.labels, len(audit))),
        "suggested": _packed(_coded(audit.suggested, len(audit))),
        "listed": {
            "position": listed.tolist(),
            "suspicion": _rounded(audit.suspicion[listed]),
            "error": _rounded(audit.standard_error[listed]),
            "selfInfluence": _rounded(audit.self_influence[listed]),
        },
        "shown": list(samples),
        "trace": [
            {
                name: _finite(snapshot.get(name))
                for name in ("chain", "number", "lr", "skill", "status")
            }
            for snapshot in audit.run.get("snapshots", {}).get("all", [])
        ],
    }


def near(listed: NDArray[np.intp], top: Top | None) -> list[list[list[int]]]:
    """Proponents and opponents of the first listed samples, without the samples themselves.

    Parameters
    ----------
    listed : integer array
        Positions of the listed samples.
    top : Top, optional
        The strongest of the first of them, one more than is shown.
    """
    if top is None:
        return []
    kinds = top.proponents, top.opponents
    return [
        [[j for j in found[row].tolist() if j != own][: found.shape[1] - 1] for found in kinds]
        for row, own in enumerate(listed[: len(top.proponents)].tolist())
    ]


def grid(
    suspicion: NDArray[np.float64], cut: float | None
) -> tuple[NDArray[np.float64], int | None]:
    """Edges of the histogram, and the number of the edge at the cut.

    Edges have equal steps of √suspicion, the scale of the search for the threshold. A score belongs
    to the bin whose upper edge it does not pass.
    """
    top = math.sqrt(max(0.0, float(suspicion.max()))) or 1.0
    if cut is None:
        return np.linspace(0.0, top, STEPS + 1) ** 2, None
    found = max(1, round(math.sqrt(cut) / top * STEPS))
    step = max(math.sqrt(cut) / found, top / (2 * STEPS))
    count = max(found, math.ceil(top / step))
    edges = np.linspace(0.0, count * step, count + 1) ** 2
    edges[found] = cut  # exact to the last bit, so that each sample above it counts above it
    return edges, found


def class_names(audit: Audit, names: Sequence[str] | None) -> list[str]:
    """One name per class. A long name is cut, with its length.

    Raises
    ------
    InvalidDataError
        If names and classes differ in number.
    """
    codes = [part for part in (audit.labels, audit.suggested) if part is not None and len(part)]
    count = max([audit.run.get("classes") or 0, *(int(part.max()) + 1 for part in codes)])
    if audit.labels is None:
        return []
    if count > NO_CLASS:
        raise InvalidDataError(
            f"there are {count} classes, and a page tells at most {NO_CLASS} apart; number the "
            "classes that occur from 0 up"
        )
    if names is not None and len(names) != count:
        raise InvalidDataError(
            f"{len(names)} class names for {count} classes; give one per class, in their order"
        )
    return [_brief_name(str(name)) for name in (range(count) if names is None else names)]


def _brief_name(name: str) -> str:
    cut = name if len(name) <= NAME else f"{name[:NAME]}… ({len(name):,} characters)"
    return cut.translate(CONTROLS)


def _coded(classes: NDArray[np.intp] | None, count: int) -> NDArray[np.intp]:
    return np.full(count, NO_CLASS) if classes is None else classes


def _packed(column: NDArray[Any]) -> str:
    return base64.b64encode(column.astype("<u2").tobytes()).decode()


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
