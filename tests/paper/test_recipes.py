"""The full recipes of the paper are no paper: each is built and takes one step at batch 2."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from bench.paper.recipes import RECIPES
from bench.paper.training import Trainer
from gexcore.backend.data import to_numpy

SIZES = {"resnet18": (10, 11.17), "vit_s32": (1000, 22.88), "mixer_s32": (1000, 19.10)}
"""Classes, and millions of parameters as published."""


def inputs(name: str) -> tuple[np.ndarray, int | None, int]:
    """Two samples as the full recipe takes them, the colours, and the classes."""
    recipe, rng = RECIPES[name], np.random.default_rng(0)
    if name == "swem":
        return rng.integers(1, 8000, (2, 48)), None, 14
    if name == "two_layer":
        return rng.normal(size=(2, 2)).astype(np.float32), None, 2
    colours, side = (1 if name == "vgg_b" else 3), recipe.scales["full"].side
    return rng.normal(size=(2, colours, side, side)).astype(np.float32), colours, 10


@pytest.mark.parametrize("name", RECIPES)
def test_a_full_recipe_takes_a_step(name: str) -> None:
    x, colours, classes = inputs(name)
    trainer = Trainer(RECIPES[name], "full", "torch", classes, colours)
    model = trainer.build(0)
    engine = trainer.engine(model)
    state = engine.initial_state()
    before = to_numpy(engine.ravel(state))
    rate = list(trainer.rates(1000))[50]
    after = engine.sgd_step(state, (x, np.array([0, 1])), lr=rate, seed=0)
    moved = to_numpy(engine.ravel(after))
    assert np.isfinite(moved).all()
    assert (moved != before).mean() > 0.3 if name != "swem" else (moved != before).any()
    made = trainer.native(model, after)
    assert np.array_equal(
        to_numpy(trainer.engine(made).ravel(trainer.engine(made).initial_state())), moved
    )


@pytest.mark.parametrize("name", SIZES)
def test_a_net_has_the_published_size(name: str) -> None:
    classes, millions = SIZES[name]
    model = RECIPES[name].build("full", "torch", classes, 0)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


def test_vgg_b_has_ten_convolutions_each_with_batchnorm() -> None:
    kinds = [type(m) for m in RECIPES["vgg_b"].build("full", "torch", 10, 0).modules()]
    assert kinds.count(nn.Conv2d) == kinds.count(nn.BatchNorm2d) == 10
    assert kinds.count(nn.Linear) == 3


@pytest.mark.parametrize("name", RECIPES)
def test_small_has_the_structure_of_full(name: str) -> None:
    _, colours, classes = inputs(name)
    more = {} if colours is None else {"colours": colours}
    kinds = [
        [type(m) for m in RECIPES[name].build(scale, "torch", classes, 0, **more).modules()]
        for scale in ("small", "full")
    ]
    assert kinds[0] == kinds[1]


def test_a_framework_without_nets_is_refused_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="choose --backend torch or jax"):
        RECIPES["resnet18"].build("full", "tensorflow", 10, 0)


def test_the_schedule_rises_to_the_published_peak_and_ends_near_zero() -> None:
    trainer = Trainer(RECIPES["resnet18"], "full", "torch", 10, 3)
    rates = list(trainer.rates(1000))
    assert max(rates) == pytest.approx(0.4)
    assert int(np.argmax(rates)) in (99, 100)  # 10 % of the steps
    assert rates[-1] < 1e-5
    assert rates[0] == pytest.approx(0.004)
