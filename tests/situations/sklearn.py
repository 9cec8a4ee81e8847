"""What users of scikit-learn pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

import gexcore as gx
from tests.situations.registry import Scored, Situations, blobs, fit, follow_the_readme

SITUATIONS = Situations("scikit-learn")
works, refused = SITUATIONS.works, SITUATIONS.refused

X, Y = (part.astype(kind) for part, kind in zip(blobs(), (float, int), strict=True))
NAMES = np.array(["ant", "bee", "cat"])[Y]
FRAME = pd.DataFrame(X, columns=list("abcd"))
MIXED = FRAME.assign(place=np.where(Y == 1, "here", "there"))
TARGET = X @ np.array([1.0, -1.0, 0.5, 2.0])
TWIN = "takes no optimiser steps; its members are steps of a network"


def network(**settings: Any) -> MLPClassifier:
    return MLPClassifier((8,), max_iter=20, random_state=0, tol=0.0, **settings)


def quiet(model: Any, x: Any, y: Any) -> Any:
    """The fitted model, without scikit-learn's own warnings."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(x, y)


def plain(model: Any, x: Any, y: Any) -> Any:
    """−log p of the given class by the model itself."""
    p = model.predict_proba(x)
    return -np.log(p[np.arange(len(y)), np.searchsorted(model.classes_, y)])


def squares(model: Any, x: Any, y: Any) -> Any:
    return (np.asarray(model.predict(x)).reshape(-1) - y) ** 2


# --- data -------------------------------------------------------------------------------------


@works("`fit(model, x, y)`, arrays")
def arrays() -> Any:
    model = quiet(network(), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


@works("labels that are words")
def words() -> Any:
    model = quiet(network(), X, NAMES)
    found = fit(model, X, NAMES)
    assert found.to_frame()["label"].tolist() == NAMES.tolist()
    return Scored(found, plain(model, X, NAMES))


@works('`fit(model, frame, label="species")`')
def frame() -> Any:
    model = quiet(network(), FRAME, NAMES)
    return Scored(
        fit(model, FRAME.assign(species=NAMES), label="species"), plain(model, FRAME, NAMES)
    )


@works("a frame whose columns are in another order than in the fit")
def order() -> Any:
    model = quiet(network(), FRAME, Y)
    return Scored(fit(model, FRAME[["d", "a", "c", "b"]], Y), plain(model, FRAME, Y))


@works("`load_iris()`, a Bunch")
def bunch() -> Any:
    data = load_iris()
    model = quiet(network(), data.data, data.target)
    return Scored(fit(model, data), plain(model, data.data, data.target))


@works("a list of lists, and a list of labels")
def lists() -> Any:
    model = quiet(network(), X, Y)
    return Scored(fit(model, X.tolist(), Y.tolist()), plain(model, X, Y))


@works("a sparse matrix")
def sparse() -> Any:
    x = scipy.sparse.csr_matrix(X)
    model = quiet(network(), x, Y)
    return Scored(fit(model, x, Y), plain(model, x, Y))


@works("labels as a column, shape (N, 1)")
def column() -> Any:
    model = quiet(network(), X, Y)
    return Scored(fit(model, X, Y[:, None]), plain(model, X, Y))


@works("`(x, y, sample_weight)`", "weights are left out")
def weights() -> Any:
    model = quiet(network(), X, Y)
    return Scored(fit(model, (X, Y, np.ones(len(Y)))), plain(model, X, Y))


@refused("a label that the estimator does not know", "give the labels as they were given to fit")
def unknown() -> Any:
    fit(quiet(network(), X, NAMES), X, np.where(NAMES == "ant", "dog", NAMES))


@refused("inputs of another width", "features")
def width() -> Any:
    fit(quiet(network(), X, Y), X[:, :2], Y)


@refused("a frame without a column of the fit", "give the columns of the fit")
def missing_column() -> Any:
    fit(quiet(network(), FRAME, Y), FRAME[["a", "b", "c"]], Y)


@refused("NaN in the inputs, without a step that fills them in", "give finite numbers")
def holes() -> Any:
    x = X.copy()
    x[3, 0] = np.nan
    fit(quiet(network(), X, Y), x, Y)


@refused("NaN in the targets of a regression", "first at position 5")
def nan_targets() -> Any:
    y = TARGET.copy()
    y[5] = np.nan
    fit(quiet(SGDRegressor(), X, TARGET), X, y)


# --- pipelines and searches -------------------------------------------------------------------


@works("a Pipeline that ends in a network")
def pipeline() -> Any:
    model = quiet(make_pipeline(StandardScaler(), network()), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


@works("a Pipeline with a ColumnTransformer, on a frame with words and missing values")
def columns() -> Any:
    table = MIXED.copy()
    table.loc[4, "a"] = np.nan
    chosen = ColumnTransformer(
        [("words", OneHotEncoder(), ["place"]), ("numbers", SimpleImputer(), list("abcd"))]
    )
    model = quiet(make_pipeline(chosen, network()), table, NAMES)
    return Scored(fit(model, table, NAMES), plain(model, table, NAMES))


@works("the same with its columns in another order and one more column")
def more_columns() -> Any:
    chosen = ColumnTransformer(
        [("words", OneHotEncoder(), ["place"]), ("numbers", "passthrough", list("abcd"))]
    )
    model = quiet(make_pipeline(chosen, network()), MIXED, NAMES)
    other = MIXED.assign(more=1)[["more", "d", "place", "c", "b", "a"]]
    return Scored(fit(model, other, NAMES), plain(model, MIXED, NAMES))


@works("texts, with a TfidfVectorizer")
def texts() -> Any:
    said = [f"word{k} word{k} other{i % 5}" for i, k in enumerate(Y)]
    model = quiet(make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss")), said, Y)
    return Scored(fit(model, said, Y), plain(model, said, Y))


@works("a GridSearchCV: its best estimator")
def grid() -> Any:
    model = quiet(GridSearchCV(network(), {"alpha": [1e-4, 1e-3]}, cv=2), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


@works("a RandomizedSearchCV over a Pipeline")
def randomised() -> Any:
    inner = make_pipeline(StandardScaler(), network())
    search = RandomizedSearchCV(inner, {"mlpclassifier__alpha": [1e-4, 1e-3]}, n_iter=2, cv=2)
    model = quiet(search, X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


# --- estimators -------------------------------------------------------------------------------


@works('`SGDClassifier(loss="log_loss")`')
def sgd() -> Any:
    model = quiet(SGDClassifier(loss="log_loss", random_state=0, alpha=0.1), X, Y)
    found = fit(model, X, Y)
    np.testing.assert_allclose(found.checkpoint_losses, plain(model, X, Y), rtol=1e-3)


@works('`SGDClassifier(loss="hinge")`: the softmax of its decisions')
def hinge() -> Any:
    model = quiet(SGDClassifier(random_state=0, alpha=0.1), X, Y)
    scores = model.decision_function(X)
    losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(Y)), Y]
    return Scored(fit(model, X, Y), losses)


@works("`MLPRegressor`")
def regressor() -> Any:
    model = quiet(MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0), X, TARGET)
    return Scored(fit(model, X, TARGET), squares(model, X, TARGET))


@works("`SGDRegressor`")
def sgd_regressor() -> Any:
    model = quiet(SGDRegressor(random_state=0), X, TARGET)
    return Scored(fit(model, X, TARGET), squares(model, X, TARGET))


@works("`LogisticRegression`: a twin with its coefficients takes the steps", TWIN)
def logistic() -> Any:
    model = quiet(LogisticRegression(), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


@works("`LogisticRegression` of two classes", TWIN)
def logistic_two() -> Any:
    y = (Y == 1).astype(int)
    model = quiet(LogisticRegression(), X, y)
    return Scored(fit(model, X, y), plain(model, X, y))


@works("`LogisticRegressionCV`", TWIN)
def logistic_cv() -> Any:
    model = quiet(LogisticRegressionCV(Cs=2, cv=2), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


@works("a Pipeline that ends in `LogisticRegression`", TWIN)
def logistic_pipeline() -> Any:
    model = quiet(make_pipeline(StandardScaler(), LogisticRegression()), X, NAMES)
    return Scored(fit(model, X, NAMES), plain(model, X, NAMES))


@works("`LinearSVC`", TWIN)
def linear_svc() -> Any:
    fit(quiet(LinearSVC(), X, Y), X, Y)


@works("`RidgeClassifier`", TWIN)
def ridge_classifier() -> Any:
    fit(quiet(RidgeClassifier(), X, Y), X, Y)


@works("`LinearDiscriminantAnalysis`", TWIN)
def discriminant() -> Any:
    model = quiet(LinearDiscriminantAnalysis(), X, Y)
    return Scored(fit(model, X, Y), plain(model, X, Y))


def linear_regressions() -> None:
    kinds = {"LinearRegression": LinearRegression(), "Ridge": Ridge(), "Lasso": Lasso(0.01),
             "ElasticNet": ElasticNet(0.01)}  # fmt: skip
    for name, kind in kinds.items():

        def run(kind: Any = kind) -> Any:
            model = quiet(kind, X, TARGET)
            return Scored(fit(model, X, TARGET), squares(model, X, TARGET))

        run.__name__ = name.lower()
        works(f"`{name}`", TWIN)(run)


linear_regressions()

OFFERED = {
    "RandomForestClassifier": RandomForestClassifier(10, random_state=0),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(max_iter=3),
    "GradientBoostingClassifier": GradientBoostingClassifier(n_estimators=3),
    "DecisionTreeClassifier": DecisionTreeClassifier(random_state=0),
    "KNeighborsClassifier": KNeighborsClassifier(3),
    "SVC(probability=True)": SVC(probability=True, random_state=0),
    "GaussianNB": GaussianNB(),
    "VotingClassifier": VotingClassifier(
        [("a", GaussianNB()), ("b", KNeighborsClassifier(3))], voting="soft"
    ),
    "OneVsRestClassifier": OneVsRestClassifier(LogisticRegression()),
    "LGBMClassifier": LGBMClassifier(n_estimators=3, min_child_samples=2, verbose=-1, n_jobs=1),
    "XGBClassifier": XGBClassifier(n_estimators=3, n_jobs=1),
}  # fmt: skip


def offers() -> None:
    for name, kind in OFFERED.items():

        def run(kind: Any = kind) -> Any:
            fit(quiet(kind, X, Y), X, Y)

        def alone(kind: Any = kind) -> Any:
            found = gx.ConfidentLearning(train=kind, folds=2).fit(data=(X, Y), progress=False)
            assert found.suspicion().shape == (len(Y),)

        short = "".join(c for c in name.lower() if c.isalpha())
        run.__name__, alone.__name__ = f"{short}_steps", f"{short}_alone"
        refused(f"`GEX` with a `{name}`", "gexcore.ConfidentLearning(train=")(run)
        works(f"`ConfidentLearning(train={name}…)`, as the sentence offers")(alone)


offers()


@refused("`GEX` with a `MultinomialNB` in a Pipeline", "gexcore.ConfidentLearning(train=")
def multinomial() -> Any:
    fit(quiet(make_pipeline(MultinomialNB()), abs(X), Y), abs(X), Y)


@works("`ConfidentLearning(train=pipeline)` on a frame with words")
def confident_pipeline() -> Any:
    chosen = ColumnTransformer([("words", OneHotEncoder(), ["place"])], remainder="passthrough")
    model = make_pipeline(chosen, RandomForestClassifier(5, random_state=0))
    found = gx.ConfidentLearning(train=model, folds=2).fit(data=(MIXED, NAMES), progress=False)
    assert found.suspicion().shape == (len(Y),)


@works("`ConfidentLearning(train=XGBClassifier…)` with labels that are words")
def confident_words() -> Any:
    model = XGBClassifier(n_estimators=3, n_jobs=1)
    found = gx.ConfidentLearning(train=model, folds=2).fit(data=(X, NAMES), progress=False)
    assert found.suspicion().shape == (len(Y),)


@refused("`GEX` with an `LGBMRegressor`", "GEX takes")
def lightgbm_regressor() -> Any:
    fit(quiet(LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1), X, TARGET), X, TARGET)


@refused("`GEX` with an `XGBRegressor`", "GEX takes")
def xgboost_regressor() -> Any:
    fit(quiet(XGBRegressor(n_estimators=3, n_jobs=1), X, TARGET), X, TARGET)


@refused("`GEX` with a `RandomForestRegressor`", "GEX takes")
def forest_regressor() -> Any:
    fit(quiet(RandomForestRegressor(5), X, TARGET), X, TARGET)


@refused("`GEX` with an `SVR`", "GEX takes")
def svr() -> Any:
    fit(quiet(SVR(), X, TARGET), X, TARGET)


@refused("`GEX` with a `TransformedTargetRegressor`", "GEX takes")
def transformed() -> Any:
    fit(quiet(TransformedTargetRegressor(SGDRegressor()), X, TARGET), X, TARGET)


@refused("an estimator that was not fitted", "call fit first")
def unfitted() -> Any:
    fit(network(), X, Y)


@refused("a search that was not fitted", "call fit first")
def unfitted_search() -> Any:
    fit(GridSearchCV(network(), {"alpha": [1e-4]}), X, Y)


@refused("a clusterer", "takes a classifier or a regressor")
def clusterer() -> Any:
    fit(quiet(KMeans(2, n_init=1), X, None), X, Y)


@refused("an `MLPClassifier` with several labels per sample", "only one label per sample")
def multi_label() -> Any:
    y = np.eye(3, dtype=int)[Y]
    fit(quiet(network(), X, y), X, y)


@refused('`loss="squared_error"` for a classifier', "leave loss out")
def wrong_loss() -> Any:
    fit(quiet(network(), X, Y), X, Y, loss="squared_error")


@works("the README's example with a Pipeline, on a frame")
def readme() -> None:
    slow = MLPClassifier((8,), max_iter=300, learning_rate_init=0.02, random_state=0)
    model = quiet(make_pipeline(StandardScaler(), slow), FRAME, NAMES)
    follow_the_readme(model, FRAME, NAMES)
