"""Why this one: the samples most related to a sample, on its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import gexcore as gx
from gexcore.errors import InvalidDataError
from gexcore.report.related import read_related, stored_related
from gexcore_numpy import MLP, NumpyBackend


@pytest.fixture(scope="module")
def run() -> gx.LossInfluence:
    """Three clouds of pictures; every twelfth label is wrong, and learnt by heart."""
    rng = np.random.default_rng(0)
    true = np.arange(96) % 3
    x = np.clip(rng.random((3, 16))[true] + 0.15 * rng.normal(size=(96, 16)), 0, 1)
    y = np.where(np.arange(96) % 12 == 0, (true + 1) % 3, true)
    backend = NumpyBackend(MLP.init((16, 32, 3), seed=1))
    state = backend.initial_state()
    for seed in range(400):
        batch = np.random.default_rng(seed).permutation(96)[:16]
        state = backend.sgd_step(state, (x[batch], y[batch]), lr=0.1, seed=seed)
    return gx.GEX().fit(backend.to_model(state), (x, y), progress=False)


def test_relations_are_influences_on_the_same_samples(run: gx.LossInfluence) -> None:
    positions = run.ranking(5)
    top = run.related(positions, 4)
    assert top is not None
    assert run.weighting.weights == "ridge"
    influence = run.influence()[positions]
    expected = np.sort(influence, axis=1)
    np.testing.assert_allclose(top.proponent_values, expected[:, ::-1][:, :4])
    np.testing.assert_allclose(top.opponent_values, expected[:, :4])


def test_opponents_of_a_wrong_label_rarely_have_it(run: gx.LossInfluence) -> None:
    assert run.labels is not None
    wrong = run.labels != np.arange(96) % 3
    suspects = np.flatnonzero(wrong)
    top = run.related(suspects, 5)
    assert top is not None
    against = (run.labels[top.opponents] == run.labels[suspects][:, None]).mean()
    assert against < 1 / 3  # a random sample has it in a third of the cases


def test_a_card_shows_them(
    run: gx.LossInfluence, tmp_path: Path, visit: Callable[..., Page], data_of: Any
) -> None:
    path = run.report(tmp_path / "audit.html", renderer=lambda row: row.reshape(4, 4))
    related = data_of(path)["related"]
    assert len(related) == 96
    page = visit(path)
    card = page.locator(".card").first
    own = int(card.get_attribute("data-position") or -1)
    assert card.locator(".why li").count() == 0
    card.get_by_text("Why this one").click()
    shown = card.locator(".why li").evaluate_all(
        "all => all.map(li => Number(li.dataset.position))"
    )
    assert shown == related[0][0] + related[0][1]
    assert len(shown) == 8
    assert own not in shown
    assert card.locator(".why li img").count() == 8
    assert Axe().run(page).response["violations"] == []


def test_a_score_without_members_has_none(
    run: gx.LossInfluence, tmp_path: Path, visit: Callable[..., Page], data_of: Any
) -> None:
    found = gx.Loss().fit(MLP.init((16, 3), seed=0), (run.data.batch(np.arange(96))))
    path = found.report(tmp_path / "audit.html")
    assert data_of(path)["related"] == []
    assert visit(path).locator(".why").count() == 0


def test_a_folder_keeps_them(run: gx.LossInfluence, tmp_path: Path) -> None:
    (name, content), *_ = stored_related(run.ranking(), run.related).items()
    (tmp_path / name).write_bytes(content)
    import hashlib

    record = {"files": {name: hashlib.sha256(content).hexdigest()}}
    related = read_related(tmp_path, record, 96)
    assert related is not None
    top, expected = related(run.ranking(), 5), run.related(run.ranking(), 5)
    assert top is not None
    assert expected is not None
    np.testing.assert_array_equal(top.proponents, expected.proponents)
    np.testing.assert_array_equal(top.opponents, expected.opponents)
    assert related(np.array([97]), 5) is None
    assert read_related(tmp_path, {"files": {}}, 96) is None
    with pytest.raises(InvalidDataError, match="its positions are not those of the samples"):
        read_related(tmp_path, record, 5)
    (tmp_path / name).write_text(json.dumps({"index": []}))
    with pytest.raises(InvalidDataError, match="not what the run wrote"):
        read_related(tmp_path, record, 96)


def test_ties_at_the_top_are_told(make_audit: Any) -> None:
    from gexcore.report.runcard import notes

    audit = make_audit(300)
    said = "samples have the same score"
    assert not any(said in note for note in notes(audit, listed=300, shown=None))
    clipped = make_audit(300, suspicion=np.minimum(audit.suspicion, 2.5))
    (note,) = [note for note in notes(clipped, listed=300, shown=None) if said in note]
    assert note.startswith(f"The first {(audit.suspicion >= 2.5).sum()} samples")
