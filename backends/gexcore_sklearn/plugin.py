"""The plugin of this backend. It imports no scikit-learn."""

from __future__ import annotations

from gexcore.backend import BackendSpec, hookimpl


@hookimpl
def gexcore_register_backend() -> BackendSpec:
    """The scikit-learn backend, for every estimator. It refuses estimators without steps."""
    return BackendSpec(
        name="sklearn",
        factory="gexcore_sklearn.backend:SklearnBackend",
        models=("sklearn.base.BaseEstimator",),
        requires=("sklearn",),
        hint="pip install 'gexcore[sklearn]'",
        demo="gexcore_sklearn.demo:train",
        limits="scikit-learn's estimators predict and take steps, but have no derivatives "
        "and no common inner layers",
        files={
            ".joblib": "gexcore_sklearn.files:read_pickle",
            ".pkl": "gexcore_sklearn.files:read_pickle",
            ".pickle": "gexcore_sklearn.files:read_pickle",
            ".skops": "gexcore_sklearn.files:read_skops",
        },
    )
