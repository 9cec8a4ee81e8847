"""Other weights for the members of one run: the ridge, and centred deviations."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gexcore as gx
from gexcore.errors import InvalidSettingError

RUN = {"chains": 2, "snapshots": 6, "lr": 0.02, "steps_per_snapshot": 4, "batch_size": 16}


@pytest.fixture(scope="module")
def found(trained: Any) -> gx.LossInfluence:
    test = trained.x[:7] + 0.1, trained.y[:7]
    return gx.GEX(**RUN, keep=6).fit(trained.model, trained.data, test=test, progress=False)


def test_the_ridge_is_written_out(found: gx.LossInfluence) -> None:
    tests = found.test_table
    assert tests is not None
    train = -np.log(np.expm1(np.clip(found.losses.astype(float), 1e-7, 50)))
    given = -np.log(np.expm1(np.clip(tests.losses.astype(float), 1e-7, 50)))
    train, given = train - train.mean(axis=0), given - given.mean(axis=0)
    q = (1 - np.exp(-np.clip(found.losses.astype(float), 1e-7, 50))).mean(axis=0)
    gram = train * (q * (1 - q) + 1e-9) @ train.T
    damped = gram + 0.3 * np.trace(gram) / train.shape[1] * np.eye(12)
    wanted = given.T @ np.linalg.solve(damped, train * q)
    ridge = found.weighted("ridge", center="ensemble", shrinkage=0)
    np.testing.assert_allclose(ridge.influence(), wanted, rtol=1e-8, atol=1e-12)
    assert not np.allclose(
        ridge.influence(), found.weighted("ridge", shrinkage=0).influence()
    )  # centred by chains


def test_the_shrinkage_is_written_out(found: gx.LossInfluence) -> None:
    raw = found.weighted("ridge", center="ensemble", shrinkage=0)
    tests, train = raw._pair(None)
    lengths = [
        np.linalg.norm(each.block(0, each.samples), axis=0) / np.sqrt(12) for each in (tests, train)
    ]
    plain = raw.influence()
    cosine = np.divide(plain, np.outer(*lengths), where=plain != 0, out=np.zeros_like(plain))
    wanted = plain * cosine**2 / (cosine**2 + 6 / 12)
    ours = found.weighted("ridge", center="ensemble").influence()
    np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-15)


def test_every_question_has_the_same_answer(found: gx.LossInfluence, trained: Any) -> None:
    ridge = found.weighted("ridge")
    whole = ridge.influence()
    blocks = [block for _, block in ridge.influence_blocks(size=10)]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole)
    np.testing.assert_allclose(ridge.mean_influence(), whole.mean(axis=0))
    sums = np.stack([whole[:, trained.y == k].sum(axis=1) for k in range(3)], axis=1)
    np.testing.assert_allclose(ridge.group_influence(trained.y), sums, atol=1e-12)
    np.testing.assert_array_equal(ridge.top(1).proponents[:, 0], whole.argmax(axis=1))
    new = trained.x[:7] + 0.1, trained.y[:7]
    np.testing.assert_allclose(ridge.influence(new), whole, rtol=1e-6)


def test_scores_stay_and_the_mean_is_the_papers(found: gx.LossInfluence) -> None:
    ridge = found.weighted("ridge")
    np.testing.assert_array_equal(ridge.suspicion(), found.suspicion())
    np.testing.assert_array_equal(ridge.self_influence(), found.self_influence())
    again = ridge.weighted("mean", center="checkpoint")
    assert again.weighting.is_papers
    tests = found.test_table
    assert tests is not None
    dev, given = found.deviations(), tests.bounded(found.floor, found.ceiling).block(0, 7)
    np.testing.assert_allclose(again.influence(), given.T @ dev / len(dev), atol=1e-12)
    centred = (given - given.mean(axis=0)).T @ (dev - dev.mean(axis=0)) / len(dev)
    np.testing.assert_allclose(
        found.weighted("mean", center="ensemble").influence(), centred, atol=1e-12
    )


def test_too_few_members_are_refused(trained: Any) -> None:
    few = gx.GEX(**{**RUN, "chains": 1, "snapshots": 2}).fit(
        trained.model, trained.data, progress=False
    )
    with pytest.raises(InvalidSettingError, match="a ridge needs at least 3"):
        few.weighted("ridge").influence()


@pytest.mark.parametrize("setting", ["strength", "shrinkage"])
@pytest.mark.parametrize("value", ["none", "6", None, -1, np.nan, np.ones(2)])
def test_a_number_may_be_auto_and_no_other_word(
    found: gx.LossInfluence, setting: str, value: Any
) -> None:
    with pytest.raises(InvalidSettingError, match=f"{setting} is .*, and must be a finite number"):
        found.weighted(**{setting: value})


@pytest.mark.parametrize("output", ["margin", "root", "loss"])
@pytest.mark.parametrize("center", ["chains", "ensemble"])
def test_members_that_are_alike_have_no_influence(
    found: gx.LossInfluence, output: Any, center: Any
) -> None:
    alike = np.tile(found.losses[:1], (12, 1))
    same = replace(found, table=replace(found.table, losses=alike), test_table=None, output=output)
    assert not same.weighted(center=center).influence().any()


def test_one_kept_member_of_each_chain_is_not_its_own_center(trained: Any) -> None:
    ensemble = gx.Relearning(chains=4, epochs=5, lr=0.1)
    found = gx.GEX(ensemble=ensemble, keep=1, weights="mean").fit(
        trained.model, trained.data, progress=False
    )
    assert found.members.chains.tolist() == [0, 1, 2, 3]
    assert found.weighted().weighting.center == "ensemble"
    related = found.related(np.arange(5), 2)
    assert related is not None
    assert related.proponents.shape == (5, 2)


def test_members_of_training_batches_are_evaluated_first(trained: Any) -> None:
    batches = gx.GEX(**{**RUN, "scoring": "training_batches"}).fit(
        trained.model, trained.data, progress=False
    )
    assert np.isnan(batches.losses).any()
    assert np.isfinite(batches.weighted("ridge").influence()).all()


def test_the_mean_of_a_chain_is_the_center_only_where_chains_have_members(trained: Any) -> None:
    draws = gx.Laplace(samples=12, damping=1.0).fit(trained.model, trained.data, progress=False)
    ridge = draws.weighted("ridge")
    assert ridge.weighting.center == "ensemble"
    assert np.abs(ridge.influence()).max() > 0
    with pytest.raises(InvalidSettingError, match="each chain has one member"):
        draws.weighted("ridge", center="chains").influence()
    mean = draws.weighted("mean")
    np.testing.assert_allclose(mean.influence(), np.cov(draws.deviations().T, ddof=0), atol=1e-9)


def test_every_form_of_a_result_says_which_weights_it_has(
    found: gx.LossInfluence, tmp_path: Path
) -> None:
    default = {"weights": "ridge", "center": "ensemble", "strength": 0.3, "shrinkage": 6.0}
    assert found.record()["weighting"] == default
    other = found.weighted(center="chains", strength=0.1, shrinkage=0)
    told = "ridge over members (center chains, strength 0.1, shrinkage 0)"
    asked = {**default, "center": "chains", "strength": 0.1, "shrinkage": 0}
    mean = found.weighted("mean", center="ensemble")
    for result, weighting, shown in (
        (other, asked, told),
        (mean, {"weights": "mean", "center": "ensemble"}, "mean over members (center ensemble)"),
    ):
        path = tmp_path / f"{result.weighting.weights}.npz"
        result.save(path)
        for form in (result, gx.load(path), pickle.loads(pickle.dumps(result))):
            assert form.record()["weighting"] == weighting
            assert shown in repr(form)
            assert shown not in repr(found)
        page = tmp_path / f"{result.weighting.weights}.html"
        result.report(page)
        assert f"center = {weighting['center']}" in page.read_text(encoding="utf-8")
    papers = found.weighted("mean", center="checkpoint")
    assert papers.record()["weighting"] == {"weights": "mean", "center": "checkpoint"}
    assert "E[Δ·Δ']" in repr(papers)
    papers.report(tmp_path / "papers.html")
    ridge_instead = "is by a ridge over members, and influence() by their mean"
    for name, said in (("papers", True), ("ridge", False)):
        text = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert (ridge_instead in text) == said
