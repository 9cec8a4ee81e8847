"""GEX(ensemble="auto"): which ensemble a run takes, and that its record says why."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.decisions.metrics import average_precision
from gexcore.errors import InvalidSettingError
from gexcore_numpy import MLP, NumpyBackend

SAMPLES, CLASSES = 600, 4
MORE = 1200


def trained(x: Any, y: Any, *, epochs: int = 80) -> MLP:
    """A perceptron that has memorised its labels."""
    backend = NumpyBackend(MLP.init((x.shape[1], 128, CLASSES), seed=0, dtype=np.float32))
    state = backend.copy(backend.initial_state())
    batches = training_order(len(x), 16, seed=0, chain=0)
    for _ in range(epochs * (len(x) // 16)):
        indices, noise = next(batches)
        state, _ = backend.sgd_step_(state, (x[indices], y[indices]), lr=0.05, seed=noise)
    return backend.to_model(state)


@lru_cache(maxsize=3)
def problem(kind: str) -> tuple[MLP, Any, Any, Any]:
    """Clusters with a tenth of wrong labels; or few or more samples with labels by chance."""
    rng = np.random.default_rng(0)
    if kind != "clusters":
        x = rng.normal(size=(SAMPLES, 12) if kind == "few" else (MORE, 4)).astype(np.float32)
        y = rng.integers(0, CLASSES, len(x))
        return trained(x, y, epochs=150), x, y, None
    true = rng.integers(0, CLASSES, SAMPLES)
    x = rng.normal(size=(SAMPLES, 12)).astype(np.float32)
    x[:, :CLASSES] += 3.0 * np.eye(CLASSES, dtype=np.float32)[true]
    wrong = rng.random(SAMPLES) < 0.1
    y = np.where(wrong, (true + 1) % CLASSES, true)
    return trained(x, y), x, y, wrong


def fit(model: Any, x: Any, y: Any, store: Path | None = None, **settings: Any) -> Any:
    """GEX by the choice, or as the settings say."""
    gex = gx.GEX(**{"ensemble": "auto", **settings})
    return gex.fit(model, (x, y), store=store, progress=False)


def test_labels_of_classes_are_relearned_and_the_record_says_why() -> None:
    model, x, y, wrong = problem("clusters")
    found = fit(model, x, y)
    told = found.record()
    assert told["settings"]["ensemble"] == "auto"
    assert told["chosen"]["ensemble"] == "relearning"
    assert "labels of classes" in told["chosen"]["why"]
    assert "relearning" in repr(found)
    np.testing.assert_array_equal(found.losses, fit(model, x, y, ensemble=gx.Relearning()).losses)
    plain = average_precision(found.checkpoint_losses, wrong)
    assert average_precision(found.suspicion(), wrong) > plain + 0.2


@pytest.mark.parametrize(
    ("kind", "why"), [("few", "no relearned member left"), ("more", "members kept")]
)
def test_members_without_skill_are_replaced_and_both_ensembles_are_paid(
    tmp_path: Path, kind: str, why: str
) -> None:
    pytest.importorskip("zarr")
    model, x, y, _ = problem(kind)
    found = fit(model, x, y, tmp_path / "store")
    chosen = found.run.chosen
    assert chosen["ensemble"] == "geometric"
    assert chosen["instead_of"] == "relearning"
    assert why in chosen["why"]
    assert "geometric ensemble" in repr(found)
    geometric, relearned = (fit(model, x, y, ensemble=e) for e in (None, gx.Relearning()))
    np.testing.assert_array_equal(found.losses, geometric.losses)
    assert found.run.passes.step == geometric.run.passes.step + relearned.run.passes.step
    again = fit(model, x, y, tmp_path / "store")
    np.testing.assert_array_equal(again.losses, found.losses)


def test_a_budget_pays_for_one_ensemble() -> None:
    model, x, y, _ = problem("more")
    found = fit(model, x, y, budget=60)
    assert found.run.chosen["ensemble"] == "relearning"
    assert found.run.passes.epochs(MORE) <= 60


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"snapshots": 6}, "snapshots belong"), ({"lr": 0.1, "chains": 1, "snapshots": 6}, "chains")],
)
def test_settings_of_the_geometric_ensemble_choose_it(settings: Any, why: str) -> None:
    model, x, y, _ = problem("clusters")
    found = fit(model, x, y, **settings)
    assert found.run.chosen["ensemble"] == "geometric"
    assert why in found.run.chosen["why"]
    np.testing.assert_array_equal(found.losses, fit(model, x, y, ensemble=None, **settings).losses)


def test_a_backend_of_your_own_and_other_losses_have_the_geometric_ensemble() -> None:
    model, x, y, _ = problem("clusters")
    found = fit(NumpyBackend(model), x, y)
    assert "backend was given" in found.run.chosen["why"]
    line = MLP([np.ones((12, 1))], [np.zeros(1)])
    numbers = x.sum(axis=1, keepdims=True) + np.random.default_rng(1).normal(size=(SAMPLES, 1))
    gex = gx.GEX(ensemble="auto")
    found = gex.fit(line, (x, numbers), loss="squared_error", progress=False)
    assert "not of class labels" in found.run.chosen["why"]


def test_another_word_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="'auto'"):
        gx.GEX(ensemble="best")  # type: ignore[arg-type]
