"""Saved and pickled results: the same scores, no model, nothing that runs."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gexcore as gx
from gexcore.errors import InvalidDataError, MissingExtraError, OutputExistsError
from tests.influence.test_result import METHODS, SHORT


@pytest.fixture(params=METHODS, ids=lambda method: type(method).__name__)
def result(request: pytest.FixtureRequest, trained: Any) -> Any:
    return request.param.fit(trained.model, trained.data, progress=False)


def assert_same(found: Any, wanted: Any) -> None:
    assert found.columns().keys() == wanted.columns().keys()
    for name, column in wanted.columns().items():
        np.testing.assert_array_equal(found.columns()[name], column)
    np.testing.assert_array_equal(found.ranking(), wanted.ranking())
    np.testing.assert_array_equal(found.ranking(5), wanted.ranking(5))
    np.testing.assert_array_equal(found.suspects().indices, wanted.suspects().indices)
    assert found.suspects().threshold == wanted.suspects().threshold
    assert found.to_dict() == wanted.to_dict()
    assert found.record()["method"] == wanted.record()["method"]
    assert found.threshold_on == wanted.threshold_on
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame())
    assert found.to_xarray().identical(wanted.to_xarray())


def test_a_file_gives_back_the_result(result: Any, tmp_path: Path) -> None:
    result.save(tmp_path / "run.npz")
    found = gx.load(tmp_path / "run.npz")
    assert_same(found, result)
    np.testing.assert_array_equal(found.labels, result.labels)
    by_rate = found.suspects("known_rate", rate=0.2)
    refused = by_rate.threshold.value is None  # LOO of two samples leaves the others equal
    assert len(by_rate.indices) == (0 if refused else round(0.2 * len(found.labels)))
    with pytest.raises(OutputExistsError):
        result.save(tmp_path / "run.npz")
    found.save(tmp_path / "again.npz")
    assert_same(gx.load(tmp_path / "again.npz"), result)
    np.load(tmp_path / "run.npz", allow_pickle=False)


def test_a_pickle_holds_no_model(result: Any, trained: Any) -> None:
    held = pickle.dumps(result)
    assert b"MLP" not in held
    assert b"gexcore_numpy" not in held
    assert b"MLP" in pickle.dumps(trained.model)  # the control
    assert_same(pickle.loads(held), result)


def test_labels_and_index_are_the_users_own(trained: Any, tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat"])[trained.y]
    frame = pd.DataFrame(trained.x, index=[f"row {i}" for i in range(len(names))])
    frame.columns = [f"c{i}" for i in range(frame.shape[1])]
    wanted = gx.GEX(**SHORT).fit(
        trained.model, frame.assign(kind=names), label="kind", progress=False
    )
    wanted.save(tmp_path / "run.npz")
    found = gx.load(tmp_path / "run.npz")
    assert found.to_frame()["label"].tolist() == names.tolist()
    assert found.to_frame().index.tolist() == frame.index.tolist()
    data = found.to_xarray()
    assert data["losses"].dims == ("member", "sample")
    assert data["sample"].values.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(data["losses"], wanted.losses)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    np.savez(tmp_path / "c.npz", told=np.array([print], dtype=object))
    for name in "abc":
        with pytest.raises(InvalidDataError, match="was not written by save"):
            gx.load(tmp_path / f"{name}.npz")


def test_a_summary_for_notebooks_computes_nothing(result: Any, monkeypatch: Any) -> None:
    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    for name in ("suspects", "ranking", "columns"):
        monkeypatch.setattr(type(result), name, refuse)
    page = result._repr_html_()
    assert page.startswith("<table>")
    assert result.run.method in page
    assert "<Influence" not in page
    assert "<Scores" not in page


@pytest.mark.parametrize(("package", "method"), [("xarray", "to_xarray"), ("pandas", "to_frame")])
def test_a_missing_package_is_one_sentence(
    trained: Any, monkeypatch: pytest.MonkeyPatch, package: str, method: str
) -> None:
    found = gx.Loss().fit(trained.model, trained.data, progress=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"needs {package} .*pip install 'gexcore"):
        getattr(found, method)()


def test_what_needs_the_model_is_refused_in_a_sentence(trained: Any, tmp_path: Path) -> None:
    result = gx.GEX(chains=1, snapshots=2, lr=0.05).fit(trained.model, trained.data, progress=False)
    result.save(tmp_path / "run.npz")
    for saved in (gx.load(tmp_path / "run.npz"), pickle.loads(pickle.dumps(result))):
        with pytest.raises(AttributeError, match="has no 'influence': it has scores, and no model"):
            saved.influence(trained.data)
        assert not hasattr(saved, "relabel")
