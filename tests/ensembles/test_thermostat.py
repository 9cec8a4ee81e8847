"""The thermostat as a pure feedback loop, and the open loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.ensembles.plan import Constant, Cosine
from gexcore.ensembles.thermostat import Chunk, Decision, OpenLoop, Reading, Warmth
from gexcore.ensembles.thermostat import Thermostat as AnyThermostat

laws = settings(derandomize=True, database=None, deadline=None)

Thermostat = partial(AnyThermostat, low=0.4, first=0.95, last=0.5)

EDGES = [
    0.4,
    0.97,
    0.93,
    0.95,
    math.nextafter(0.4, 0),
    math.nextafter(0.97, 0),
    0.0,
    1.0,
    math.nan,
    math.inf,
    -math.inf,
]
RATES = st.floats(1e-6, 1.0)


READINGS = st.lists(
    st.builds(
        Reading,
        skill=st.one_of(st.floats(-0.5, 1.3), st.floats(0.85, 1.0), st.sampled_from(EDGES)),
        loss=st.one_of(st.floats(0.0, 6.0), st.sampled_from([0.0, 1e-4, 1e-3, 0.01, 0.1, 1.0])),
        diverged=st.just(False),
    ),
    min_size=1,
    max_size=60,
)


def rate(decision: Decision) -> float:
    assert decision.chunk is not None
    return decision.chunk.schedule(0)


def run(
    thermostat: AnyThermostat, readings: Sequence[Reading | float], *, warm: bool = False
) -> Iterator[tuple[Warmth, Decision]]:
    memory, _ = thermostat.start()
    memory = memory._replace(warmed=warm)
    for reading in readings:
        # a bare number is the skill of a snapshot whose loss has not moved
        memory, decision = thermostat.update(
            memory, reading if isinstance(reading, Reading) else Reading(reading, 1.0)
        )
        yield memory, decision


def by_the_book(
    lr: float, readings: list[Reading], C: int, warmups: int
) -> Iterator[tuple[float, str, bool, str]]:
    """The procedure line by line: learning rate, what the chain does, whether in band, what chunk
    follows."""
    LO, WARM, STUCK, RETURNS = 0.4, 0.97, 5, 2
    t, heated, warmed, left, below, returns, before = 0, 0, False, False, 0, 0, None
    for given_skill, loss, *_ in readings:
        s = given_skill if math.isfinite(given_skill) else 0.0
        target = 0.95 - 0.45 * t / (C - 1) if C > 1 else 0.95
        if warmed or heated >= warmups:
            t += 1
        else:
            heated += 1
            t += LO <= s < WARM
        if s < WARM:
            warmed = left = True
        band = LO <= s < WARM
        below = below + 1 if s < target - 0.02 else 0
        if s < LO and returns < RETURNS:
            lr, returns, below, then = lr * 0.5, returns + 1, 0, "back"
        elif s < LO or below >= STUCK:
            lr, returns, below, then, warmed, before = lr * 0.5, 0, 0, "reset", False, None
        else:
            change = min(max(math.exp(2 * (s - target)), 0.5), 1.25) if warmed else 2.0
            if before and loss > before * math.e:
                change = min(change, max(0.1, math.exp(-0.5 * (math.log(loss / before) - 1))))
            lr, returns, then, before = lr * change, 0, "continue", loss
        over = t >= C or (not left and heated + t >= max(warmups, 28))
        yield (
            lr,
            then,
            band,
            "none" if over else "whole" if warmed or heated >= warmups else "short",
        )
        if over:
            return


@laws
@given(lr=RATES, readings=READINGS, snapshots=st.integers(1, 60), warmups=st.integers(1, 60))
def test_the_thermostat_goes_by_the_book(
    lr: float, readings: list[Reading], snapshots: int, warmups: int
) -> None:
    thermostat = Thermostat(lr, snapshots, warmups=warmups)
    told = zip(
        run(thermostat, readings), by_the_book(lr, readings, snapshots, warmups), strict=False
    )
    for (memory, decision), (wanted, then, band, chunk) in told:
        assert memory.lr == pytest.approx(wanted, rel=1e-12)
        assert decision.after == then
        assert (decision.status == "member") == band
        assert (decision.chunk is None) == (chunk == "none")
        if decision.chunk is not None:
            assert decision.chunk.warmup == (chunk == "short")
            assert rate(decision) == memory.lr


@laws
@given(lr=RATES, readings=READINGS)
def test_the_learning_rate_stays_finite_and_positive_and_rises_gently(
    lr: float, readings: list[Reading]
) -> None:
    before = lr
    for memory, decision in run(Thermostat(lr, 100, warmups=100), readings):
        after = rate(decision)
        assert math.isfinite(after)
        assert 0.1 * before <= after <= (1.25 if memory.warmed else 2.0) * before * (1 + 1e-12)
        before = after
    assert before > 0


@laws
@given(
    readings=st.lists(READINGS, min_size=1).map(lambda parts: [r for part in parts for r in part])
)
def test_every_chain_ends(readings: list[Reading]) -> None:
    thermostat = Thermostat(0.1, 24)
    ran = list(run(thermostat, readings * (200 // len(readings) + 1)))
    last = next(i for i, (_, decision) in enumerate(ran) if decision.chunk is None)
    assert last < 24 + thermostat.warmups


@laws
@given(before=st.floats(1e-6, 10.0), growth=st.floats(1.0, 1e6), skill=st.floats(0.4, 1.0))
def test_the_faster_losses_grow_the_harder_it_brakes(
    before: float, growth: float, skill: float
) -> None:
    thermostat = Thermostat(0.1, 40)

    def after(factor: float) -> float:
        return list(run(thermostat, [Reading(1.0, before), Reading(skill, before * factor)]))[-1][
            0
        ].lr

    assert after(growth * 2) <= after(growth) <= after(1.0)
    if growth > 100:
        assert after(growth) < 0.2 * after(1.0) * 2


@laws
@given(lr=RATES, readings=READINGS)
def test_equal_histories_give_equal_decisions(lr: float, readings: list[Reading]) -> None:
    thermostat = Thermostat(lr, len(readings))
    assert list(run(thermostat, readings)) == list(run(thermostat, readings))
    assert thermostat == Thermostat(lr, len(readings))


def test_warm_up_doubles_in_short_chunks_until_the_first_warm_snapshot() -> None:
    ran = list(run(Thermostat(1e-3, 40), [1.0, 0.99, 0.97, 0.96, 1.0, 1.0]))
    rates = [rate(decision) for _, decision in ran]
    assert rates[:3] == [2e-3, 4e-3, 8e-3]
    assert rates[3] == pytest.approx(8e-3 * math.exp(2 * (0.96 - 0.95)))
    assert all(b / a <= 1.25 for a, b in pairwise(rates[2:]))
    assert [decision.chunk.warmup for _, decision in ran if decision.chunk] == [True] * 3 + [
        False
    ] * 3
    # the warm-up takes nothing from the length of the chain, but for the member that it leads to
    assert [memory.snapshot for memory, _ in ran] == [0, 0, 0, 1, 2, 3]


def test_a_chain_that_never_leaves_the_start_ends_without_a_member() -> None:
    ran = list(run(Thermostat(1e-3, 40, warmups=10), [1.0] * 28))
    assert [decision.chunk is None for _, decision in ran] == [False] * 27 + [True]
    assert [decision.chunk.warmup for _, decision in ran if decision.chunk] == [True] * 9 + [
        False
    ] * 18
    assert {decision.status for _, decision in ran} == {"cold"}


def test_a_chain_that_has_left_the_start_goes_on_when_the_warm_up_is_used_up() -> None:
    ran = list(run(Thermostat(1e-3, 12, warmups=4), [0.9, *[0.1] * 3, *[1.0] * 8, 0.9]))
    assert ran[3][1].after == "reset"
    assert [decision.chunk.warmup for _, decision in ran[3:-1] if decision.chunk] == [True] * 3 + [
        False
    ] * 6
    assert ran[-1][1].status == "member"


def test_a_skill_far_above_that_of_the_trained_model_is_no_error() -> None:
    thermostat = AnyThermostat(lr=0.1, snapshots=4)
    warm = Warmth(0.1, snapshot=1, warmed=True, left=True)
    memory, _ = thermostat.update(warm, Reading(skill=1e6, loss=1.0, diverged=False, error=0.1))
    assert memory.lr == pytest.approx(0.125)


def test_a_chain_starts_cold_at_its_first_learning_rate() -> None:
    assert Thermostat(1e-3, 40).start() == (Warmth(1e-3), Chunk(Constant(1e-3), warmup=True))


def test_the_target_falls_on_a_line() -> None:
    thermostat = Thermostat(1e-3, 41)
    assert [thermostat.target(t) for t in (0, 20, 40)] == pytest.approx([0.95, 0.725, 0.5])
    assert Thermostat(1e-3, 1).target(0) == 0.95


@pytest.mark.parametrize("skill", [0.39, 0.0, -3.0, math.nan, math.inf])
def test_a_melted_chain_tries_its_chunk_again_more_coolly_and_then_goes_back_to_the_start(
    skill: float,
) -> None:
    ran = list(run(Thermostat(0.08, 40), [Reading(0.9, 0.2), *[Reading(skill, 5.0)] * 4]))
    assert [decision.status for _, decision in ran[1:]] == ["melted"] * 4
    assert [decision.after for _, decision in ran[1:]] == ["back", "back", "reset", "back"]
    rates = [memory.lr for memory, _ in ran]
    assert rates[1:4] == [rates[0] / 2, rates[0] / 4, rates[0] / 8]
    # what it goes back to is the snapshot that it left, and at the start nothing is known
    assert [memory.loss for memory, _ in ran] == [0.2, 0.2, 0.2, 0.0, 0.0]
    assert ran[3][0] == Warmth(rates[3], 4, 1, left=True)


def test_a_chain_that_recovered_may_try_again() -> None:
    after = [
        decision.after
        for _, decision in run(Thermostat(0.08, 40), [0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])
    ]
    assert after == ["continue", "back", "back", "continue", "back", "back", "reset"]


def test_a_chain_below_its_target_five_times_in_a_row_is_stuck() -> None:
    after = [decision.after for _, decision in run(Thermostat(0.08, 1000), [0.6] * 11)]
    assert after == ["continue"] * 4 + ["reset"] + ["continue"] * 4 + ["reset", "continue"]
    after = [
        decision.after
        for _, decision in run(Thermostat(0.08, 1000), [0.6] * 4 + [0.94] + [0.6] * 4)
    ]
    assert after == ["continue"] * 9


@pytest.mark.parametrize(
    ("skill", "status"),
    [(1.1, "cold"), (0.97, "cold"), (0.969, "member"), (0.4, "member"), (0.399, "melted")],
)
def test_members_are_the_snapshots_in_band(skill: float, status: str) -> None:
    ((_, decision),) = run(Thermostat(0.01, 40), [skill])
    assert decision.status == status


def test_a_diverged_snapshot_is_no_member_whatever_its_skill() -> None:
    for skill in (1.0, 0.7, math.nan):
        ((_, decision),) = run(Thermostat(0.01, 40), [Reading(skill, 1.0, diverged=True)])
        assert decision.status == "diverged"


@laws
@given(critical=st.floats(1e-2, 1e2))
def test_it_finds_its_way_whatever_learning_rate_the_model_needs(critical: float) -> None:
    # a model whose skill is ½ at `critical`, wherever that is
    thermostat = Thermostat(1e-3, 80)
    memory, chunk = thermostat.start()
    errors, statuses = [], []
    while chunk is not None:
        skill = 1 / (1 + chunk.schedule(0) / critical)
        errors.append(abs(skill - thermostat.target(memory.snapshot)))
        memory, decision = thermostat.update(memory, Reading(skill, 1.0))
        chunk = decision.chunk
        statuses.append(decision.status)
    assert statuses.count("member") >= 70
    assert "melted" not in statuses
    assert max(errors[40:]) < 0.1


def test_the_open_loop_keeps_its_schedule_whatever_happens() -> None:
    cosine = Cosine(0.05, 10)
    controller = OpenLoop(cosine, 8)
    memory, chunk = controller.start()
    assert chunk == Chunk(cosine)
    for skill, diverged, status, after in [
        (1.0, False, "member", "restart"),
        (0.01, False, "member", "restart"),
        (math.nan, False, "member", "restart"),
        (0.0, False, "melted", "reset"),
        (-0.4, False, "melted", "reset"),
        (0.9, True, "diverged", "reset"),
        (math.nan, True, "diverged", "reset"),
    ]:
        memory, decision = controller.update(memory, Reading(skill, 1.0, diverged))
        assert decision == (status, after, Chunk(cosine))
    assert controller.update(memory, Reading(0.5, 1.0)) == (8, ("member", "restart", None))


def test_cosine_falls_from_its_learning_rate_to_zero() -> None:
    rates = [Cosine(0.4, 100)(step) for step in range(101)]
    assert rates[0] == 0.4
    assert rates[50] == pytest.approx(0.2)
    assert rates[100] == pytest.approx(0.0, abs=1e-15)
    assert all(a > b for a, b in pairwise(rates))
    assert Cosine(0.4, 100)(150) == rates[100]
