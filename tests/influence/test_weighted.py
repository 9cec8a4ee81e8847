"""Other weights for the members of one run: the ridge, and centred deviations."""

from __future__ import annotations

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
    square = (plain / np.outer(*lengths)) ** 2
    wanted = plain * square / (square + 6 / 12)
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
