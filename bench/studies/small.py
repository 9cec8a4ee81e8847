"""Small problems: scikit-learn's data with wrong labels, and perceptrons trained on them."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn import datasets

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.optimizer import Optimizer
from gexcore_numpy import MLP, NumpyBackend


def synthetic(*, return_X_y: bool = True) -> Any:
    """Five Gaussian clusters, one for each class."""
    shape = {"n_informative": 12, "n_redundant": 2, "n_classes": 5, "n_clusters_per_class": 1}
    return datasets.make_classification(
        1500, 20, **shape, class_sep=2.0, flip_y=0.0, random_state=1
    )


DATA = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "synthetic": synthetic,
}
REAL = tuple(DATA)[:3]
NOISE = ("0", "0.02", "0.1", "0.3", "pair")
PAIR_RATE = 0.2
RATES = {"sgd": 0.05, "adamw": 2e-3}
EPOCHS = {"memorised": 150, "early": 8}
EARLY = 10
"""EL2N is the mean over so many first epochs, as the study that this table continues has it."""


class Cell(NamedTuple):
    """One training problem."""

    data: str
    optimizer: Literal["sgd", "adamw"]
    fit: str
    noise: str
    seed: int


class Noisy(NamedTuple):
    """Data with given labels, and which of them are wrong."""

    x: NDArray[np.float32]
    labels: NDArray[np.intp]
    wrong: NDArray[np.bool_]


@lru_cache(maxsize=1)
def load(cell: Cell) -> Noisy:
    """The cell's data, standardised, with its noise."""
    x, y = DATA[cell.data](return_X_y=True)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    rng = np.random.default_rng([cell.seed, NOISE.index(cell.noise)])
    classes = int(y.max()) + 1
    pair = cell.noise == "pair"
    chosen = rng.choice(
        len(y), round((PAIR_RATE if pair else float(cell.noise)) * len(y)), replace=False
    )
    shift = np.ones(len(chosen), int) if pair else rng.integers(1, classes, len(chosen))
    given = y.copy()
    given[chosen] = (y[chosen] + shift) % classes
    return Noisy(x.astype(np.float32), given.astype(np.intp), given != y)


def train(
    x: Any,
    y: Any,
    *,
    cell: Cell,
    seed: int,
    recorder: gx.Recorder | None = None,
    recorded: int = EARLY,
    hidden: tuple[int, ...] = (128, 128),
) -> MLP:
    """A perceptron; the recorder is told the first `recorded` epochs."""
    sizes = (x.shape[1], *hidden, int(y.max()) + 1)
    start = MLP.init(sizes, seed=seed, dtype=np.float32)
    backend = NumpyBackend(start, optimizer=Optimizer(name=cell.optimizer))
    state = backend.copy(backend.initial_state())
    size = min(32, len(x) // 4)
    batches = training_order(len(x), size, seed=seed, chain=0)
    for epoch in range(EPOCHS[cell.fit]):
        for _ in range(len(x) // size):
            indices, noise = next(batches)
            state, _ = backend.sgd_step_(
                state, (x[indices], y[indices]), lr=RATES[cell.optimizer], seed=noise
            )
        if recorder is not None and epoch < recorded:
            logits = backend.logits(state, (x, y))
            losses = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
            recorder.add(np.arange(len(x)), losses=losses, logits=logits, labels=y)
            recorder.epoch(epoch)
    return backend.to_model(state)


def train_sklearn(x: Any, y: Any, *, cell: Cell, seed: int) -> Any:
    """As `train`, by scikit-learn."""
    from sklearn.neural_network import MLPClassifier

    how = {
        "solver": "adam" if cell.optimizer == "adamw" else "sgd",
        "learning_rate_init": RATES[cell.optimizer],
    }
    net = MLPClassifier(
        (128, 128),
        **how,
        batch_size=min(32, len(x) // 4),
        max_iter=EPOCHS[cell.fit],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that it has not converged: it stops when the epochs are over
        net.set_params(n_iter_no_change=EPOCHS[cell.fit], alpha=0.0)
        return net.fit(x, y)


def trained(cell: Cell, backend: str, recorder: gx.Recorder | None = None) -> Any:
    """The cell's model."""
    x, y, _ = load(cell)
    model = (
        train(x, y, cell=cell, seed=cell.seed, recorder=recorder)
        if backend == "numpy" or recorder is not None
        else None
    )
    return train_sklearn(x, y, cell=cell, seed=cell.seed) if backend == "sklearn" else model
