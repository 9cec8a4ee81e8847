"""Audits: the content of a report, from scores in memory or from a finished folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.cuts import Threshold
from gexcore.errors import InvalidDataError
from gexcore.report.finished import read_finished


@dataclass(frozen=True)
class Audit:
    """Scores of a training set, and the record of their run.

    Parameters
    ----------
    suspicion : array, shape (samples,)
        Finite scores, by which the page ranks. Negative scores are shifted to start at zero. A
        method without suspicion gives its self-influence.
    standard_error, self_influence : array, shape (samples,)
        Further scores. NaN if unknown.
    suspect : boolean array, shape (samples,)
        Mask of samples above the threshold. All false if it was refused.
    labels, suggested : integer array, shape (samples,), or None
        Given and suggested classes.
    threshold : Threshold
    run : mapping
        Content of `run.json`.
    """

    suspicion: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    self_influence: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    labels: NDArray[np.intp] | None
    suggested: NDArray[np.intp] | None
    threshold: Threshold
    run: Mapping[str, Any]

    @classmethod
    def of(
        cls, columns: Mapping[str, NDArray[Any]], threshold: Threshold, run: Mapping[str, Any]
    ) -> Self:
        """The audit of a fit, from its columns, threshold and record.

        Raises
        ------
        InvalidDataError
            If a sample has no finite score.
        """
        suspicion = np.asarray(columns[score_of(columns)], dtype=np.float64)
        # negative suspicion comes from a margin; negative self-influence counts as zero
        suspicion = (
            suspicion - min(0.0, suspicion.min())
            if "suspicion" in columns
            else np.maximum(suspicion, 0.0)
        )
        unknown = np.full(len(suspicion), np.nan)
        if not np.isfinite(suspicion).all():
            position = int(np.argmin(np.isfinite(suspicion)))
            raise InvalidDataError(
                f"sample {position} has no finite {score_of(columns).replace('_', '-')}; a "
                "report ranks by it: score the data anew"
            )
        return cls(
            suspicion,
            np.asarray(columns.get("standard_error", unknown), dtype=np.float64),
            np.asarray(columns.get("self_influence", unknown), dtype=np.float64),
            np.asarray(columns["suspect"], dtype=bool),
            _classes(columns["label"]),
            _classes(columns["suggested_label"]) if "suggested_label" in columns else None,
            threshold,
            run,
        )

    def __len__(self) -> int:
        return len(self.suspicion)

    @property
    def names(self) -> list[Any] | None:
        """Names of the classes, where the run knows them."""
        return self.run.get("class_names")

    def ranking(self) -> NDArray[np.intp]:
        """Positions of the samples, most suspicious first. Ties keep the data's order."""
        return np.argsort(-self.suspicion, kind="stable")

    def cut(self) -> float | None:
        """The suspicion with as many samples above it as there are suspects, or None.

        The threshold may be found on losses with a lower clip than the ranking. A few samples
        near it may have another order there.
        """
        count = int(self.suspect.sum())
        if not count:
            return None
        ordered = np.append(np.sort(self.suspicion)[::-1], 0.0)
        return float((ordered[count - 1] + ordered[count]) / 2)


def read_audit(folder: Path) -> Audit:
    """The audit of a finished folder.

    Raises
    ------
    InvalidDataError
        If the folder is not finished, or its files were changed.
    """
    run, columns = read_finished(folder)
    stored = run["threshold"]
    threshold = Threshold(**{**stored, "withheld": tuple(stored.get("withheld", ()))})
    return Audit.of(columns, threshold, run)


def score_of(columns: Mapping[str, Any]) -> str:
    """The column by which a page ranks."""
    return "suspicion" if "suspicion" in columns else "self_influence"


def _classes(column: NDArray[Any]) -> NDArray[np.intp] | None:
    return None if len(column) and column[0] is None else np.asarray(column, dtype=np.intp)
