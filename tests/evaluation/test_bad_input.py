"""Bad input: one clear sentence, in an error that is also the built-in one, before any work is
done."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gexcore as gx
from gexcore import errors
from gexcore.errors import (
    InvalidDataError,
    InvalidModelError,
    InvalidSettingError,
    UnknownBackendError,
)
from gexcore_numpy import MLP, NumpyBackend


def fit(
    model: Any, data: Any, *, settings: dict[str, Any] | None = None, **arguments: Any
) -> gx.Influence:
    quick = {"chains": 1, "snapshots": 1, "steps_per_snapshot": 1, **(settings or {})}
    return gx.GEX(**quick).fit(model, data, progress=False, **arguments)


def refused(error: type[Exception], told: str, call: Any, /, *args: Any, **arguments: Any) -> None:
    """The call fails with this very error and one sentence that contains `told`."""
    with pytest.raises(error, match=re.escape(told)) as raised:
        call(*args, **arguments)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)


def replaced(array: Any, position: Any, value: Any) -> Any:
    changed = array.copy()
    changed[position] = value
    return changed


DATA = {
    "unequal lengths": (
        lambda x, y: (x, y[:-1]),
        "the columns of the data have unequal lengths (0: 96, 1: 95); give one row per "
        "sample in each",
    ),
    "unequal named columns": (
        lambda x, y: {"x": x[:3], "y": y},
        "the columns of the data have unequal lengths (x: 3, y: 96); give one row per sample "
        "in each",
    ),
    "empty": (lambda x, y: (x[:0], y[:0]), "the data has no samples; give at least one"),
    "NaN": (
        lambda x, y: (replaced(x, (slice(7, 9), 2), np.nan), y),
        "the inputs of the data: 2 samples have values that are not finite, first at position 7; "
        "only finite numbers are allowed",
    ),
    "infinity": (
        lambda x, y: (replaced(x, (95, 0), -np.inf), y),
        "1 samples have values that are not finite, first at position 95",
    ),
    "NaN in a target": (
        lambda x, y: (x, replaced(np.eye(3)[y], (5, 1), np.nan)),
        "the targets of the data: 1 samples have values that are not finite, first at position 5",
    ),
    "NaN in a named column": (
        lambda x, y: {"x": replaced(x, (5, 0), np.nan), "y": y},
        "column 'x' of the data: 1 samples have values that are not finite, first at position 5",
    ),
    "several labels": (
        lambda x, y: (x, np.eye(3)[y] + np.eye(3)[0] * (y > 0)[:, None]),
        "so samples have several labels, and cross-entropy takes one; name "
        "loss='binary_cross_entropy'",
    ),
    "label above": (lambda x, y: (x, replaced(y, 4, 3)), "label 3 is outside 0 … 2, the "),
    "label below": (lambda x, y: (x, replaced(y, 4, -1)), "label -1 is outside 0 … 2, the "),
    "float labels": (
        lambda x, y: (x, y.astype(float)),
        "the labels are floats, and cross-entropy needs integer classes 0 … K−1 (or one row "
        "of class probabilities",
    ),
    "no labels": (
        lambda x, y: x,
        "data of type ndarray is not understood; give (x, y) arrays, a dict of arrays",
    ),
    "a number": (lambda x, y: 3, "data of type int is not understood; give (x, y) arrays"),
    "one label": (
        lambda x, y: (x, np.array(3)),
        "data of type tuple is not understood; give (x, y) arrays",
    ),
    "ragged": (
        lambda x, y: ([[1.0], [2.0, 3.0]], [0, 1]),
        "a column of the data has rows of unequal shapes; give",
    ),
    "a sparse matrix": (
        lambda x, y: (scipy.sparse.csr_matrix(x), y),
        "the data has a sparse matrix of shape (96, 5), and this model takes dense arrays; give "
        "x.toarray()",
    ),
    "masked": (
        lambda x, y: (np.ma.masked_greater(x, np.sort(x, axis=None)[-3]), y),
        "the data has an array with 2 masked values; fill them in",
    ),
    "another width": (
        lambda x, y: (x[:, :4], y),
        "have shape (96, 4), but the model takes 5 numbers per sample",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), DATA.values(), ids=DATA.keys())
def test_data(trained: Any, spoil: Any, told: str) -> None:
    spoilt = spoil(trained.x, trained.y)
    refused(InvalidDataError, told, fit, trained.model, spoilt)


@pytest.mark.parametrize(("spoil", "told"), [DATA["unequal lengths"], DATA["NaN"], DATA["empty"]])
@pytest.mark.parametrize("name", ["test", "train_data"])
def test_other_data(trained: Any, name: str, spoil: Any, told: str) -> None:
    spoilt = {name: spoil(trained.x, trained.y)}
    refused(InvalidDataError, told, fit, trained.model, trained.data, **spoilt)


def test_training_data_of_another_length(trained: Any) -> None:
    told = "train_data has 90 samples and data 96; give the same samples in the same order"
    fewer = (trained.x[:90], trained.y[:90])
    refused(InvalidDataError, told, fit, trained.model, trained.data, train_data=fewer)


COUNTS = ["chains", "snapshots", "steps_per_snapshot", "batch_size"]
BROKEN = [0, -1, float("nan"), 2.5, True, None, "many"]
SETTINGS = [
    *(
        ({name: value}, f"{name} is {value!r}, and must be a whole number from 1 up")
        for name in COUNTS
        for value in BROKEN
    ),
    *(
        ({"lr": value}, f"lr is {value!r}, and must be a finite number above 0")
        for value in (0, -0.1, float("nan"), float("inf"), None, "fast", True)
    ),
    *(
        ({name: value}, f"{name} is {value!r}, and must be a finite number from 0 up")
        for name in ("momentum", "weight_decay", "floor")
        for value in (-0.1, float("nan"), float("inf"), "some")
    ),
    *(
        ({name: v}, f"{name} is {v!r}, and must be a whole number from 0 up")
        for name in ("keep", "seed")
        for v in (-1, 0.5)
    ),
    *(
        (
            {"floor": 0.5, "ceiling": value},
            f"ceiling is {value!r}, and must be a finite number above 0.5",
        )
        for value in (0.5, -1.0, float("inf"), "high")
    ),
    (
        {"scoring": "cheap"},
        "scoring is 'cheap'; allowed are 'auto', 'evaluated' and 'training_batches'",
    ),
    (
        {"optimizer": "lion"},
        "optimizer is 'lion'; allowed are 'auto', 'sgd', 'adamw' and the framework's own factory",
    ),
]


@pytest.mark.parametrize(("settings", "told"), SETTINGS)
def test_settings(settings: dict[str, Any], told: str) -> None:
    refused(InvalidSettingError, told, gx.GEX, **settings)


@pytest.mark.parametrize("preset", [gx.GEX.paper, gx.GEX.public_code])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lr": 0.0}, "lr is 0.0, and must be a finite number above 0"),
        ({"steps": 0}, "steps_per_snapshot is 0, and must be a whole number from 1 up"),
        ({"chains": -2}, "chains is -2, and must be a whole number from 1 up"),
    ],
)
def test_settings_of_presets(preset: Any, settings: dict[str, Any], told: str) -> None:
    refused(InvalidSettingError, told, preset, **settings)


def test_a_batch_larger_than_the_data(trained: Any) -> None:
    told = "batch_size is 97, and the data has 96 samples; choose at most that many"
    refused(
        InvalidSettingError, told, fit, trained.model, trained.data, settings={"batch_size": 97}
    )
    assert len(fit(trained.model, trained.data, settings={"lr": 0.1, "batch_size": 96}).table) == 1


@pytest.mark.parametrize(
    "model", [None, 3, "resnet", MLP, NumpyBackend, np.zeros(3), object()], ids=repr
)
def test_a_model_that_is_no_model(trained: Any, model: Any) -> None:
    told = (
        f"no backend takes a model of type {type(model).__module__}.{type(model).__qualname__}; "
        "installed: "
    )
    refused(InvalidModelError, told, fit, model, trained.data)


def test_an_unknown_backend(trained: Any) -> None:
    told = "no backend named 'torhc'; installed: "
    refused(UnknownBackendError, told, fit, trained.model, trained.data, backend="torhc")


def test_the_backend_of_another_framework(trained: Any) -> None:
    told = "the model is a object; the NumPy backend takes a gexcore_numpy.MLP"
    refused(InvalidModelError, told, fit, object(), trained.data, backend="numpy")


@pytest.mark.parametrize("loss", ["hinge", 3])
def test_an_unknown_loss(trained: Any, loss: Any) -> None:
    refused(InvalidModelError, "no loss named ", fit, trained.model, trained.data, loss=loss)


SHAPES = {
    "scalar": lambda losses: losses.mean(),
    "number": lambda losses: float(losses.mean()),
    "column": lambda losses: losses[:, None],
    "short": lambda losses: losses[1:],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_loss_of_the_wrong_shape(trained: Any, shape: Any) -> None:
    class Reduced(NumpyBackend):
        def forward(self, state: Any, batch: Any, /) -> Any:
            return shape(super().forward(state, batch))

    class ReducedInTraining(NumpyBackend):
        def sgd_step_(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
            after, losses = super().sgd_step_(state, batch, lr=lr, seed=seed)
            return after, shape(losses)

    for backend, size in [(Reduced(trained.model), 96), (ReducedInTraining(trained.model), 16)]:
        wrong = np.shape(shape(np.zeros(size)))
        told = (
            f"the loss of a batch of {size} samples has shape {wrong}; one number per sample, "
            f"shape ({size},), is needed"
        )
        refused(InvalidModelError, told, fit, backend, trained.data, settings={"batch_size": 16})


def test_an_untrained_model(trained: Any) -> None:
    blank = MLP([np.zeros((5, 3))], [np.zeros(3)])
    told = (
        "the model predicts the given targets no better than a guess; the method starts from a "
        "trained model"
    )
    for scoring in ("evaluated", "training_batches"):
        refused(InvalidModelError, told, fit, blank, trained.data, settings={"scoring": scoring})


def test_a_broken_model(trained: Any) -> None:
    weights = [replaced(trained.model.weights[0], (0, 0), np.nan), trained.model.weights[1]]
    told = (
        "the trained model's loss is not finite for 96 of 96 samples, first at position 0; a "
        "model that works"
    )
    refused(InvalidModelError, told, fit, MLP(weights, trained.model.biases), trained.data)


BUILT_IN = {
    errors.InvalidDataError: ValueError,
    errors.InvalidModelError: TypeError,
    errors.InvalidSettingError: ValueError,
    errors.MissingCapabilityError: TypeError,
    errors.AllMembersDivergedError: ArithmeticError,
    errors.WorkerLostError: RuntimeError,
    errors.UnknownBackendError: LookupError,
    errors.BackendLoadError: ImportError,
    errors.BackendConflictError: ValueError,
    errors.OutputExistsError: FileExistsError,
    errors.MissingExtraError: ImportError,
    errors.StoreError: OSError,
    errors.InUseError: OSError,
    errors.StoreMismatchError: ValueError,
}


def test_every_error_is_also_the_built_in_one_that_a_caller_would_catch() -> None:
    own = {value for value in vars(errors).values() if isinstance(value, type)}
    assert own == {errors.GexError, errors.GexWarning, *BUILT_IN}
    for error, built_in in BUILT_IN.items():
        assert issubclass(error, errors.GexError)
        assert issubclass(error, built_in)


def test_a_loss_whose_skill_is_unknown(trained: Any) -> None:
    backend = NumpyBackend(MLP([np.zeros((5, 1))], [np.zeros(1)]), loss="squared_error")
    told = (
        "lr='auto' has no measure of skill for this loss; it knows classification by integer labels"
    )
    data = (trained.x, trained.x[:, :1] ** 2)
    refused(InvalidSettingError, told, fit, backend, data)
    assert len(fit(backend, data, settings={"lr": 0.01}).table) == 1


@pytest.mark.parametrize("method", [gx.GEX, gx.Geometric, gx.Relearning, gx.GEXRidge, gx.Anchored])
@pytest.mark.parametrize(
    "value",
    [
        np.ones(2),
        np.ones(0),
        [],
        {},
        (1, 2),
        object(),
        b"a",
        1j,
        pytest.param(10**400, id="huge"),
        "x",
    ],
)
def test_a_setting_of_a_wrong_type_is_refused_by_a_sentence(method: Any, value: Any) -> None:
    for name in {each.name for each in fields(method)} - {"reference", "parameters"}:
        with pytest.raises(InvalidSettingError, match=f"^{name} "):
            method(**{name: value})


@pytest.mark.parametrize("value", [gx.Geometric, gx.Relearning, gx.GEX(), gx.GEXLin(), 3, "best"])
def test_an_ensemble_is_a_value_that_draws_members(value: Any) -> None:
    told = r"^ensemble is .*; allowed are gexcore.Geometric\(...\), gexcore.Relearning\(...\) and"
    with pytest.raises(InvalidSettingError, match=told):
        gx.GEX(ensemble=value)


@pytest.mark.parametrize("value", [np.ones(2), object(), gx.Geometric])
def test_words_switches_and_schedules_of_a_wrong_type_are_refused(value: Any) -> None:
    recorder = gx.Recorder(samples=2)
    recorder.add([0, 1], logits=np.eye(2), labels=[0, 1])
    recorder.epoch()
    given: dict[type, tuple[dict[str, Any], tuple[str, ...]]] = {
        gx.Arnoldi: ({}, ("order",)),
        gx.Laplace: ({}, ("structure", "fisher")),
        gx.LOO: ({"train": lambda data, start, seed: start}, ("start",)),
        gx.Forgetting: ({"recorder": recorder}, ("never_learnt",)),
        gx.DeepKNN: ({}, ("k", "features", "metric", "include_self", "squared_distance")),
        gx.ConfidentLearning: (
            {"probabilities": np.eye(2)},
            ("quality", "adjusted", "half_scored", "through"),
        ),
        gx.Geometric: ({}, ("lr", "scoring")),
    }
    for method, (needed, names) in given.items():
        for name in names:
            with pytest.raises(InvalidSettingError, match=f"^{name} is "):
                method(**needed, **{name: value})
    with pytest.raises(InvalidSettingError, match=r"^(LastLayer takes|method is the class) "):
        gx.LastLayer(value)


@pytest.mark.parametrize("value", [np.ones(2), np.array("auto"), [1, 2], object(), 3, b"w", set()])
def test_parameters_are_names(trained: Any, value: Any) -> None:
    for method in (gx.GEX, gx.GEXLin, gx.GEXRidge, gx.IF):
        with pytest.raises(InvalidSettingError, match="parameters"):
            method(parameters=value).fit(trained.model, trained.data, progress=False)


def test_a_schedule_returns_numbers_and_checkpoints_are_a_list(trained: Any) -> None:
    with pytest.raises(InvalidSettingError, match=r"^lr\(0\) is None; a schedule returns"):
        gx.GEX(lr=lambda step: None)  # type: ignore[arg-type, return-value]
    assert gx.GEX(lr=lambda step: np.float32(0.1)).lr(0) == np.float32(0.1)  # type: ignore[operator]
    with pytest.raises(InvalidSettingError, match="TracInRP needs a list of checkpoints"):
        gx.TracInRP(checkpoints=np.ones(2)).fit(trained.model, trained.data, progress=False)
    with pytest.raises(errors.InvalidDataError, match="the probabilities are no numbers"):
        gx.ConfidentLearning(probabilities={}).fit(data=(trained.x, trained.data[1]))
