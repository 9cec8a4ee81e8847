"""Files of recorders: their epochs in .npz."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.archives import UNREADABLE, read_npz
from gexcore.backend.files import write_whole
from gexcore.errors import InvalidDataError
from gexcore.scores.batch import CURVES, Curve


class Recorded(NamedTuple):
    """The content of a file.

    Parameters
    ----------
    numbers : integer array, shape (epochs,)
    labels : integer array, shape (samples,)
        Labels; −1 if not known.
    curves : dict of arrays, shape (epochs, samples)
    """

    numbers: NDArray[np.intp]
    labels: NDArray[np.intp]
    curves: dict[Curve, NDArray[np.float32]]


def write_recorded(path: Path, recorded: Recorded) -> None:
    """Write a file whole or not at all, over an older one."""
    write_whole(
        path,
        lambda file: np.savez_compressed(
            file,
            allow_pickle=False,
            epochs=recorded.numbers,
            labels=recorded.labels,
            **recorded.curves,
        ),
    )


def read_recorded(path: Path) -> Recorded:
    """The content that `write_recorded` wrote.

    Raises
    ------
    InvalidDataError
        If the file is any other file.
    """
    try:
        file = read_npz(path, ("epochs", "labels", *CURVES))
        numbers, labels = file["epochs"].astype(np.intp), file["labels"].astype(np.intp)
        shape = (len(numbers), len(labels))
        curves = {name: file[name].reshape(shape).astype(np.float32) for name in CURVES}
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise InvalidDataError(
            f"{path} was not written by Recorder.save; name a file that was"
        ) from error
    return Recorded(numbers, labels, curves)
