"""Heavy models: known from shapes, not from a clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gexcore.backend.data import ArrayDataset
from gexcore.ensembles.budget import Budget
from gexcore.ensembles.heavy import (
    EPOCHS,
    SCALE_OF_LIMITED,
    SCALES,
    from_reference,
    is_heavy,
    multiplications,
    places_of,
    short,
)
from gexcore.ensembles.relearning import Relearning
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


def test_from_pretrained_weights_the_usual_chains_step_by_adamw() -> None:
    usual = Relearning(seed=3, pretraining_epochs=12.0)
    assert from_reference(usual) == replace(usual, optimizer="adamw")


def test_the_short_run_starts_from_two_scales() -> None:
    usual = short(Relearning(seed=3), given(4000, 2000))
    assert (usual.scale, usual.epochs, usual.optimizer, usual.seed) == (SCALES, EPOCHS, "adamw", 3)


@pytest.mark.parametrize(
    ("enough", "limit"),
    [
        (True, {"budget": 60.0}),
        (True, {"budget": 12.6}),
        (True, {"budget": Budget(passes=12.6 * 2000)}),
        (True, {"pretraining_epochs": 17.0}),
        (False, {"budget": 12.0}),
        (False, {"budget": Budget(passes=12.0 * 2000)}),
        (False, {"pretraining_epochs": 12.0}),
    ],
)
def test_a_limit_that_pays_for_the_short_run_takes_it(enough: bool, limit: dict[str, Any]) -> None:
    method = short(Relearning(**limit), given(4000, 2000))
    wanted = (SCALES, EPOCHS) if enough else (SCALE_OF_LIMITED, "auto")
    assert (method.scale, method.epochs) == wanted
    assert {name: getattr(method, name) for name in limit} == limit


def test_by_sgd_the_short_run_is_one_usual_chain_and_a_limit_pays_for_the_usual_run() -> None:
    usual = Relearning(optimizer="sgd", seed=3)
    wide = given(4000)
    assert short(usual, wide) == replace(usual, chains=1)
    limited = replace(usual, pretraining_epochs=12.0)
    assert short(limited, wide) == limited
    by_name = replace(usual, optimizer="adamw")
    assert short(by_name, wide) == short(replace(usual, optimizer="auto"), wide)
