"""Readers of the real datasets; the user has the files, nothing is downloaded."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Noisy(NamedTuple):
    """A dataset whose wrong labels are known.

    Parameters
    ----------
    x : array, shape (samples, …)
    labels : integer array, shape (samples,)
        As a user would have them: some are wrong.
    wrong : boolean array, shape (samples,)
    classes : int
    """

    x: NDArray[np.generic]
    labels: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    classes: int


def flip(
    labels: NDArray[np.int64], classes: int, rate: float, seed: int, *, pair: bool = False
) -> NDArray[np.int64]:
    """The labels with exactly this share moved to another class, uniformly, or each to the next
    class (pair)."""
    rng = np.random.default_rng([seed, 1])
    chosen = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    noisy = labels.copy()
    noisy[chosen] = (
        labels[chosen] + (1 if pair else rng.integers(1, classes, len(chosen)))
    ) % classes
    return noisy


def mnist(folder: Path, seed: int, *, rate: float = 0.1, pair: bool = False) -> Noisy:
    """10,000 digits (the t10k files), NCHW in [0, 1]."""
    images, labels = (
        gzip.decompress((folder / f"mnist/t10k-{name}-ubyte.gz").read_bytes())
        for name in ("images-idx3", "labels-idx1")
    )
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    clean = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    noisy = flip(clean, 10, rate, seed, pair=pair)
    return Noisy(x, noisy, noisy != clean, 10)


def cifar(
    folder: Path,
    seed: int,
    *,
    labels: str = "flipped",
    size: int = 5000,
    rate: float = 0.1,
    pair: bool = False,
) -> Noisy:
    """A random part of a CIFAR-10N file, NCHW, with human labels ("aggre", "worse") or flipped
    ones."""
    stored = np.load(folder / "cifar10n/cifar10n_train_12000.npz")
    part = np.sort(np.random.default_rng([seed, 2]).choice(12000, size, replace=False))
    clean = stored["clean_label"][part]
    noisy = (
        flip(clean, 10, rate, seed, pair=pair)
        if labels == "flipped"
        else stored[f"{labels}_label"][part]
    )
    x = (stored["images"][part].transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.25
    return Noisy(np.ascontiguousarray(x), noisy, noisy != clean, 10)


def questions(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """The training questions of TREC and their classes."""
    lines = gzip.decompress((folder / "text/trec.tsv.gz").read_bytes()).decode().splitlines()[1:]
    rows = [row for row in (line.split("\t") for line in lines) if row[0] == "train"]
    _, classes = np.unique([row[1] for row in rows], return_inverse=True)
    return [row[3] for row in rows], classes.astype(np.int64)


def trec(
    folder: Path,
    seed: int,
    *,
    rate: float = 0.1,
    pair: bool = False,
    length: int = 24,
    vocabulary: int = 6000,
) -> Noisy:
    """TREC questions with 6 classes, as token numbers; 0 is padding, 1 an unknown token."""
    texts, clean = questions(folder)
    tokens = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    known = {
        t: i + 2
        for i, (t, _) in enumerate(Counter(t for ts in tokens for t in ts).most_common(vocabulary))
    }
    x = np.zeros((len(texts), length), np.int64)
    for row, ts in zip(x, tokens, strict=True):
        numbers = [known.get(t, 1) for t in ts[:length]]
        row[: len(numbers)] = numbers
    noisy = flip(clean, 6, rate, seed, pair=pair)
    return Noisy(x, noisy, noisy != clean, 6)
