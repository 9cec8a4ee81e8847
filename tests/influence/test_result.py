"""One contract for everything that a fit returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.influence import loss_influence
from gexcore.influence.result import Result

SHORT = {"chains": 2, "snapshots": 4, "steps_per_snapshot": 4, "lr": 0.05}


def trained_again(data: Any, start: Any, seed: int) -> Any:
    return start


METHODS = [
    gx.GEX(**SHORT),
    gx.GEXLin(**SHORT),
    gx.LiSSA(depth=5, scale=20.0, damping=0.1),
    gx.LOO(train=trained_again, indices=[0, 3]),
    gx.Loss(),
]


@pytest.fixture(params=METHODS, ids=lambda method: type(method).__name__)
def result(request: pytest.FixtureRequest, trained: Any) -> Any:
    return request.param.fit(trained.model, trained.data, progress=False)


def test_a_result_keeps_the_contract(result: Any, trained: Any) -> None:
    assert isinstance(result, Result)
    np.testing.assert_array_equal(result.labels, trained.y)
    columns = result.columns()
    assert {"index", "label", "suspect"} <= columns.keys()
    assert {len(column) for column in columns.values()} == {len(trained.y)}
    assert list(result.to_frame().columns) == list(columns)
    assert sorted(result.ranking()) == list(range(len(trained.y)))
    np.testing.assert_array_equal(result.ranking(5), result.ranking()[:5])
    np.testing.assert_array_equal(
        np.flatnonzero(columns["suspect"]), np.sort(result.suspects().indices)
    )
    assert result.record()["method"] == result.run.method
    assert result.threshold_on


def test_numbers_for_a_tracker_are_finite_and_plain(result: Any) -> None:
    numbers = result.to_dict()
    assert all(type(name) is str and type(value) is float for name, value in numbers.items())
    assert np.isfinite(list(numbers.values())).all()
    assert numbers["samples"] == len(result.labels)
    found = result.suspects()
    assert numbers["suspects"] == len(found.indices)
    assert ("threshold" in numbers) == (found.threshold.value is not None)


def test_solves_are_on_the_record_once_they_are_done(trained: Any) -> None:
    found = gx.LiSSA(depth=5, scale=20.0, damping=0.1).fit(*trained[:1], trained.data)
    before = found.record()["passes"]
    found.columns()
    after = found.record()["passes"]
    assert "hvp" not in before
    assert after["hvp"] == len(trained.y) * 5 * len(trained.y)


def test_a_repr_makes_no_diagnosis(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = gx.GEX(**SHORT).fit(trained.model, trained.data, progress=False)
    asked = []
    real = loss_influence.diagnose
    monkeypatch.setattr(loss_influence, "diagnose", lambda it: asked.append(1) or real(it))
    assert "diagnose()>" in repr(found)
    assert not asked
    findings = found.diagnose()
    assert asked == [1]
    assert f"diagnose(): {len(findings)} finding" in repr(found)
    assert asked == [1]


def test_gexlin_takes_no_bounds_of_losses() -> None:
    for setting in ({"floor": 0.3}, {"ceiling": 1.0}, {"keep": 5}):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            gx.GEXLin(**setting)
        gx.GEX(**setting)


def test_marks_may_name_labels(trained: Any, tmp_path: Any) -> None:
    names = np.array(["ant", "bee", "cat"])
    found = gx.GEX(**SHORT).fit(trained.model, trained.x, names[trained.y], progress=False)
    at = int(np.flatnonzero(trained.y == 0)[0])
    path = tmp_path / "marks.csv"
    path.write_text(f"index,label,mark,new_label\n{at},ant,wrong,cat\n", encoding="utf-8")
    cleaned = found.relabel("drop", [], marks=path)
    after = dict(zip(cleaned.indices.tolist(), cleaned.targets.tolist(), strict=True))
    assert after == {i: 2 if i == at else y for i, y in enumerate(trained.y.tolist())}
