"""The choice of GEX by default: which ensemble a run takes, and that its record says why."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.backend.batches import training_order
from gexcore.decisions.metrics import average_precision
from gexcore.errors import InvalidSettingError
from gexcore.estimators.choice import geometric_instead, planned_passes
from gexcore.evaluation.opening import Opened, opened
from gexcore.store import chains as chains_module
from gexcore_numpy import MLP, NumpyBackend

SAMPLES, CLASSES = 600, 4
MORE = 1200


def trained(x: Any, y: Any, *, epochs: int = 80, width: int = 128) -> MLP:
    """A perceptron that has memorised its labels."""
    backend = NumpyBackend(MLP.init((x.shape[1], width, CLASSES), seed=0, dtype=np.float32))
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
    gex = gx.GEX(**settings)
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


@pytest.mark.parametrize(
    "limit", [{"budget": 60}, {"budget": 20}, {"budget": 10}, {"pretraining_epochs": 24}]
)
@pytest.mark.parametrize("kind", ["few", "more"])
def test_a_limit_pays_for_one_ensemble(kind: str, limit: Any) -> None:
    model, x, y, _ = problem(kind)
    found = fit(model, x, y, **limit)
    assert found.run.chosen["ensemble"] == "relearning"
    assert found.run.passes.epochs(len(x)) <= found.run.planned.epochs(len(x))
    assert found.run.planned.epochs(len(x)) <= limit.get("budget", 0.25 * 3 * 24)


def test_a_budget_below_the_least_of_relearning() -> None:
    model, x, y, _ = problem("more")
    with pytest.raises(InvalidSettingError, match=r"1 × 1 epochs and the search, .* as 9\.29 "):
        fit(model, x, y, budget=5)


def test_presets_have_the_geometric_ensemble_of_their_settings() -> None:
    for preset in (gx.GEX.paper(), gx.GEX.public_code()):
        assert preset.ensemble is None
    model, x, y, _ = problem("clusters")
    found = fit(model, x, y, ensemble=None, snapshots=4, chains=1)
    assert "why" not in found.run.chosen
    assert found.run.choice is None


class Stop(Exception):  # noqa: N818
    pass


def assert_equal(one: Any, other: Any) -> None:
    """Equal to the bit: losses, scores, record of every snapshot, and cost."""
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.suspicion(), other.suspicion())
    assert one.run.snapshots == other.run.snapshots
    assert one.run.passes == other.run.passes
    assert one.run.planned == other.run.planned


@contextmanager
def stopping(last: int | None) -> Iterator[list[int]]:
    """Count the steps of the NumPy backend, and stop a run at one of them."""
    step, count = NumpyBackend.sgd_step_, [0]

    def counted(self: Any, *args: Any, **how: Any) -> Any:
        if count[0] == last:
            raise Stop
        count[0] += 1
        return step(self, *args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains_module, "SHARE", 1e9)
        patch.setattr(NumpyBackend, "sgd_step_", counted)
        yield count


def test_a_run_that_stops_anywhere_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    model, x, y, _ = problem("few")
    with stopping(None) as total:
        whole = fit(model, x, y)
    relearned = fit(model, x, y, ensemble=gx.Relearning()).run.passes.step
    first = relearned // fit(model, x, y, ensemble=gx.Relearning()).run.plan.batch_size
    places = {
        "in the search": 5,
        "in relearning": first - 3,
        "between the ensembles": first,
        "in the geometric ensemble": (first + total[0]) // 2,
    }
    for name, last in places.items():
        store = tmp_path / name
        with stopping(last), pytest.raises(Stop):
            fit(model, x, y, store)
        with stopping(None) as count:
            again = fit(model, x, y, store)
        assert_equal(again, whole)
        assert again.run.chosen == whole.run.chosen
        if name == "between the ensembles":
            assert count[0] == total[0] - first, "an ensemble was drawn twice"
        with stopping(0):
            assert_equal(fit(model, x, y, store), whole)


def test_executors_give_the_same_bits_with_both_ensembles() -> None:
    model, x, y, _ = problem("few")
    with ThreadPoolExecutor(2) as pool:
        found = gx.GEX().fit(model, (x, y), executor=pool, progress=False)
    assert found.run.chosen["instead_of"] == "relearning"
    assert_equal(found, fit(model, x, y))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"snapshots": 6}, "were given (snapshots)"),
        ({"lr": 0.1, "chains": 1, "snapshots": 6}, "(chains, snapshots, lr)"),
    ],
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


def wide(samples: int, width: int) -> Opened:
    """A net with so many parameters."""
    x, y = np.zeros((samples, 64), np.float32), np.arange(samples) % 4
    return opened(MLP.init((64, width, 4), seed=0, dtype=np.float32), (x, y), progress=False)


def test_a_heavy_model_has_a_short_run_that_is_known_before() -> None:
    given = wide(1280, 4000)
    usual, _ = gx.GEX().first_ensemble(given)  # its batches have 20 samples
    assert usual == gx.Relearning()
    short, why = gx.GEX(batch_size=128, seed=3).first_ensemble(given)
    assert isinstance(short, gx.Relearning)
    assert why.endswith("steps of this model take long, so the run is short")
    assert short.seed == 3
    # less than 35 % of twelve epochs of steps
    assert planned_passes(short, given).epochs(len(given.data)) == 12.5 < 0.35 * 12 * 3
    # a limit that does not pay for it has its own number of epochs
    limited, _ = gx.GEX(batch_size=128, pretraining_epochs=12).first_ensemble(given)
    assert planned_passes(limited, given).epochs(len(given.data)) <= 0.25 * 12 * 3


def test_a_heavy_model_steps_by_the_optimizer_that_is_named() -> None:
    given = wide(1280, 4000)
    heavy = {name: short_run(given, optimizer=name) for name in ("auto", "sgd", "adamw")}
    assert heavy["auto"] == heavy["adamw"]
    assert heavy["auto"].optimizer_for(1280).name == "adamw"
    assert heavy["sgd"].optimizer_for(1280).name == "sgd"
    assert (heavy["sgd"].lr, heavy["sgd"].scale) == ("auto", "auto")  # SGD needs the search
    passes, usual = (
        planned_passes(method, given).epochs(1280)
        for method in (heavy["sgd"], gx.Relearning(batch_size=128))
    )
    assert passes == pytest.approx(usual - 3 * 30)  # one chain of thirty epochs and not two
    limited = short_run(given, optimizer="sgd", pretraining_epochs=12)
    assert limited.optimizer == "sgd"


def short_run(given: Opened, **settings: Any) -> gx.Relearning:
    """The ensemble that a run over a heavy model draws first."""
    found, why = gx.GEX(batch_size=128, **settings).first_ensemble(given)
    assert isinstance(found, gx.Relearning)
    assert why.endswith("so the run is short")
    return found


@pytest.mark.parametrize(("asked", "used"), [("sgd", "SGD"), ("auto", "AdamW")])
def test_the_record_and_the_repr_of_a_heavy_run_name_its_optimizer(asked: Any, used: str) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(256) % 4
    x = (rng.normal(size=(256, 64)) + 3 * np.eye(4, 64)[y]).astype(np.float32)
    model = trained(x, y, epochs=3, width=4000)
    found = fit(model, x, y, batch_size=128, optimizer=asked)
    assert found.run.chosen["why"].endswith("so the run is short")
    assert found.run.settings["optimizer"] == asked
    assert found.run.chosen["optimizer"] == used.lower()
    assert f"steps by {used}: " in repr(found)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_optimizer_beside_an_ensemble_belongs_into_it(optimizer: Any) -> None:
    for ensemble in (gx.Geometric(), gx.Relearning()):
        with pytest.raises(InvalidSettingError, match=r"^optimizer belong to the ensemble; set"):
            gx.GEX(ensemble=ensemble, optimizer=optimizer)


def test_every_ensemble_by_itself_steps_by_sgd_and_its_record_says_so() -> None:
    model, x, y, _ = problem("clusters")
    few = {"chains": 1, "snapshots": 4}
    for method in (gx.GEX(**few), gx.GEXLin(**few), gx.GEX.for_influence(budget=30)):
        found = method.fit(model, (x, y), progress=False)
        assert found.run.chosen["optimizer"] == "sgd"
        assert "steps by SGD" in repr(found)
    found = gx.GEX(optimizer="adamw", **few).fit(model, (x, y), progress=False)
    assert found.run.chosen["optimizer"] == "adamw"
    assert "steps by AdamW" in repr(found)
    own = gx.GEX(**few).fit(NumpyBackend(model), (x, y), progress=False)
    assert own.run.chosen["optimizer"] == "the optimizer of the backend"
    for ensemble in (gx.Geometric(), gx.Relearning()):
        assert ensemble.optimizer == "auto"
        assert ensemble.optimizer_for(len(x)).name == "sgd"


@pytest.mark.parametrize(("samples", "most"), [(640, 50.0), (300, 70.0)])
def test_what_replaces_a_short_run_has_a_budget_of_its_own(samples: int, most: float) -> None:
    given = wide(samples, 60_000)
    instead = geometric_instead(gx.Geometric(), given)
    assert planned_passes(instead, given).epochs(samples) <= most
    assert planned_passes(gx.Geometric(), given).epochs(samples) > most
    limited = gx.Geometric(budget=60.0)
    assert geometric_instead(limited, given) == limited
    light = wide(samples, 100)
    assert geometric_instead(gx.Geometric(), light) == gx.Geometric()
