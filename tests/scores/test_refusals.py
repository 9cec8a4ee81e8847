"""What a score cannot do it says in one sentence, before any work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gexcore.errors import (
    InvalidDataError,
    InvalidModelError,
    InvalidSettingError,
    MissingCapabilityError,
)
from gexcore.scores import (
    AUM,
    EL2N,
    ConfidentLearning,
    DeepKNN,
    Forgetting,
    GraNd,
    Loss,
    Margin,
    MeanMemberLoss,
    Recorder,
    below_threshold_class,
    confident_joint,
    confident_thresholds,
    label_quality,
    threshold_class,
)
from gexcore_numpy import MLP, NumpyBackend

MODEL = MLP.init((2, 3), seed=0)
X, Y = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
DATA = X, Y
P = np.full((6, 3), 1 / 3)


class Bare:
    """A backend with nothing but what every backend has."""

    name = "bare"

    def __init__(self) -> None:
        self._backend = NumpyBackend(MODEL)

    def initial_state(self) -> Any:
        return self._backend.initial_state()

    def forward(self, state: Any, batch: Any, /) -> Any:
        return self._backend.forward(state, batch)

    def sgd_step(self, state: Any, batch: Any, /, *, lr: float, seed: int) -> Any:
        return self._backend.sgd_step(state, batch, lr=lr, seed=seed)

    def restart(self, state: Any, /) -> Any:
        return self._backend.restart(state)


def recorder(samples: int = 6) -> Recorder:
    made = Recorder(samples=samples)
    for number in (3, 9):
        made.add(np.arange(samples), logits=np.ones((samples, 3)), labels=np.zeros(samples, int))
        made.epoch(number)
    return made


def broken(x: Any, y: Any) -> Any:
    raise RuntimeError("no luck\nat all")


def narrowing() -> Callable[[Any, Any], MLP]:
    widths = iter((3, 4))
    return lambda x, y: MLP.init((2, next(widths)), seed=0)


def diverged() -> MLP:
    return MLP([np.full((2, 3), np.inf)], [np.zeros(3)])


CASES: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    # settings
    "no source": (InvalidSettingError,
        "MeanMemberLoss reads either a recorder or checkpoints; give one of", MeanMemberLoss),
    "both sources": (InvalidSettingError, "EL2N reads either a recorder or checkpoints",
        lambda: EL2N(recorder=recorder(), checkpoints=[MODEL])),
    "no list of checkpoints": (InvalidSettingError, "checkpoints is of type MLP; give a list of "
        "checkpoints in the framework's own form", lambda: GraNd(checkpoints=MODEL)),
    "no recorder": (InvalidSettingError, "recorder is of type dict; give a gexcore.Recorder, or a "
        "list with one of each run", lambda: AUM(recorder={})),
    "empty list of recorders": (InvalidSettingError,
        "recorder is of type list; give a gexcore.Recorder", lambda: Forgetting(recorder=[])),
    "runs on other data": (InvalidDataError, "the recorders have 6 and 7 samples; give runs on the "
        "same data", lambda: EL2N(recorder=[recorder(6), recorder(7)])),
    "epoch": (InvalidSettingError, "epoch is -1, and must be a whole number from 0 up",
        lambda: EL2N(recorder=recorder(), epoch=-1)),
    "never learnt": (InvalidSettingError, "never_learnt is 'inf'; allowed are 'max' and 'zero'",
        lambda: Forgetting(recorder=recorder(), never_learnt="inf")),
    "k": (InvalidSettingError, 'k is 0, and must be a whole number from 1 up, or "auto"',
        lambda: DeepKNN(k=0)),
    "features": (InvalidSettingError, "features is 'pixels'; allowed are 'logits' and 'features'",
        lambda: DeepKNN(features="pixels")),
    "metric": (InvalidSettingError, "metric is 'manhattan'; allowed are 'euclidean' and 'cosine'",
        lambda: DeepKNN(metric="manhattan")),
    "no probabilities and no recipe": (InvalidSettingError,
        "ConfidentLearning takes either probabilities or a recipe; give one of", ConfidentLearning),
    "both": (InvalidSettingError, "takes either probabilities or a recipe",
        lambda: ConfidentLearning(probabilities=P, train=broken)),
    "no recipe": (InvalidSettingError, "train is of type MLP; give a callable train(x, y) -> model",
        lambda: ConfidentLearning(train=MODEL)),
    "one fold": (InvalidSettingError, "folds is 1, and must be a whole number from 2 up",
        lambda: ConfidentLearning(train=broken, folds=1)),
    "quality": (InvalidSettingError,
        "quality is 'best'; allowed are 'self_confidence', 'normalized_margin' and "
        "'confidence_weighted_entropy'",
            lambda: ConfidentLearning(probabilities=P, quality="best")),  # type: ignore[arg-type]
    "adjusted entropy": (InvalidSettingError,
        "adjusted probabilities have no meaningful entropy; choose 'self_confidence'",
            lambda: label_quality(Y, P, method="confidence_weighted_entropy", adjusted=True)),
    "through": (InvalidSettingError, "through is 'dirtylab'; allowed are 'cleanlab' and None",
        lambda: ConfidentLearning(probabilities=P, through="dirtylab")),
    "among": (InvalidSettingError, "among is 'some'; allowed are 'confident' and 'all'",
        lambda: confident_joint(Y, P, among="some")),
    "percentile": (InvalidSettingError, "percentile is 101, and must be from 0 to 100",
        lambda: below_threshold_class(AUM(recorder=recorder()).fit(), [0], percentile=101)),
    # capabilities
    "no logits": (MissingCapabilityError, "Margin needs SupportsLogits (logits), which backend "
        "'bare' does not have", lambda: Margin().fit(Bare(), DATA)),
    "no features": (MissingCapabilityError,
        "DeepKNN needs SupportsFeatures (features), which backend 'bare'",
            lambda: DeepKNN(features="features").fit(Bare(), DATA)),
    "no gradients": (MissingCapabilityError, "GraNd needs SupportsSampleGradients "
        "(sample_gradients), SupportsParams", lambda: GraNd().fit(Bare(), DATA)),
    "no checkpoints": (MissingCapabilityError, "MeanMemberLoss needs SupportsCheckpoints (load), "
        "which backend 'bare'", lambda: MeanMemberLoss(checkpoints=[0]).fit(Bare(), DATA)),
    "model without logits": (MissingCapabilityError, "ConfidentLearning needs SupportsLogits "
        "(logits), which backend 'bare'",
            lambda: ConfidentLearning(train=lambda x, y: Bare()).fit(data=DATA, progress=False)),
    # models and data
    "nothing to score": (InvalidDataError, "MeanMemberLoss takes a model through its data, and got "
        "none; call fit(model, data)", lambda: MeanMemberLoss(checkpoints=[MODEL]).fit()),
    "no classes": (InvalidDataError,
        "DeepKNN needs one class per sample, and the targets are no classes",
            lambda: DeepKNN(features="features").fit(MODEL, (X, np.zeros((6, 3))),
                loss="squared_error")),
    "recorder of other data": (InvalidDataError, "the recorder has 7 samples and data 6; give the "
        "data that was trained on", lambda: AUM(recorder=recorder(7)).fit(MODEL, DATA)),
    "epoch not recorded": (InvalidDataError, "epoch 20 was not recorded; choose one of 3 … 9 with "
        "epoch=...", lambda: EL2N(recorder=recorder()).fit()),
    "too many neighbours": (InvalidSettingError, "k is 6, and a sample has 5 neighbours; choose at "
        "most that many", lambda: DeepKNN(k=6).fit(MODEL, DATA)),
    "checkpoint of NaN": (InvalidModelError,
        "MeanMemberLoss is not finite at checkpoint 2 of 2, first for sample 0; check its "
"weights, or leave it out",
    lambda: MeanMemberLoss(checkpoints=[MODEL, diverged()]).fit(MODEL, DATA, progress=False)),
    "model of NaN": (InvalidModelError, "the trained model's loss is not finite for 6 of 6 samples",
        lambda: Loss().fit(diverged(), DATA)),
    # confident learning
    "no data": (InvalidDataError, "ConfidentLearning judges the labels of data, and got none; call "
        "fit(data=(x, y))", lambda: ConfidentLearning(probabilities=P).fit(MODEL)),
    "float labels": (InvalidDataError, "the data has no integer labels 0 … K−1, and this score "
        "judges labels; give (x, y)",
            lambda: ConfidentLearning(probabilities=P).fit(data=(X, X[:, 0]))),
    "named columns": (InvalidDataError,
        "cross-validation cuts the data into folds; give (x, y) arrays",
            lambda: ConfidentLearning(train=broken).fit(data={"x": X, "y": Y})),
    "too many folds": (InvalidSettingError, "folds is 7, and must be from 2 to the number of "
        "samples, 6", lambda: ConfidentLearning(train=broken, folds=7).fit(data=DATA)),
    "folds that miss samples": (InvalidDataError,
        "1 samples are in no fold and 2 in several; put every sample into exactly one, so that "
"each is scored once",
    lambda: ConfidentLearning(train=broken, folds=[[0, 1, 2], [1, 2, 3, 4]]).fit(data=DATA)),
    "folds that are none": (InvalidDataError, "some folds are no lists of positions 0 … 5; give "
        "the held-out samples",
            lambda: ConfidentLearning(train=broken, folds=[[0, 1], [2, 6]]).fit(data=DATA)),
    "a single given fold": (InvalidSettingError, "1 folds are given, and at least two are needed "
        "to train on the others",
            lambda: ConfidentLearning(train=broken, folds=[np.arange(6)]).fit(data=DATA)),
    "a recipe that fails": (InvalidModelError, "train failed on fold 1 (RuntimeError: no luck); it "
        "is called as train(x, y)",
            lambda: ConfidentLearning(train=broken, folds=2).fit(data=DATA, progress=False)),
    "models unlike each other": (InvalidModelError, "the models of the folds have 3 and 4 classes; "
        "let the recipe fix their number",
            lambda: ConfidentLearning(train=narrowing(), folds=2).fit(data=DATA, progress=False)),
    "too few classes": (InvalidDataError, "some labels are no classes; give integers 0 … 1, one "
        "per sample", lambda: ConfidentLearning(probabilities=np.full((6, 2), 0.5)).fit(data=DATA)),
    "samples not scored": (InvalidDataError,
        "2 rows are no probabilities, first that of sample 1; every sample needs a row of class "
"probabilities",
    lambda: confident_thresholds(Y, np.where(np.isin(np.arange(6), (1, 4))[:, None], np.nan, P))),
    "logits for probabilities": (InvalidDataError, "6 rows are no probabilities, first that of "
        "sample 0", lambda: label_quality(Y, X @ np.ones((2, 3)))),
    "unequal lengths": (InvalidDataError, "labels and probabilities have shapes (5,) and (6, 3); "
        "give (samples,) and (samples, K)", lambda: label_quality(Y[:5], P)),
    # threshold class
    "labels of the threshold class": (InvalidDataError, "the labels are no classes; give integers "
        "0 … K−1, one per sample", lambda: threshold_class(Y + 0.5)),
    "too few samples": (InvalidDataError, "3 samples of 3 classes are too few; at least 4 are "
        "needed", lambda: threshold_class([0, 1, 2])),
    "positions": (InvalidDataError, "the positions are not those of samples 0 … 5; give those of "
        "threshold_class", lambda: below_threshold_class(AUM(recorder=recorder()).fit(), [6])),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str) -> None:
    error, told, call = CASES[name]
    with pytest.raises(error, match=re.escape(told)) as raised:
        call()
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)


def test_unknown_samples_of_the_threshold_class_are_refused() -> None:
    made = Recorder(samples=2)
    made.add([0], logits=[[1.0, 0.0]], labels=[0])
    made.epoch()
    with pytest.raises(
        InvalidDataError, match="some samples of the threshold class were never recorded"
    ):
        below_threshold_class(AUM(recorder=made).fit(), [1])
