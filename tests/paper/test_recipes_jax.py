"""ViT-S/32 and ResNet-18 at full size in JAX: the published size, and one step at batch 2."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from bench.paper import harness, page
from bench.paper.__main__ import main
from bench.paper.recipes import RECIPES
from bench.paper.training import Trainer
from gexcore.backend.data import to_numpy

SIZES = {"resnet18": (10, 11_174), "vit_s32": (1000, 22_879)}


@pytest.mark.parametrize("name", SIZES)
def test_a_full_recipe_takes_a_step(name: str) -> None:
    classes, thousands = SIZES[name]
    trainer = Trainer(RECIPES[name], "full", "jax", classes, 3)
    model = trainer.build(0)
    assert round(sum(leaf.size for leaf in jax.tree.leaves(model.params)) / 1000) == thousands
    side = trainer.setting.side
    x = np.random.default_rng(0).normal(size=(2, 3, side, side)).astype(np.float32)
    engine = trainer.engine(model)
    state = engine.copy(engine.initial_state())
    before = to_numpy(engine.ravel(state)).copy()
    state, losses = engine.sgd_step_(state, (x, np.array([0, 1])), lr=1e-3, seed=0)
    moved = to_numpy(engine.ravel(state))
    assert np.isfinite(to_numpy(losses)).all()
    assert np.isfinite(moved).all()
    assert (moved != before).mean() > 0.3


@pytest.mark.parametrize("name", SIZES)
def test_a_small_recipe_is_trained_and_read_back(name: str) -> None:
    trainer = Trainer(RECIPES[name], "quick", "jax", 3, 1)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    side = trainer.setting.side
    x = (rng.normal(size=(60, 1, side, side)) + 2.0 * y[:, None, None, None]).astype(np.float32)
    left = trainer.train(x, y, 0, epochs=5, record=True, keep=True)
    own = trainer.engine(left.model)
    losses = to_numpy(own.forward(own.initial_state(), (x, y)))
    assert left.checkpoints  # a step must not take their memory away
    assert all(
        np.isfinite(leaf).all() for m in left.checkpoints for leaf in jax.tree.leaves(m.params)
    )
    assert left.recorder is not None
    assert np.allclose(losses, left.recorder.curve("losses")[-1], atol=1e-4)


def test_a_net_that_jax_does_not_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="jax has no swem"):
        RECIPES["swem"].build("full", "jax", 10, 0)


def test_the_command_has_rows_in_jax_beside_those_in_torch(tmp_path: Path) -> None:
    call = ["table8", "--quick", "--cells", "SVHN", "--methods", "Loss()"]
    torch = {"seed": 0, "cell": "SVHN", "row": "Loss()", "auc": 50.0, "ap": 9.0}
    torch["measured"] = "then"
    harness.put(tmp_path, "table8", [torch])
    main([*call, "--backend", "jax", "--out", str(tmp_path)])
    rows = harness.rows_of(tmp_path, "table8")
    assert [row["backend"] for row in rows] == ["torch", "jax"]
    assert all(0 <= row["auc"] <= 100 for row in rows)
    assert "Loss(), in jax" in page.detections("table8", rows)
