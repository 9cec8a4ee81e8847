"""A reviewer's marks, read from the page's file and applied to labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions.clean import Cleaned
from gexcore.errors import InvalidDataError

KINDS = ("wrong", "fine", "unsure")
"""Marks that a reviewer can give."""

SHOWN = 20
"""Names of classes that an error lists."""

UNKNOWN = -1
"""The new label of a sample to which the reviewer gave none."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What a reviewer said of some samples.

    Parameters
    ----------
    wrong : integer array
        Positions whose label is wrong, ascending.
    labels : integer array, shape of `wrong`
        The right class of each, or −1 where the reviewer gave none.
    fine : integer array
        Positions whose label stays, ascending: those marked fine or unsure.
    """

    wrong: NDArray[np.intp]
    labels: NDArray[np.intp]
    fine: NDArray[np.intp]

    def chosen(self, suspects: NDArray[np.intp]) -> NDArray[np.intp]:
        """The positions that need a suggestion, ascending.

        These are the suspects and the wrong labels, without those that stay and those to which
        the reviewer gave a label.
        """
        settled = np.union1d(self.fine, self.wrong[self.labels != UNKNOWN])
        return np.setdiff1d(np.union1d(suspects, self.wrong), settled)

    def applied(self, cleaned: Cleaned, given: NDArray[np.intp]) -> Cleaned:
        """The cleaned labels with the reviewer's in their places: a mark beats a suggestion.

        Parameters
        ----------
        cleaned : Cleaned
            The treatment of `chosen`.
        given : integer array, shape (samples,)
            The labels before.
        """
        known = self.labels != UNKNOWN
        places, labels = self.wrong[known], self.labels[known]
        indices = np.union1d(cleaned.indices, places)
        targets = np.empty((len(indices), *cleaned.targets.shape[1:]), cleaned.targets.dtype)
        targets[np.searchsorted(indices, cleaned.indices)] = cleaned.targets
        rows = np.searchsorted(indices, places)
        targets[rows] = labels if targets.ndim == 1 else np.eye(targets.shape[1])[labels]
        same = places[labels == given[places]]
        changed = np.setdiff1d(np.union1d(cleaned.changed, places), same)
        return Cleaned(indices, targets, changed, cleaned.method)


def read_marks(
    path: str | Path, given: NDArray[np.intp], classes: int, *, names: Sequence[Any] | None = None
) -> Marks:
    """Read the file ``marks.csv`` that the page exports, or that was written by hand.

    A label is the number of a class. A text that is no number is the name of a class.

    Parameters
    ----------
    path : str or Path
    given : integer array, shape (samples,)
        The labels of the data that was reviewed.
    classes : int
        Number of classes K.
    names : sequence of K names, optional
        Names of the classes, for labels that are names.

    Raises
    ------
    InvalidDataError
        For a file that cannot be read, or that is about other data.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gexcore.decisions.marks import read_marks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "marks.csv")
    ...     _ = path.write_text("index,label,mark,new_label\\n2,0,wrong,1\\n")
    ...     found = read_marks(path, np.array([1, 1, 0]), classes=2)
    >>> found.wrong, found.labels
    (array([2]), array([1]))
    """
    rows: dict[int, tuple[str, int]] = {}
    codes = {str(name): code for code, name in enumerate(() if names is None else names)}
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(_rows(file), start=2):
                index, mark, label = _row(row, number, given, classes, codes)
                if index in rows:
                    raise InvalidDataError(f"line {number} of the marks repeats sample {index}")
                rows[index] = mark, label
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        told = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InvalidDataError(
            f"{path} cannot be read as marks ({told}); give the marks.csv that the page exports"
        ) from error
    wrong = sorted(index for index, (mark, _) in rows.items() if mark == "wrong")
    fine = sorted(index for index, (mark, _) in rows.items() if mark != "wrong")
    return Marks(
        np.array(wrong, np.intp),
        np.array([rows[index][1] for index in wrong], np.intp),
        np.array(fine, np.intp),
    )


def _rows(file: Iterator[str]) -> Iterator[Mapping[str, str | None]]:
    reader = csv.DictReader(file, strict=True)
    if not {"index", "mark"} <= set(reader.fieldnames or ()):
        raise csv.Error("no columns index and mark")
    yield from reader


def _row(
    row: Mapping[str, str | None],
    number: int,
    given: NDArray[np.intp],
    classes: int,
    codes: Mapping[str, int],
) -> tuple[int, str, int]:
    index = _whole(row.get("index"), number, "index", len(given), {})
    mark = row.get("mark")
    if mark not in KINDS:
        allowed = ", ".join(KINDS)
        raise InvalidDataError(f"line {number} of the marks has {mark!r}; allowed are {allowed}")
    if row.get("label") and _whole(row["label"], number, "label", classes, codes) != given[index]:
        raise InvalidDataError(
            f"line {number} of the marks has another label for sample {index} than the data; give "
            "the marks of this data"
        )
    new = row.get("new_label")
    label = _whole(new, number, "new_label", classes, codes) if new else UNKNOWN
    return index, mark, label


def _whole(text: str | None, number: int, name: str, count: int, codes: Mapping[str, int]) -> int:
    text = text or ""
    if text.isdecimal() and int(text) < count:
        return int(text)
    if text in codes and not text.isdecimal():  # the page writes numbers, never such a name
        return codes[text]
    shown = ", ".join(list(codes)[:SHOWN]) + (", …" if len(codes) > SHOWN else "")
    raise InvalidDataError(
        f"line {number} of the marks has {name} {text!r}, and needs a whole number from 0 to "
        f"{count - 1}" + (f", or one of the names {shown}" if codes else "")
    )
