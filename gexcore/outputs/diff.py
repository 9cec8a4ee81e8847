"""Differences that cleaning makes, in text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.clean import Cleaned

SHOWN = 10


def diff(
    cleaned: Cleaned, labels: Any, *, names: Sequence[Any] | None = None, shown: int = SHOWN
) -> str:
    """Counts, the most frequent changes, and the first changed samples.

    Parameters
    ----------
    cleaned : Cleaned
    labels : integer array, shape (samples,), or None
        Given classes, if targets are classes.
    names : sequence, optional
        Names of the classes 0 … K − 1. The default is these numbers.
    shown : int
        The most lines of each list.

    Examples
    --------
    >>> import numpy as np
    >>> from gexcore.decisions.clean import clean
    >>> from gexcore.outputs import diff
    >>> print(diff(clean(np.array([0, 1, 1, 0]), [2], "drop"), [0, 1, 1, 0]))
    4 samples: 1 left out, 0 relabelled, 3 as they were
    most frequent:
      1 → left out: 1
    by position:
      2: 1 → left out
    """
    samples = len(cleaned) + int((~np.isin(cleaned.changed, cleaned.indices)).sum())
    told = (lambda code: code) if names is None else names.__getitem__
    new = _new(cleaned, samples, told)
    changes = [
        (i, f"{new[i]}" if labels is None else f"{told(labels[i])} → {new[i]}")
        for i in cleaned.changed.tolist()
    ]
    left_out = samples - len(cleaned)
    lines = [
        f"{samples} samples: {left_out} left out, {len(changes) - left_out} relabelled, "
        f"{samples - len(changes)} as they were"
    ]
    if changes:
        counts = Counter(change for _, change in changes).most_common()
        lines += [
            "most frequent:",
            *_cut([f"  {change}: {count}" for change, count in counts], shown),
        ]
        lines += [
            "by position:",
            *_cut([f"  {position}: {change}" for position, change in changes], shown),
        ]
    return "\n".join(lines)


def _new(cleaned: Cleaned, samples: int, told: Callable[[int], Any]) -> NDArray[np.object_]:
    new = np.full(samples, "left out", dtype=object)
    if cleaned.targets.ndim == 1:
        new[cleaned.indices] = [told(target) for target in cleaned.targets.tolist()]
    else:
        new[cleaned.indices] = [f"mostly {told(int(row.argmax()))}" for row in cleaned.targets]
    return new


def _cut(lines: list[str], shown: int) -> list[str]:
    return lines if len(lines) <= shown else [*lines[:shown], f"  … and {len(lines) - shown} more"]
