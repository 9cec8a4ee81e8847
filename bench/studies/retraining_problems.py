"""The problems of `retraining`: data, and networks as a user has them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from bench.studies.data import cifar, flip, questions
from bench.studies.models import resnet8


class Problem(NamedTuple):
    """Training and test samples, and how a network is trained on them."""

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.generic]
    wrong: NDArray[np.bool_]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.generic]
    sizes: tuple[int, ...]
    lr: float
    epochs: int
    decay: float = 0.0
    normalised: bool = False
    subsets: int = 40
    seeds: int = 2
    removals: tuple[int, int] = (20, 1)

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return "cross_entropy" if self.y.dtype.kind == "i" else "squared_error"

    @property
    def is_image(self) -> bool:
        """Whether the network is convolutional."""
        return self.x.ndim == 4

    @property
    def stacks(self) -> bool:
        """Whether many networks train as one stack of arrays."""
        return not self.name.startswith("cifar")


def load(name: str, folder: Path | None) -> Problem:
    """One of `NAMES`. MNIST needs the folder of the data."""
    rng = np.random.default_rng(0)
    if name.startswith("digits"):
        images, labels = datasets.load_digits(return_X_y=True)
        order = rng.permutation(len(images))
        x, y = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
        memorised, sizes = "memorised" in name, (64, 64, 10)
        given, how = _noisy(y, 0.1 if memorised else 0.0), (0.15, 120) if memorised else (0.1, 40)
        if name.endswith("decay"):
            how = (0.05, how[1], 5e-4)
        found = _many(_split(name, x, y, given, 1000, 100, sizes, *how))
        return found._replace(removals=(30, 2)) if name == "digits_clean_decay" else found
    if name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True)
        order = rng.permutation(len(x))
        x, y = x[order] / x.std(), ((y[order] - y.mean()) / y.std())[:, None]
        x, y = x.astype(np.float32), y.astype(np.float32)
        return _many(_split(name, x, y, y, 342, 100, (10, 32, 1), 0.02, 40))
    assert folder is not None, "--data names the folder with mnist/, text/ and cifar10n/"
    if name == "trec_words":
        texts, y = questions(folder)
        order = rng.permutation(len(texts))[:1600]
        chosen, y = [texts[i] for i in order], y[order]
        x = TfidfVectorizer(max_features=2000).fit_transform(chosen).toarray().astype(np.float32)
        return _split(name, x, y, _noisy(y, 0.1, 6), 1500, 100, (2000, 32, 6), 0.2, 30)
    if name == "cifar_resnet8":
        read = cifar(folder, 0, size=1100)
        found = _split(name, read.x, read.labels, read.labels, 1000, 100, (10,), 0.05, 10, 5e-4)
        return found._replace(wrong=read.wrong[:1000], subsets=12)
    images, labels = (
        np.frombuffer(gzip.decompress((folder / f"mnist/t10k-{kind}-ubyte.gz").read_bytes()),
                      np.uint8, offset=skipped)
        for kind, skipped in (("images-idx3", 16), ("labels-idx1", 8))
    )  # fmt: skip
    if name in ("mnist_5000", "mnist_wide"):
        n, width = (5000, 128) if name == "mnist_5000" else (1000, 1280)
        order = rng.permutation(len(labels))[: n + 100]
        x = (images.reshape(-1, 784)[order] / 255).astype(np.float32)
        y = labels[order].astype(np.int64)
        found = _split(name, x, y, _noisy(y, 0.1), n, 100, (784, width, 10), 0.05, 10)
        return found._replace(subsets=16)
    small = images.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5)) / 255
    order = rng.permutation(len(small))[:1100]
    x, y = small[order].astype(np.float32), labels[order].astype(np.int64)
    found = _split(name, x, y, _noisy(y, 0.1), 1000, 100, (10,), 0.1, 40)
    if name == "mnist_batchnorm":
        return found._replace(normalised=True)
    return _many(found)


CHOSEN_ON = ("digits_clean", "digits_memorised", "digits_clean_decay", "digits_memorised_decay")
"""Problems on which the settings were chosen. The others are the check."""

NAMES = (
    *CHOSEN_ON, "mnist_cnn", "diabetes",
    "mnist_batchnorm", "trec_words", "mnist_wide", "mnist_5000", "cifar_resnet8",
)  # fmt: skip


def network(problem: Problem) -> nn.Module:
    """The network in PyTorch, as a user has it."""
    if problem.name == "cifar_resnet8":
        return resnet8(10)
    if problem.is_image:
        norms = [[nn.BatchNorm2d(size)] if problem.normalised else [] for size in (8, 16)]
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), *norms[0], nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1), *norms[1], nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip
    first, hidden, last = problem.sizes
    return nn.Sequential(nn.Linear(first, hidden), nn.ReLU(), nn.Linear(hidden, last))


def _many(problem: Problem) -> Problem:
    """The problem with more trainings, which its network is small enough for."""
    return problem._replace(subsets=60, seeds=4)


def _noisy(labels: NDArray[np.int64], rate: float, classes: int = 10) -> NDArray[np.int64]:
    return flip(labels, classes, rate, seed=0) if rate else labels


def _split(name, x, y, given, n, tests, sizes, lr, epochs, decay=0.0):  # type: ignore[no-untyped-def]
    wrong = (given[:n] != y[:n]).reshape(n, -1).any(axis=1)
    end = n + tests
    return Problem(name, x[:n], given[:n], wrong, x[n:end], y[n:end], sizes, lr, epochs, decay)
