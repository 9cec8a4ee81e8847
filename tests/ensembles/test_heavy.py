"""Heavy models: known from shapes, not from a clock."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.backend.data import ArrayDataset
from gexcore.ensembles.heavy import (
    EARLY,
    NEARER,
    ShortRelearning,
    is_heavy,
    multiplications,
    places_of,
    short,
)
from gexcore.ensembles.relearning import SCALE, Relearning
from gexcore.errors import StoreMismatchError
from gexcore.evaluation.opening import Opened, opened
from gexcore_numpy import MLP, NumpyBackend


def given(width: int, samples: int = 640) -> Opened:
    data = np.zeros((samples, 64), np.float32), np.arange(samples) % 10
    return opened(MLP.init((64, width, 10), seed=0), data, progress=False)


def test_work_is_parameters_times_places_times_samples_of_a_step() -> None:
    parameters = 64 * 32 + 32 + 32 * 10 + 10
    assert multiplications(given(32)) == parameters * 10  # 640 ÷ 64 samples
    assert multiplications(given(32), 50) == parameters * 50


def test_wide_nets_in_large_batches_are_heavy_and_small_ones_are_not() -> None:
    assert not is_heavy(given(32))
    assert not is_heavy(given(4000))
    assert is_heavy(given(4000), 128)


@pytest.mark.parametrize(
    ("shape", "kind", "places"),
    [
        ((), "i8", 1),
        ((), "f4", 1),
        ((64,), "f4", 1),
        ((32,), "i8", 32),
        ((28, 28), "u1", 784),
        ((1, 28, 28), "f4", 784),
        ((32, 32, 3), "f4", 1024),
        ((0, 3), "f4", 1),
    ],
)
def test_places_are_tokens_and_pixels(shape: tuple[int, ...], kind: str, places: int) -> None:
    assert places_of(np.zeros((1, *shape), kind)) == places


def test_columns_are_found_in_tuples_and_mappings() -> None:
    class Named:
        def __len__(self) -> int:
            return 640

        def batch(self, indices: Any, /) -> Any:
            tokens = np.zeros((len(indices), 16), int)
            return {"tokens": tokens, "more": [tokens[:, :2]], "label": tokens[:, 0]}

    backend = NumpyBackend(MLP([np.zeros((1, 2))], [np.zeros(2)]))
    flat = ArrayDataset(np.zeros((640, 1)), np.zeros(640, int))
    assert multiplications(Opened(backend, flat, flat)) == 4 * 10
    assert multiplications(Opened(backend, Named(), Named())) == 16 * 4 * 10


@lru_cache(maxsize=2)
def fitted(kind: str) -> tuple[MLP, Any, Any]:
    """A net that has memorised clusters, which it relearns fast, or labels by chance."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 960)
    x = rng.normal(size=(960, 8)).astype(np.float32)
    if kind == "clusters":
        x[:, :3] += 4.0 * np.eye(3, dtype=np.float32)[y]
    backend = NumpyBackend(MLP.init((8, 64, 3), seed=0, dtype=np.float32))
    state = backend.copy(backend.initial_state())
    batches = training_order(len(x), 16, seed=0, chain=0)
    for _ in range(60 * (len(x) // 16)):
        indices, noise = next(batches)
        state, _ = backend.sgd_step_(state, (x[indices], y[indices]), lr=0.05, seed=noise)
    return backend.to_model(state), x, y


def run_of(kind: str, **settings: Any) -> Any:
    model, x, y = fitted(kind)
    ensemble = ShortRelearning(**settings)
    return gx.GEX(ensemble=ensemble).fit(model, (x, y), progress=False).run


@pytest.mark.parametrize(("kind", "scale"), [("clusters", SCALE), ("chance", NEARER)])
def test_a_trial_epoch_tells_where_to_start(kind: str, scale: float) -> None:
    run = run_of(kind)
    assert run.chosen["scale"] == scale
    assert run.passes.epochs(960) == run.planned.epochs(960) == 11
    skills = [snapshot.skill for snapshot in run.snapshots if snapshot.status == "member"]
    assert len(skills) == 2
    assert skills[0] > EARLY


def test_a_limit_pays_for_its_own_epochs_from_half_of_the_model() -> None:
    limited = short(Relearning(budget=20.0, seed=3))
    assert type(limited) is Relearning
    assert (limited.scale, limited.optimizer, limited.seed) == (NEARER, "adamw", 3)


def test_a_run_goes_on_after_the_trial_with_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    model, x, y = fitted("clusters")
    method = gx.GEX(ensemble=ShortRelearning())
    whole = method.fit(model, (x, y), progress=False)
    first = method.fit(model, (x, y), store=tmp_path / "run", progress=False)
    again = method.fit(model, (x, y), store=tmp_path / "run", progress=False)
    for found in (first, again):
        np.testing.assert_array_equal(found.table.losses, whole.table.losses)
    assert again.run.passes.step == whole.run.passes.step
    other = gx.GEX(ensemble=Relearning(optimizer="adamw", lr=2e-3, chains=1, epochs=2, scale=SCALE))
    with pytest.raises(StoreMismatchError):
        other.fit(model, (x, y), store=tmp_path / "run", progress=False)
