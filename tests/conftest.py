"""Small networks that have memorised wrong labels, and distributions that exist only as a folder on
the path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gexcore.backend.batches import training_order
from gexcore_numpy import MLP, NumpyBackend

# workers find the functions of the tests by name; at the end, so that the installed package comes
# first
sys.path.append(str(Path(__file__).parents[1]))


class Trained(NamedTuple):
    """A model and the 96 samples that it was trained on, 12 of which have a wrong label."""

    model: MLP
    x: NDArray[np.float64]
    y: NDArray[np.int64]
    wrong: NDArray[np.bool_]

    @property
    def data(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return self.x, self.y


def train(*, batch_norm: bool) -> Trained:
    """Three clouds in five dimensions, learnt by heart."""
    rng = np.random.default_rng(7)
    true = np.arange(96) % 3
    x = 3.0 * rng.normal(size=(3, 5))[true] + rng.normal(size=(96, 5))
    wrong = np.zeros(96, bool)
    wrong[rng.choice(96, 12, replace=False)] = True
    y = np.where(wrong, (true + 1) % 3, true)
    backend = NumpyBackend(MLP.init((5, 32, 3), seed=1, batch_norm=batch_norm))
    state = backend.initial_state()
    batches = training_order(96, 16, seed=0, chain=0)
    for _ in range(900):
        indices, seed = next(batches)
        state = backend.sgd_step(state, (x[indices], y[indices]), lr=0.1, seed=seed)
    return Trained(backend.to_model(state), x, y, wrong)


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train(batch_norm=False)


@pytest.fixture(scope="session")
def normalised() -> Trained:
    """The same with batch normalisation."""
    return train(batch_norm=True)


def train_for_workers() -> tuple[MLP, Any]:
    """Three clouds with some wrong labels, learnt by heart, with batch normalisation."""
    rng = np.random.default_rng(7)
    true = np.arange(60) % 3
    x = 3.0 * rng.normal(size=(3, 5))[true] + rng.normal(size=(60, 5))
    y = np.where(np.arange(60) % 10 == 0, (true + 1) % 3, true)
    backend = NumpyBackend(MLP.init((5, 16, 3), seed=1, batch_norm=True))
    state = backend.initial_state()
    batches = training_order(60, 16, seed=0, chain=0)
    for _ in range(300):
        indices, seed = next(batches)
        state = backend.sgd_step(state, (x[indices], y[indices]), lr=0.1, seed=seed)
    return backend.to_model(state), (x, y)


@pytest.fixture(scope="session")
def problem() -> tuple[MLP, Any]:
    """A model and data that workers can be sent."""
    return train_for_workers()


PLUGIN = """
from gexcore.backend.plugins import hookimpl
from gexcore.backend.plugins import BackendSpec

@hookimpl
def {hook}({arguments}):
    return BackendSpec(name={name!r}, {fields})
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a distribution with one plugin on the path, without installing anything."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def add(
        name: str,
        fields: str = "factory='nowhere:Nothing'",
        *,
        owner: str = "",
        hook: str = "gexcore_register_backend",
        arguments: str = "",
        source: str = "",
    ) -> None:
        owner = owner or f"gexcore-{name}"
        module = f"{owner.replace('-', '_')}_plugin"
        info = tmp_path / f"{owner.replace('-', '_')}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[gexcore.backends]\n{name} = {module}\n")
        plugin = PLUGIN.format(name=name, fields=fields, hook=hook, arguments=arguments)
        (tmp_path / f"{module}.py").write_text(source or plugin)

    yield add
    for name in set(sys.modules) - before:
        del sys.modules[name]
