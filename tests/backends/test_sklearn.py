"""The scikit-learn backend: the shipped laws, scikit-learn's own arithmetic, and GEX on real
digits."""

from __future__ import annotations

import copy
import doctest
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import Bunch

import gexcore as gx
import gexcore_sklearn.backend
from gexcore.backend.capabilities import require
from gexcore.backend.data import as_dataset
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import SupportsJvp
from gexcore.errors import InvalidDataError, InvalidModelError, MissingCapabilityError
from gexcore.testing import checks, optional
from gexcore.testing.compare import assert_close
from gexcore.testing.datasets import check_dataset
from gexcore.testing.problems import Problem, Toy
from gexcore.testing.suite import BackendTests
from gexcore_sklearn.backend import SklearnBackend
from gexcore_sklearn.demo import train
from tests.backends.ridge import check_ridge

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 5))
LABELS = RNG.permutation(np.arange(N) % 3)
NAMES = np.array(["cat", "dog", "ant"])[LABELS]
NUMBERS = X @ RNG.normal(size=5) + RNG.normal(size=N)


def fitted(estimator: Any, x: Any = X, y: Any = LABELS) -> Any:
    """The estimator after a few passes that are not meant to converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(x, y)


def network(toy: Toy) -> MLPClassifier | MLPRegressor:
    """The toy's model in scikit-learn."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": toy.model.sizes[1:-1], "activation": toy.model.activation,
            "alpha": 0.0, "max_iter": 1,
    }  # fmt: skip
    model = MLPClassifier(**settings) if toy.loss == "cross_entropy" else MLPRegressor(**settings)
    fitted(model, toy.x, toy.y)
    model.coefs_, model.intercepts_ = list(toy.model.weights), list(toy.model.biases)
    return model


class TestOracle(BackendTests):
    toys = ("softmax", "tanh", "regression_adamw", "float32_adamw")

    def build(self, toy: Toy) -> SklearnBackend:
        return SklearnBackend(network(toy), loss=toy.loss, optimizer=toy.optimizer)


class Softmax(ClassifierMixin, BaseEstimator):
    """An estimator of somebody else: steps on the mean, draws at random, reads lists only."""

    def __init__(
        self, learning_rate: float = 0.1, noise: float = 0.5, random_state: Any = None
    ) -> None:
        self.learning_rate = learning_rate
        self.noise = noise
        self.random_state = random_state

    def fit(self, x: list[list[float]], y: Any) -> Softmax:
        self.classes_ = np.unique(y)
        self.coef_ = np.zeros((len(x[0]), len(self.classes_)))
        return self.partial_fit(x, y)

    def partial_fit(self, x: list[list[float]], y: Any) -> Softmax:
        assert isinstance(x, list)
        kept = np.random.RandomState(self.random_state).rand(len(x), 1) > self.noise
        error = self.predict_proba(x) - (np.asarray(y)[:, None] == self.classes_)
        self.coef_ -= self.learning_rate * np.asarray(x).T @ (kept * error) / len(x)
        return self

    def predict_proba(self, x: list[list[float]]) -> NDArray[np.float64]:
        p = np.exp(np.asarray(x) @ self.coef_)
        return p / p.sum(1, keepdims=True)


def pipeline() -> Problem:
    # a scaler that writes into its inputs, and two classes
    model = make_pipeline(
        StandardScaler(copy=False), "passthrough", MLPClassifier((4,), max_iter=3, random_state=0)
    )
    backend = SklearnBackend(
        fitted(model, X.copy(), NAMES == "cat"), optimizer=Optimizer(name="adamw")
    )
    return Problem(backend, (X, NAMES == "cat"), lr=0.002)


# linear models of several classes descend on the sum of their losses one against the rest, which is
# close to the
# cross-entropy only where they have much to learn
LITTLE: dict[str, Any] = {
    "learning_rate": "constant",
    "eta0": 0.001,
    "max_iter": 1,
    "random_state": 0,
}


def log_loss() -> Problem:
    return Problem(
        SklearnBackend(fitted(SGDClassifier(loss="log_loss", **LITTLE), X, NAMES)), (X, NAMES)
    )


def hinge() -> Problem:
    model = SGDClassifier(
        average=True, class_weight="balanced", penalty="l1", max_iter=3, random_state=0
    )
    return Problem(SklearnBackend(fitted(model, X, LABELS > 0)), (X, LABELS > 0))


def perceptron() -> Problem:
    return Problem(SklearnBackend(fitted(Perceptron(max_iter=2, random_state=0))), (X, LABELS))


def linear_regression() -> Problem:
    backend = SklearnBackend(fitted(SGDRegressor(max_iter=1, random_state=0), X, NUMBERS))
    return Problem(backend, (X, NUMBERS), classifies=False)


def sparse_float32() -> Problem:
    x = sparse.csc_array(np.where(X > 0, X, 0).astype(np.float32))
    model = SGDClassifier(loss="modified_huber", **LITTLE)
    return Problem(
        SklearnBackend(fitted(model, x)),
        (sparse.csc_array(x), LABELS),
        lr=0.01,
        precision="float32",
    )


def foreign() -> Problem:
    return Problem(
        SklearnBackend(Softmax().fit(X.tolist(), NAMES)),
        (X.tolist(), NAMES),
        lr=0.2,
        stochastic=True,
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    make.__name__: make
    for make in (pipeline, log_loss, hinge, perceptron, linear_regression, sparse_float32, foreign)
}


class TestEstimators(BackendTests):
    # a linear model goes through its batch sample by sample: its decay is not exact
    laws = tuple(
        law for law in (*checks.LAWS, *optional.LAWS) if law is not optional.check_another_optimizer
    )

    @pytest.fixture(params=PROBLEMS)
    def problem(self, request: pytest.FixtureRequest) -> Problem:
        return PROBLEMS[request.param]()


@pytest.mark.parametrize("hidden", [(), (7,)])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_network_steps_as_its_own_partial_fit(hidden: tuple[int, ...], kind: Any) -> None:
    y = LABELS if kind is MLPClassifier else NUMBERS
    model = kind(
        hidden_layer_sizes=hidden,
        solver="sgd",
        nesterovs_momentum=False,
        alpha=0.3,
        max_iter=2,
        shuffle=False,
    )
    model = fitted(model, X, y)
    backend = SklearnBackend(model)
    state = backend.initial_state()
    own = copy.deepcopy(model)
    own.set_params(batch_size=8, learning_rate_init=0.01 if kind is MLPClassifier else 0.02)
    del own._optimizer
    for start in (0, 8, 16):
        rows = slice(start, start + 8)
        state = backend.sgd_step(state, (X[rows], y[rows]), lr=0.01, seed=0)
        own.partial_fit(X[rows], y[rows])
    for got, want in zip(
        state.estimator.coefs_ + state.estimator.intercepts_,
        own.coefs_ + own.intercepts_,
        strict=True,
    ):
        assert_close(got, want, 1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.4])
def test_a_linear_model_steps_by_its_own_partial_fit(weight_decay: float) -> None:
    model = fitted(
        SGDClassifier(loss="log_loss", penalty="l1", alpha=0.01, max_iter=2, random_state=0)
    )
    backend = SklearnBackend(model, optimizer=Optimizer(weight_decay=weight_decay))
    after = backend.sgd_step(backend.initial_state(), (X, LABELS), lr=0.3, seed=0).estimator
    own = copy.deepcopy(model).set_params(learning_rate="constant", eta0=0.3 / N, shuffle=False)
    if weight_decay:
        own.set_params(penalty="l2", alpha=weight_decay)
    own.partial_fit(X, LABELS)
    assert_close(after.coef_, own.coef_, 1e-12)
    assert_close(after.intercept_, own.intercept_, 1e-12)


def test_a_linear_model_steps_on_the_mean_loss_to_first_order() -> None:
    y = LABELS > 0
    model = fitted(SGDClassifier(loss="log_loss", penalty=None, max_iter=2, random_state=0), X, y)
    backend = SklearnBackend(model)
    p = model.predict_proba(X)[:, 1]
    gradient = X.T @ (p - y) / N
    for lr in (1e-3, 1e-5):
        after = backend.sgd_step(backend.initial_state(), (X, y), lr=lr, seed=0).estimator
        assert np.abs((model.coef_[0] - after.coef_[0]) / lr - gradient).max() < 50 * lr


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((4,), solver="lbfgs", max_iter=3),
        MLPClassifier((4,), early_stopping=True, warm_start=True, max_iter=3),
        MLPClassifier((4,), activation="logistic", solver="adam", batch_size=24, max_iter=3),
        MLPRegressor(
            hidden_layer_sizes=(4,),
            activation="identity",
            learning_rate="adaptive",
            solver="sgd",
            max_iter=3,
        ),
        SGDClassifier(
            warm_start=True, early_stopping=True, learning_rate="adaptive", eta0=0.1, max_iter=9
        ),
        SGDRegressor(loss="huber", average=7, max_iter=9),
    ],
    ids=lambda model: type(model).__name__,
)
def test_steps_do_not_depend_on_how_the_estimator_was_trained(model: Any) -> None:
    y = NUMBERS if isinstance(model, MLPRegressor | SGDRegressor) else LABELS
    backend = SklearnBackend(fitted(copy.deepcopy(model), X, y))
    state = backend.initial_state()
    batch = (X[:3], y[:3])
    np.random.seed(5)  # noqa: NPY002 (of the generator that must be left alone)
    first = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    after = backend.sgd_step(state, batch, lr=0.05, seed=0)
    assert backend.forward(after, batch).mean() < backend.forward(state, batch).mean()
    assert np.random.rand() == first  # noqa: NPY002


@pytest.mark.parametrize(
    "model", [MLPClassifier((4,), max_iter=2), SGDClassifier(loss="log_loss", max_iter=2)]
)
def test_divergence_shows_in_the_losses_alone(model: Any) -> None:
    backend = SklearnBackend(fitted(copy.deepcopy(model)))
    state = backend.initial_state()
    for seed in range(4):
        state = backend.sgd_step(state, (1e3 * X, LABELS), lr=1e306, seed=seed)
    assert not np.isfinite(backend.forward(state, (X, LABELS))).any()


class Counting(TransformerMixin, BaseEstimator):
    """Counts the samples it transforms."""

    seen = 0

    def fit(self, x: Any, y: Any = None) -> Counting:
        self.fitted_ = True
        return self

    def transform(self, x: Any) -> Any:
        Counting.seen += x.shape[0]
        return np.tanh(x)


def test_losses_are_scikit_learns_own_in_every_form_of_the_data() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = fitted(
        make_pipeline(FunctionTransformer(), Counting(), MLPClassifier((4,), max_iter=9)),
        frame,
        NAMES,
    )
    backend = SklearnBackend(model)
    p = model.predict_proba(frame)
    want = -np.log(p[np.arange(N), np.searchsorted(model.classes_, NAMES)])
    state = backend.initial_state()
    Counting.seen = 0
    for data in ((frame, pd.Series(NAMES)), (X, NAMES.tolist()), Bunch(data=frame, target=NAMES)):
        dataset = as_dataset(data, backend)
        check_dataset(dataset)
        assert_close(backend.forward(state, dataset.batch(np.arange(N))), want, 1e-12)
        assert (
            dataset.batch(np.array([2, 0])).y.tolist()
            == np.searchsorted(model.classes_, NAMES[[2, 0]]).tolist()
        )
    assert Counting.seen == 3 * N
    assert_close(backend.forward(state, (frame, NAMES)), want, 1e-12)


class Rows:
    """A dataset of the user's own."""

    def __len__(self) -> int:
        return N

    def batch(self, indices: NDArray[np.intp], /) -> tuple[Any, Any]:
        return X[indices], NAMES[indices]


class Jittered(Rows):
    """The same, with an augmentation."""

    def augmented(self, indices: NDArray[np.intp], /, *, seed: int) -> tuple[Any, Any]:
        return X[indices] + np.random.default_rng(seed).normal(size=(len(indices), 5)), NAMES[
            indices
        ]


@pytest.mark.parametrize("rows", [Rows(), Jittered()])
def test_datasets_of_the_users_own_are_encoded_too(rows: Any) -> None:
    backend = SklearnBackend(fitted(MLPClassifier((4,), max_iter=2, random_state=0), X, NAMES))
    dataset = as_dataset(rows, backend)
    check_dataset(dataset)
    assert_close(
        backend.forward(backend.initial_state(), dataset.batch(np.arange(N))),
        backend.forward(backend.initial_state(), (X, NAMES)),
        0.0,
    )
    result = gx.GEX(lr=0.01, snapshots=2, chains=1).fit(backend, rows, progress=False)
    assert np.isfinite(result.suspicion()).all()


def test_texts_are_taken_as_the_pipeline_takes_them() -> None:
    texts = [f"{name} {name[0]} word{i}" for i, name in enumerate(NAMES)]
    model = fitted(
        make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss", random_state=0)),
        texts,
        NAMES,
    )
    result = gx.GEX(chains=1, snapshots=4, lr=1.0).fit(
        SklearnBackend(model), (texts, NAMES), progress=False
    )
    p = model.predict_proba(texts)
    assert_close(
        result.checkpoint_losses,
        -np.log(p[np.arange(N), np.searchsorted(model.classes_, NAMES)]),
        1e-12,
    )
    assert result.run.count()["member"] == 4


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Images, given names of which a tenth are wrong, and which those are."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:600].astype(np.float32) / 16, y[:600]
    rng = np.random.default_rng(0)
    wrong = np.zeros(len(y), bool)
    wrong[rng.choice(len(y), len(y) // 10, replace=False)] = True
    given = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    return x, np.array([f"digit {label}" for label in given]), wrong


def test_gex_finds_wrong_names_of_digits(digits: tuple[NDArray[Any], ...]) -> None:
    x, names, wrong = digits
    model = fitted(
        MLPClassifier((64,), alpha=0.0, learning_rate_init=0.01, max_iter=200, random_state=0),
        x,
        names,
    )
    assert (model.predict(x) == names).all()
    before, x_before = pickle.dumps(model), x.copy()
    found = gx.GEX(chains=2).fit(model, (x, names), progress=False)
    assert found.run.backend == "sklearn"
    assert pickle.dumps(model) == before
    assert np.array_equal(x, x_before)
    by_loss = average_precision_score(wrong, found.checkpoint_losses)
    assert average_precision_score(wrong, found.suspicion()) > max(0.9, by_loss + 0.2)
    assert np.array_equal(model.classes_[found.labels], names)


def test_gex_runs_on_a_regression() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    wrong = rng.random(200) < 0.1
    given = np.sin(x).sum(1) + wrong * rng.choice([-3.0, 3.0], 200)
    network = MLPRegressor(
        hidden_layer_sizes=(64,), learning_rate_init=0.01, max_iter=200, random_state=0
    )
    model = fitted(make_pipeline(StandardScaler(), network), x, given)
    found = gx.GEX(chains=1).fit(model, (x, given), loss="squared_error", progress=False)
    assert found.run.count()["member"] > 0
    assert average_precision_score(wrong, found.suspicion()) > 2 * wrong.mean()


def test_the_demo_memorises_and_repeats(digits: tuple[NDArray[Any], ...]) -> None:
    x, names, _ = digits
    labels = np.unique(names[:200], return_inverse=True)[1]
    one, two = (train(x[:200].reshape(-1, 8, 8), labels, classes=10, seed=3) for _ in range(2))
    assert (one.predict(x[:200]) == labels).all()
    assert all(np.array_equal(a, b) for a, b in zip(one.coefs_, two.coefs_, strict=True))


def test_the_documented_example_runs() -> None:
    assert doctest.testmod(gexcore_sklearn.backend).failed == 0


def test_what_needs_derivatives_says_so() -> None:
    backend = SklearnBackend(fitted(SGDClassifier(max_iter=2)))
    with pytest.raises(
        MissingCapabilityError, match=r"GEXLin needs SupportsJvp \(jvp\), which backend 'sklearn'"
    ):
        require(backend, SupportsJvp, by="GEXLin")


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (
            lambda: fitted(GaussianNB()),
            {},
            "GaussianNB cannot take optimiser steps, since it has no learning rate",
        ),
        (
            lambda: fitted(RandomForestClassifier(2)),
            {},
            "RandomForestClassifier cannot .* since it has no partial_fit",
        ),
        (lambda: MLPClassifier(), {}, "MLPClassifier is not fitted; .* call fit first"),
        (
            lambda: fitted(MiniBatchKMeans(2, n_init=1)),
            {},
            "a MiniBatchKMeans; .* takes a classifier or a regressor",
        ),
        (lambda: "model", {}, "the model is a str"),
        (
            lambda: fitted(MLPClassifier(max_iter=1), X, X > 0),
            {},
            "MLPClassifier gives a sample several labels",
        ),
        (
            lambda: fitted(SGDClassifier()),
            {"loss": "squared_error"},
            "classifier is scored by 'cross_entropy'",
        ),
        (
            lambda: fitted(SGDRegressor()),
            {"loss": "cross_entropy"},
            "regressor is scored by 'squared_error'",
        ),
        (
            lambda: fitted(SGDClassifier()),
            {"optimizer": Optimizer(name="adamw")},
            "'adamw' needs an MLP: choose 'sgd'",
        ),
        (
            lambda: fitted(SGDClassifier()),
            {"optimizer": Optimizer(name=dict)},
            "choose 'sgd' or 'adamw'",
        ),
    ],
)
def test_models_that_cannot_be_used_are_refused_in_one_sentence(
    model: Callable[[], Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidModelError, match=message):
        SklearnBackend(model(), **settings)


FRAME = pd.DataFrame(X, columns=list("abcde"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (FRAME, np.where(NAMES == "dog", "eel", NAMES)),
            "label 'eel' is none of the 3 classes .*ant, cat, dog",
        ),
        ((FRAME, LABELS), r"label \d is none of the 3 classes"),
        ((FRAME, NAMES[:5]), "there are 24 inputs and 5 targets"),
        ((FRAME, np.stack([NAMES, NAMES], 1)), r"the labels have shape \(24, 2\)"),
        ((FRAME.where(FRAME < 1), NAMES), "the inputs cannot be read .*NaN"),
        ((X[:, :4], NAMES), "the inputs have 4 features, and the estimator was fitted with 5"),
        ((X, X, NAMES), "this one is 3 columns"),
    ],
)
def test_data_that_does_not_fit_is_refused_in_one_sentence(data: Any, message: str) -> None:
    backend = SklearnBackend(fitted(SGDClassifier(), FRAME, NAMES))
    with pytest.raises(InvalidDataError, match=message):
        as_dataset(data, backend)
    with pytest.raises(InvalidDataError, match=message):
        backend.forward(backend.initial_state(), data)


def test_a_pipeline_may_fill_in_what_is_missing() -> None:
    x = np.where(X > 1.5, np.nan, X)
    model = fitted(make_pipeline(SimpleImputer(), SGDClassifier()), x)
    assert len(as_dataset((x, LABELS), SklearnBackend(model))) == N


def test_targets_of_a_regression_are_finite_numbers() -> None:
    backend = SklearnBackend(fitted(SGDRegressor(), X, NUMBERS))
    with pytest.raises(
        InvalidDataError, match=r"the targets of a regression are numbers .* these are <U3"
    ):
        as_dataset((X, NAMES), backend)
    with pytest.raises(InvalidDataError, match="1 targets are not finite, the first at position 2"):
        as_dataset((X, np.where(np.arange(N) == 2, np.nan, NUMBERS)), backend)


def test_settings_and_fitted_steps_are_the_structure() -> None:
    from gexcore.backend.structure import structure_of

    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)

    def digest(activation: str, scale: float) -> str:
        last = MLPClassifier(4, activation=activation, random_state=0, max_iter=200, tol=1.0)
        model = make_pipeline(StandardScaler(), last).fit(scale * x, y)
        found = structure_of(SklearnBackend(model).structure())
        assert not found.unread
        return found.digest

    assert digest("relu", 1.0) == digest("relu", 1.0)
    assert len({digest("relu", 1.0), digest("tanh", 1.0), digest("relu", 2.0)}) == 3


@pytest.mark.parametrize("piped", [False, True])
def test_columns_are_found_by_their_names(piped: bool) -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = SGDClassifier(loss="log_loss", random_state=0)
    model = (make_pipeline(StandardScaler(), model) if piped else model).fit(frame, NAMES)
    backend = SklearnBackend(model)
    expected = backend.forward(backend.initial_state(), (frame, NAMES))
    moved = frame[list("ecadb")].assign(extra=0.0)
    np.testing.assert_array_equal(
        backend.forward(backend.initial_state(), (moved, NAMES)), expected
    )
    with pytest.raises(InvalidDataError, match="column 'c' is missing from the inputs; give"):
        backend.forward(backend.initial_state(), (frame.drop(columns="c"), NAMES))


def linear_models() -> list[Any]:
    regressors = [LinearRegression(), Ridge(), Lasso(0.01)]
    return [
        *(model.fit(X, NAMES) for model in (LogisticRegression(), LinearSVC(), RidgeClassifier())),
        LogisticRegression().fit(X, np.where(NAMES[0] == NAMES, "yes", "no")),
        *(model.fit(X, NUMBERS) for model in regressors),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, NAMES),
    ]


@pytest.mark.parametrize("model", linear_models(), ids=lambda model: type(model).__name__)
def test_a_linear_model_steps_as_a_network_with_its_coefficients(model: Any) -> None:
    with pytest.warns(UserWarning, match="takes no optimiser steps; its members are steps of"):
        backend = SklearnBackend(model)
    y = model.predict(X)
    state = backend.initial_state()
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        expected = -np.log(p[np.arange(N), p.argmax(1)])
        assert_close(backend.forward(state, (X, y)), expected, 1e-4)
    elif backend.class_names is None:
        assert_close(backend.forward(state, (X, y)), np.zeros(N), 1e-6)
    after = backend.sgd_step(state, (X, y), lr=0.05, seed=0)
    assert backend.forward(after, (X, y)).mean() < backend.forward(state, (X, y)).mean() + 1e-9
    before = copy.deepcopy(vars(model)).keys()
    assert vars(model).keys() == before


def test_a_model_whose_outputs_are_not_linear_has_no_twin() -> None:
    model = PoissonRegressor().fit(X, NUMBERS - NUMBERS.min())
    with pytest.raises(InvalidModelError, match="PoissonRegressor cannot take optimiser steps"):
        SklearnBackend(model)


def test_a_forest_is_told_what_works_and_it_does() -> None:
    forest = RandomForestClassifier(n_estimators=8, random_state=0)
    x, y = load_digits(return_X_y=True)
    x, y = x[:300], y[:300].astype(object)
    names = np.array([f"digit {k}" for k in y], dtype=object)
    names[7] = "digit 0"
    told = r"gexcore.ConfidentLearning\(train=RandomForestClassifier\(\)\).fit\(data=\(x, y\)\)"
    with pytest.raises(InvalidModelError, match=told):
        SklearnBackend(copy.deepcopy(forest).fit(x, names))
    scores = gx.ConfidentLearning(train=forest).fit(data=(x, names), progress=False)
    assert 7 in scores.ranking(20)
    assert scores.to_frame()["label"][7] == "digit 0"
    assert not hasattr(forest, "classes_")


def test_a_ridge_answers_for_all_members() -> None:
    check_ridge(train)


def test_relearning_ranks_wrong_labels_of_a_network_and_a_linear_model() -> None:
    x, y = load_digits(return_X_y=True)
    x, true = x[:600] / 16, y[:600]
    rng = np.random.default_rng(0)
    wrong = rng.random(600) < 0.1
    given = np.where(wrong, (true + rng.integers(1, 10, 600)) % 10, true)
    network = MLPClassifier((64,), alpha=0.0, max_iter=1000, random_state=0)
    linear = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=200, tol=None, random_state=0)
    # the linear model cannot memorise: there is little to win over the plain loss
    for model, gain in ((network, 0.1), (linear, -0.01)):
        found = gx.GEX(ensemble=gx.Relearning()).fit(
            fitted(model, x, given), (x, given), progress=False
        )
        assert found.run.chosen["left_chance"]
        plain = average_precision_score(wrong, found.checkpoint_losses)
        assert average_precision_score(wrong, found.suspicion()) > plain + gain


def test_a_model_that_only_partial_fit_can_change_has_the_geometric_ensemble() -> None:
    other = SklearnBackend(fitted(Softmax(), X.tolist()))
    found = gx.GEX(ensemble=gx.Relearning()).fit(other, (X.tolist(), LABELS), progress=False)
    assert found.run.chosen["ensemble"] == "geometric"
    assert found.run.chosen["lacks"] == ["training losses", "params"]


def test_an_optimizer_with_decay_leaves_no_decay_behind() -> None:
    backend = SklearnBackend(fitted(SGDClassifier(loss="log_loss", penalty=None, random_state=0)))

    def stepped(one: Any) -> Any:
        return one.ravel(one.sgd_step(one.initial_state(), (X, LABELS), lr=0.5, seed=0))

    before = stepped(backend)
    decayed = backend.with_optimizer(Optimizer(weight_decay=0.5))
    assert not np.allclose(stepped(decayed), before)
    np.testing.assert_array_equal(stepped(backend), before)
    np.testing.assert_array_equal(stepped(decayed.with_optimizer(Optimizer())), before)


def test_a_heavy_model_without_adamw_has_the_short_run_by_sgd() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 30
    x = rng.normal(size=(300, 8000)).astype(np.float32)
    x[np.arange(300), y] += 20
    model = fitted(SGDClassifier(loss="log_loss", max_iter=3, tol=None, random_state=0), x, y)
    found = gx.GEX(batch_size=128).fit(model, (x, y), progress=False)
    assert found.run.chosen["why"].endswith("so the run is short")
    assert found.run.chosen["optimizer"] == "sgd"
    with pytest.raises(InvalidModelError, match="the optimizer 'adamw' needs an MLP"):
        gx.GEX(batch_size=128, optimizer="adamw").fit(model, (x, y), progress=False)
