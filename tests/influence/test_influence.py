"""Every view of a table of losses, against a brute-force computation of what it claims to be."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gexcore.backend.data import ArrayDataset
from gexcore.deviations.halves import split_half
from gexcore.deviations.table import LossTable
from gexcore.ensembles.chain import Snapshot
from gexcore.ensembles.members import Members
from gexcore.ensembles.plan import Plan
from gexcore.ensembles.skill import default_clip
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.evaluation.passes import Passes
from gexcore.evaluation.statistics import Refresher
from gexcore.influence.loss_influence import LossInfluence as Influence
from gexcore.influence.record import Run
from gexcore_numpy import MLP, NumpyBackend

Floats = NDArray[np.float64]
laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def influence_of(
    losses: Any,
    base: Any,
    *,
    chains: Any = None,
    weights: Any = None,
    tests: LossTable | None = None,
    **fields: Any,
) -> Influence:
    """The result of a run that found these losses and kept no state."""
    losses, base = np.asarray(losses, float), np.asarray(base, float)
    chains = np.arange(len(losses)) if chains is None else np.asarray(chains)
    n = len(base)
    backend = NumpyBackend(MLP([np.zeros((2, 3))], [np.zeros(3)]))
    data = ArrayDataset(np.zeros((n, 2)), np.zeros(n, int))
    members = Members(
        backend, Refresher(backend, data, seed=0), 512, np.empty(0, int), np.empty(0, int), []
    )
    plan = Plan(
        chains=1, snapshots=1, steps=1, warmups=0, batch_size=1, scoring="evaluated", seed=0
    )
    snapshots = tuple(Snapshot(int(c), i, 0.1, 0.8, 0.5, "member") for i, c in enumerate(chains))
    run = Run("GEX", {}, plan, "numpy", n, 3, snapshots, Passes(), 0.0)
    fields = {"labels": None, "clip": 3.0, "test_table": tests, **fields}
    return Influence(
        LossTable(losses, base, chains, weights),
        base,
        data=data,
        members=members,
        run=run,
        **fields,
    )


def random_table(
    seed: int, members: int = 5, samples: int = 7, *, missing: float = 0.0
) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    losses = rng.gamma(1.0, 1.5, (members, samples))
    losses[rng.random(losses.shape) < missing] = np.nan
    return losses, rng.gamma(1.0, 0.3, samples)


@laws
@given(
    seed=st.integers(0, 10**6),
    floor=st.sampled_from([0.0, 0.05, 0.5]),
    ceiling=st.sampled_from([0.6, 2.0, math.inf]),
    clip=st.floats(0.1, 5.0),
)
def test_scores_are_means_over_the_members_that_saw_a_sample(
    seed: int, floor: float, ceiling: float, clip: float
) -> None:
    losses, base = random_table(seed, missing=0.4)
    found = influence_of(losses, base, floor=floor, ceiling=ceiling)
    assert len(found) == 7
    for i in range(7):
        seen = [float(loss) for loss in losses[:, i] if not math.isnan(loss)]
        squares = [(min(loss, ceiling) - min(max(base[i], floor), ceiling)) ** 2 for loss in seen]
        # five members: θ* takes three of the eight places
        clipped = [0.625 * min(loss, clip) + 0.375 * min(base[i], clip) for loss in seen] or [
            min(base[i], clip)
        ]
        wanted = math.fsum(squares) / len(seen) if seen else math.nan
        assert found.self_influence()[i] == pytest.approx(wanted, nan_ok=True)
        assert found.suspicion(clip=clip)[i] == pytest.approx(math.fsum(clipped) / len(clipped))
    deviations = np.minimum(losses, ceiling) - np.clip(base, floor, ceiling)
    np.testing.assert_allclose(found.deviations(), deviations)
    printed = influence_of(losses, base).self_influence()
    np.testing.assert_array_equal(found.self_influence(floor=0.0, ceiling=np.inf), printed)
    np.testing.assert_array_equal(found.suspicion(), found.suspicion(clip=3.0))


@laws
@given(seed=st.integers(0, 10**6), floor=st.sampled_from([None, 0.0, 0.5]))
def test_self_influence_is_the_squared_mean_deviation_and_the_variance_about_it(
    seed: int, floor: float | None
) -> None:
    losses, base = random_table(seed, missing=0.3)
    found = influence_of(losses, base, floor=0.05)
    mean, variance = (
        found.mean_deviation(floor=floor),
        found.self_influence(center="ensemble", floor=floor),
    )
    np.testing.assert_allclose(found.self_influence(floor=floor), mean**2 + variance, atol=1e-12)
    delta = losses - np.maximum(base, 0.05 if floor is None else floor)
    seen = ~np.isnan(losses).all(axis=0)
    np.testing.assert_allclose(mean[seen], np.nanmean(delta[:, seen], axis=0))
    np.testing.assert_allclose(variance[seen], np.nanvar(delta[:, seen], axis=0), atol=1e-12)
    np.testing.assert_allclose(
        found.absolute_deviation(floor=floor)[seen], np.nanmean(abs(delta[:, seen]), axis=0)
    )
    for score in (mean, variance, found.absolute_deviation()):
        assert np.isnan(score[~seen]).all()


def test_the_variance_about_the_ensemble_does_not_see_a_common_rise() -> None:
    losses, base = random_table(3)
    higher = influence_of(losses + 2.0, base)
    centred = influence_of(losses, base).self_influence(center="ensemble")
    np.testing.assert_allclose(higher.self_influence(center="ensemble"), centred)
    assert (higher.self_influence() > centred + 1.0).all()


def test_intervals_have_the_score_in_their_middle_and_grow_with_the_level() -> None:
    found = influence_of(*random_table(0))
    for of in ("suspicion", "self_influence"):
        low, high = found.confidence_interval(0.9, of=of)  # type: ignore[arg-type]
        wider = found.confidence_interval(0.95, of=of)  # type: ignore[arg-type]
        scores = found.suspicion() if of == "suspicion" else found.self_influence()
        known = ~np.isnan(found.standard_error(of=of))  # type: ignore[arg-type]
        assert known.any()
        middle = (low + high) / 2 if of == "suspicion" else np.sqrt(low * high)
        np.testing.assert_allclose(middle[known], scores[known])
        assert (wider[0] <= low)[known].all()
        assert (wider[1] >= high)[known].all()
        assert np.isnan(low[~known]).all()


def test_views_that_do_not_exist_are_refused() -> None:
    found = influence_of(*random_table(0))
    with pytest.raises(
        InvalidSettingError, match="center is 'mean'; allowed are 'checkpoint' and 'ensemble'"
    ):
        found.self_influence(center="mean")  # type: ignore[arg-type]
    with pytest.raises(
        InvalidSettingError, match="floor is -1, and must be 0, which is none, or above"
    ):
        found.mean_deviation(floor=-1)
    with pytest.raises(InvalidSettingError, match="ceiling is -1, and must be above the floor"):
        found.absolute_deviation(ceiling=-1)
    with pytest.raises(
        InvalidSettingError, match="no reliability of 'loss'; allowed are 'suspicion' and"
    ):
        found.reliability(of="loss")  # type: ignore[arg-type]


def test_reliability_is_that_of_the_rows_a_score_is_the_mean_of() -> None:
    losses, base = random_table(4, members=8, samples=40)
    chains = np.repeat(np.arange(4), 2)
    found = influence_of(losses, base, chains=chains, clip=1.5, floor=0.3)
    assert found.reliability() == pytest.approx(
        split_half([(slice(0, 40), np.minimum(losses, 1.5))], chains)
    )
    squares = (losses - np.maximum(base, 0.3)) ** 2
    wanted = split_half([(slice(0, 40), squares)], chains, squares=True)
    assert found.reliability(of="self_influence") == pytest.approx(wanted)
    assert math.isnan(influence_of(losses[:1], base).reliability())


@pytest.mark.parametrize("of", ["suspicion", "self_influence", "suspects"])
def test_no_second_table_is_held(of: str) -> None:
    losses = np.random.default_rng(0).gamma(0.3, 1.0, (128, 20_000)) + 2 * (
        np.arange(20_000) % 10 == 0
    )
    found = influence_of(losses, losses[0] / 2)
    influence_of(losses[:, :400], losses[0, :400] / 2).suspects()  # imports are not counted
    tracemalloc.start()
    try:
        assert (
            len(found.suspects().indices) == 2000
            if of == "suspects"
            else found.reliability(of=of) > 0.5
        )  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        wasteful = losses + 1  # the control
        assert tracemalloc.get_traced_memory()[1] >= losses.nbytes
    finally:
        tracemalloc.stop()
    assert len(wasteful) == 128
    assert peak < losses.nbytes / 3


def test_suspects_are_found_once_and_handed_out_as_copies() -> None:
    losses = np.random.default_rng(0).gamma(0.3, 0.1, (8, 400)) + 2.5 * (np.arange(400) % 10 == 0)
    found = influence_of(losses, losses[0])
    first = found.suspects()
    before = first.indices.copy()
    first.indices[:] = -1
    losses[:] = 0.0  # nothing would be found in these
    np.testing.assert_array_equal(found.suspects().indices, before)
    assert len(before) == 40
    assert found.suspects("otsu").threshold.method == "refused"
    with pytest.raises(InvalidSettingError, match="leave rate out"):
        found.suspects(rate=0.1)


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_standard_errors_leave_out_one_chain_at_a_time(missing: float) -> None:
    losses, base = random_table(4, members=9, missing=missing)
    chains = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    found = influence_of(losses, base, chains=chains, floor=0.05, clip=1.5)
    clipped, squares = np.minimum(losses, 1.5), (losses - np.maximum(base, 0.05)) ** 2
    for of, rows in [("suspicion", clipped), ("self_influence", squares)]:
        without = np.array([np.nanmean(rows[chains != chain], axis=0) for chain in range(3)])
        wanted = np.sqrt(2 / 3 * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        every = np.array(
            [np.isfinite(rows[chains == chain]).any(axis=0) for chain in range(3)]
        ).all(axis=0)
        assert every.sum() > 3
        np.testing.assert_allclose(found.standard_error(of=of)[every], wanted[every])
    np.testing.assert_array_equal(found.standard_error(), found.standard_error(of="suspicion"))
    with pytest.raises(
        InvalidSettingError, match="no standard error of 'loss'; allowed are 'suspicion' and"
    ):
        found.standard_error(of="loss")  # type: ignore[arg-type]


@laws
@given(
    seed=st.integers(0, 10**6),
    bounds=st.sampled_from([(0.0, math.inf), (0.3, math.inf), (0.1, 0.9)]),
    weighted=st.booleans(),
    size=st.integers(1, 9),
)
def test_influence_is_the_mean_product_of_deviations(
    seed: int, bounds: tuple[float, float], weighted: bool, size: int
) -> None:
    floor, ceiling = bounds

    def delta(loss: float, at_checkpoint: float) -> float:
        return min(loss, ceiling) - min(max(at_checkpoint, floor), ceiling)

    train, base = random_table(seed)
    test, test_base = random_table(seed + 1, samples=3)
    weights = np.random.default_rng(seed).uniform(-1, 1, 5) if weighted else None
    table = LossTable(test, test_base, np.arange(5), weights)
    found = influence_of(train, base, weights=weights, tests=table, floor=floor, ceiling=ceiling)
    w = np.ones(5) if weights is None else weights
    matrix = found.influence()
    assert matrix.shape == (3, 7)
    for t in range(3):
        for i in range(7):
            products = [
                w[m] * delta(test[m, t], test_base[t]) * delta(train[m, i], base[i])
                for m in range(5)
            ]
            assert matrix[t, i] == pytest.approx(math.fsum(products) / np.abs(w).sum())
    blocks = list(found.influence_blocks(size=size))
    assert [part.start for part, _ in blocks] == list(range(0, 7, size))
    np.testing.assert_allclose(
        np.concatenate([block for _, block in blocks], axis=1), matrix, rtol=1e-12
    )


def test_without_test_data_it_is_the_matrix_of_the_training_set() -> None:
    losses, base = random_table(0)
    found = influence_of(losses, base)
    matrix = found.influence()
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), found.self_influence())


def test_group_influence_sums_over_the_samples_of_a_group() -> None:
    losses, base = random_table(1, samples=7)
    found = influence_of(losses, base)
    names = np.array(["eve", "ann", "eve", "bob", "ann", "eve", "bob"])
    matrix, summed = found.influence(), found.group_influence(names)
    assert summed.shape == (7, 3)
    for column, name in enumerate(["ann", "bob", "eve"]):
        np.testing.assert_allclose(summed[:, column], matrix[:, names == name].sum(axis=1))
    with pytest.raises(
        InvalidDataError, match=r"groups has shape \(3,\) for 7 samples; give one group per sample"
    ):
        found.group_influence(names[:3])


def test_mean_influence_is_that_on_the_mean_loss_of_a_test_set() -> None:
    losses, base = random_table(2, samples=7)
    found = influence_of(losses, base)
    np.testing.assert_allclose(found.mean_influence(), found.influence().mean(axis=0))
    deviations = found.deviations()
    on_mean = (deviations * deviations.mean(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(found.mean_influence(), on_mean)


@laws
@given(seed=st.integers(0, 10**6), k=st.integers(1, 7))
def test_top_are_the_largest_and_the_smallest(seed: int, k: int) -> None:
    losses, base = random_table(seed)
    found = influence_of(losses, base)
    matrix, top = found.influence(), found.top(k)
    for row, test in enumerate(matrix):
        np.testing.assert_array_equal(top.proponents[row], np.argsort(-test, kind="stable")[:k])
        np.testing.assert_array_equal(top.opponents[row], np.argsort(test, kind="stable")[:k])
    np.testing.assert_array_equal(
        top.proponent_values, np.take_along_axis(matrix, top.proponents, 1)
    )
    np.testing.assert_array_equal(top.opponent_values, np.take_along_axis(matrix, top.opponents, 1))


def test_top_looks_through_all_blocks() -> None:
    losses, base = random_table(2, members=3, samples=20_000)
    tests = LossTable(losses[:, :2], base[:2], np.arange(3))
    found = influence_of(losses, base, tests=tests)
    matrix, top = found.influence(), found.top(5)
    np.testing.assert_array_equal(top.proponents, np.argsort(-matrix, axis=1)[:, :5])
    np.testing.assert_array_equal(top.opponents, np.argsort(matrix, axis=1)[:, :5])
    assert top.proponents.max() > 16384


@pytest.mark.parametrize(
    ("k", "samples", "tests"), [(3, 1500, 600), (200, 1500, 257), (1500, 1500, 2)]
)
def test_top_looks_through_all_tiles_of_samples_and_of_tests(
    k: int, samples: int, tests: int
) -> None:
    train, given = random_table(3, 4, samples), random_table(4, 4, tests)
    order = np.argsort(
        train[0].sum(axis=0)
    )  # the strongest come last, so that every tile brings new ones
    table = LossTable(train[0][:, order], train[1][order], np.arange(4))
    top = table.top(LossTable(*given, np.arange(4)), k)
    matrix = np.concatenate(
        [block for _, block in table.cross(LossTable(*given, np.arange(4)))], axis=1
    )
    largest = np.argsort(-matrix, axis=1, kind="stable")
    np.testing.assert_array_equal(top.proponents, largest[:, :k])
    np.testing.assert_array_equal(top.opponents, largest[:, ::-1][:, :k])
    np.testing.assert_allclose(top.proponent_values, -np.sort(-matrix, axis=1)[:, :k])
    np.testing.assert_allclose(top.opponent_values, np.sort(matrix, axis=1)[:, :k])


def test_top_of_equal_influences_are_the_first() -> None:
    alike = LossTable(np.ones((2, 2000)), np.zeros(2000), np.arange(2))
    top = alike.top(LossTable(np.ones((2, 3)), np.zeros(3), np.arange(2)), 1900)
    assert sorted(top.proponents[0]) == sorted(set(top.proponents[0]))
    np.testing.assert_array_equal(top.proponent_values, 1.0)


def test_influence_comes_in_blocks_that_do_not_grow_with_the_number_of_tests() -> None:
    losses, base = random_table(5, members=2, samples=9000)
    table = LossTable(losses, base, np.arange(2))
    assert {part.stop - part.start for part, _ in table.cross(table)} == {932, 9000 % 932}
    assert [
        part.stop for part, _ in table.cross(LossTable(losses[:, :3], base[:3], np.arange(2)))
    ] == [8192, 9000]


@laws
@given(seed=st.integers(0, 10**6), k=st.integers(1, 40))
def test_the_first_of_a_ranking_are_those_of_the_whole(seed: int, k: int) -> None:
    losses, base = map(np.round, random_table(seed, samples=30, missing=0.5))  # with many ties
    found = influence_of(losses, base)
    assert len(np.unique(found.suspicion())) < 30
    np.testing.assert_array_equal(found.ranking(k), found.ranking()[:k])
    np.testing.assert_array_equal(found.ranking(), np.lexsort((-base, -found.suspicion())))


def test_without_a_member_suspicion_is_the_plain_loss_and_has_no_clip() -> None:
    base = np.array([0.1, 9.0, 20.0, 4.0])
    found = influence_of(np.empty((0, 4)), base)
    np.testing.assert_array_equal(found.suspicion(), base)
    assert found.ranking().tolist() == [2, 1, 3, 0]
    assert len(np.unique(found.suspicion("clipped_loss"))) == 2  # a clip would tie three of them


def test_views_of_many_samples_are_those_of_each_part() -> None:
    losses, base = random_table(6, members=3, samples=50_000, missing=0.2)
    found, part = influence_of(losses, base), slice(30_000, 30_010)
    few = influence_of(losses[:, part], base[part])
    np.testing.assert_allclose(found.self_influence()[part], few.self_influence())
    np.testing.assert_allclose(found.suspicion()[part], few.suspicion())
    for of in ("suspicion", "self_influence"):
        np.testing.assert_allclose(found.standard_error(of=of)[part], few.standard_error(of=of))


@pytest.mark.parametrize("k", [0, -1, 8])
def test_top_of_more_than_there_is_is_refused(k: int) -> None:
    with pytest.raises(
        InvalidSettingError, match=f"k is {k}, and must be from 1 to the number of samples, 7"
    ):
        influence_of(*random_table(0)).top(k)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan])
def test_a_clip_that_is_not_positive_is_refused(clip: float) -> None:
    with pytest.raises(InvalidSettingError, match=f"clip is {clip}, and must be positive"):
        influence_of(*random_table(0)).suspicion(clip=clip)


def test_losses_count_up_to_a_clip_that_grows_with_the_number_of_classes() -> None:
    assert [default_clip(k) for k in (None, 2, 3)] == [3.0, 3.0, 3.0]
    assert default_clip(50) == pytest.approx(2.5 * math.log(50))


def test_suspects_are_above_the_threshold_and_ranked() -> None:
    rng = np.random.default_rng(0)
    wrong = np.arange(400) % 10 == 3
    losses = np.where(wrong, rng.normal(2.4, 0.2, (6, 400)), rng.gamma(2.0, 0.05, (6, 400)))
    found = influence_of(
        losses, np.zeros(400), labels=np.arange(400) % 4, clip=6.0, likelihood=False
    )
    indices, threshold = found.suspects()
    assert set(indices) == set(np.flatnonzero(wrong))
    assert (np.diff(found.suspicion()[indices]) <= 0).all()
    assert threshold.value is not None
    assert (found.suspicion()[indices] > threshold.value).all()
    refused = influence_of(rng.gamma(2.0, 0.1, (6, 400)), np.zeros(400)).suspects()
    assert (len(refused.indices), refused.threshold.method) == (0, "refused")


def test_suspects_of_fewer_than_three_members_are_refused() -> None:
    rng = np.random.default_rng(0)
    wrong = np.arange(400) % 10 == 3
    losses = np.where(wrong, rng.normal(2.4, 0.2, (4, 400)), rng.gamma(2.0, 0.05, (4, 400)))
    three, two = (
        influence_of(losses[:m], np.zeros(400), labels=np.arange(400) % 4, likelihood=False)
        for m in (3, 2)
    )
    assert set(three.suspects().indices) == set(np.flatnonzero(wrong))
    refused = two.suspects()
    assert (len(refused.indices), refused.threshold.method) == (0, "refused")
    assert "the ensemble has 2 members, at least 3 are needed" in refused.threshold.reason
    assert set(two.suspects("valley").indices) == set(
        np.flatnonzero(wrong)
    )  # whoever asks for a valley gets it


def test_suspects_that_each_chain_names_by_itself_are_refused() -> None:
    rng = np.random.default_rng(1)
    right = rng.gamma(2.0, 0.05, (4, 400))
    of_one_chain = np.where(np.arange(400) % 10 == np.arange(4)[:, None], 2.9, right)
    of_all = np.where(
        np.isin(np.arange(400) % 40, (3, 5, 7, 9)),
        of_one_chain.mean(axis=0)[3] * np.ones(400),
        right,
    )
    alone, agreed = (
        influence_of(losses, np.zeros(400), labels=np.arange(400) % 4, likelihood=False)
        for losses in (of_one_chain, of_all)
    )
    assert agreed.suspects().threshold.method == "valley"
    refused = alone.suspects()
    assert (len(refused.indices), refused.threshold.method) == (0, "refused")
    assert (
        "two halves of the ensemble have 0% of their suspects in common, at least 70%"
        in refused.threshold.reason
    )
    assert math.isnan(alone.noise_rate().estimate)
    assert len(alone.suspects("valley").indices) == 160  # whoever asks for a valley gets it


def test_columns_are_those_of_the_scores_file(trained: Any) -> None:
    import gexcore as gx

    found = gx.GEX(chains=2, snapshots=2, lr=0.02).fit(trained.model, trained.data, progress=False)
    columns = found.columns()
    assert (
        ",".join(columns)
        == "index,label,suspicion,self_influence,standard_error,suspect,suggested_label"
    )
    np.testing.assert_array_equal(columns["index"], np.arange(96))
    np.testing.assert_array_equal(columns["label"], trained.y)
    np.testing.assert_array_equal(columns["suspicion"], found.suspicion())
    np.testing.assert_array_equal(columns["suggested_label"], found.suggested_labels())
    frame = found.to_frame()
    assert list(frame.columns) == list(columns)
    assert len(frame) == 96
    assert frame["suspect"].dtype == bool


def test_the_repr_says_what_the_numbers_are() -> None:
    losses, base = random_table(0)
    text = repr(influence_of(losses, base, chains=[0, 0, 1, 1, 1]))
    assert text.startswith(
        "<Influence by GEX: 7 samples × 5 members of 2 chains; suspicion(): mean clipped loss"
    )
    assert "self_influence(): E[Δ²]" in text
