"""The thermostat as a pure feedback loop, and the open loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gexcore.ensembles.control import Decision, Heat, OpenLoop, Thermostat
from gexcore.plan import Constant, Cosine

laws = settings(derandomize=True, database=None, deadline=None)

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
SKILLS = st.lists(
    st.one_of(st.floats(-0.5, 1.3), st.floats(0.85, 1.0), st.sampled_from(EDGES)), min_size=1, max_size=60
)
RATES = st.floats(1e-6, 1.0)


def run(thermostat: Thermostat, skills: list[float], *, diverged: bool = False) -> Iterator[tuple[Heat, Decision]]:
    memory, _ = thermostat.start()
    for skill in skills:
        memory, decision = thermostat.update(memory, skill, diverged=diverged)
        yield memory, decision


def pseudo_code(lr: float, skills: list[float]) -> Iterator[tuple[float, bool, bool]]:
    """The published procedure, line by line: learning rate, whether back to θ*, whether in band."""
    C, LO, WARM, STUCK = len(skills), 0.4, 0.97, 5
    warmed, below = False, 0
    for t, given_skill in enumerate(skills):
        s = given_skill if math.isfinite(given_skill) else 0.0
        target = 0.95 - 0.45 * t / (C - 1) if C > 1 else 0.95
        if s < WARM:
            warmed = True
        band = LO <= s < WARM
        below = below + 1 if s < target - 0.02 else 0
        back = s < LO or below >= STUCK
        if back:
            lr *= 0.5
            below = 0
        elif not warmed and s >= WARM:
            lr *= 2
        else:
            change, highest = math.exp(2 * (s - target)), 1.25 if warmed else 2
            lr *= 0.5 if change < 0.5 else highest if change > highest else change
        yield lr, back, band


@laws
@given(lr=RATES, skills=SKILLS)
def test_the_thermostat_is_the_published_procedure(lr: float, skills: list[float]) -> None:
    thermostat = Thermostat(lr, len(skills))
    for (memory, decision), (wanted, back, band) in zip(run(thermostat, skills), pseudo_code(lr, skills), strict=True):
        assert memory.lr == pytest.approx(wanted, rel=1e-12)
        assert decision.schedule(0) == memory.lr
        assert decision.after == ("reset" if back else "continue")
        assert (decision.status == "member") == band


@laws
@given(lr=RATES, skills=SKILLS)
def test_the_learning_rate_stays_finite_and_positive_and_changes_gently(lr: float, skills: list[float]) -> None:
    before = lr
    for memory, decision in run(Thermostat(lr, len(skills)), skills):
        after = decision.schedule(0)
        assert math.isfinite(after)
        highest = 1.25 if memory.warmed else 2.0
        assert 0.5 * before <= after <= highest * before * (1 + 1e-12)
        before = after
    assert before > 0


@laws
@given(lr=RATES, skills=SKILLS)
def test_equal_histories_give_equal_decisions(lr: float, skills: list[float]) -> None:
    thermostat = Thermostat(lr, len(skills))
    assert list(run(thermostat, skills)) == list(run(thermostat, skills))
    assert thermostat == Thermostat(lr, len(skills))


def test_heating_doubles_until_the_first_warm_snapshot_and_never_again() -> None:
    rates = [decision.schedule(0) for _, decision in run(Thermostat(1e-3, 40), [1.0, 0.99, 0.97, 0.96, 1.0, 1.0])]
    assert rates[:3] == [2e-3, 4e-3, 8e-3]
    assert rates[3] == pytest.approx(8e-3 * math.exp(2 * (0.96 - Thermostat(1e-3, 40).target(3))))
    assert all(b / a <= 1.25 for a, b in pairwise(rates[2:]))


def test_a_chain_starts_cold_at_its_first_learning_rate() -> None:
    assert Thermostat(1e-3, 40).start() == (Heat(1e-3), Constant(1e-3))


def test_the_target_falls_on_a_line() -> None:
    thermostat = Thermostat(1e-3, 41)
    assert [thermostat.target(t) for t in (0, 20, 40)] == pytest.approx([0.95, 0.725, 0.5])
    assert Thermostat(1e-3, 1).target(0) == 0.95


@pytest.mark.parametrize("skill", [0.39, 0.0, -3.0, math.nan, math.inf])
def test_a_melted_chain_goes_back_with_half_the_learning_rate(skill: float) -> None:
    ((memory, decision),) = run(Thermostat(0.08, 40), [skill])
    assert decision == ("melted", "reset", Constant(0.04))
    assert memory == Heat(0.04, 1, warmed=True, below=0)


def test_a_chain_below_its_target_five_times_in_a_row_is_stuck() -> None:
    after = [decision.after for _, decision in run(Thermostat(0.08, 1000), [0.6] * 11)]
    assert after == ["continue"] * 4 + ["reset"] + ["continue"] * 4 + ["reset", "continue"]
    after = [decision.after for _, decision in run(Thermostat(0.08, 1000), [0.6] * 4 + [0.94] + [0.6] * 4)]
    assert after == ["continue"] * 9


@pytest.mark.parametrize(
    ("skill", "status"), [(1.1, "cold"), (0.97, "cold"), (0.969, "member"), (0.4, "member"), (0.399, "melted")]
)
def test_members_are_the_snapshots_in_band(skill: float, status: str) -> None:
    ((_, decision),) = run(Thermostat(0.01, 40), [skill])
    assert decision.status == status


def test_a_diverged_snapshot_is_no_member_whatever_its_skill() -> None:
    for skill in (1.0, 0.7, math.nan):
        ((_, decision),) = run(Thermostat(0.01, 40), [skill], diverged=True)
        assert decision.status == "diverged"


@laws
@given(critical=st.floats(1e-2, 1e2))
def test_it_finds_its_way_whatever_learning_rate_the_model_needs(critical: float) -> None:
    # a model whose skill is ½ at `critical`, wherever that is
    thermostat = Thermostat(1e-3, 80)
    memory, schedule = thermostat.start()
    errors, statuses = [], []
    for number in range(80):
        skill = 1 / (1 + schedule(0) / critical)
        errors.append(abs(skill - thermostat.target(number)))
        memory, decision = thermostat.update(memory, skill, diverged=False)
        schedule = decision.schedule
        statuses.append(decision.status)
    assert statuses.count("member") >= 60
    assert "melted" not in statuses
    assert max(errors[40:]) < 0.1


def test_the_open_loop_keeps_its_schedule_whatever_happens() -> None:
    cosine = Cosine(0.05, 10)
    controller = OpenLoop(cosine)
    assert controller.start() == (None, cosine)
    for skill, diverged, status, after in [
        (1.0, False, "member", "restart"),
        (0.01, False, "member", "restart"),
        (math.nan, False, "member", "restart"),
        (0.0, False, "melted", "reset"),
        (-0.4, False, "melted", "reset"),
        (0.9, True, "diverged", "reset"),
        (math.nan, True, "diverged", "reset"),
    ]:
        assert controller.update(None, skill, diverged=diverged) == (None, (status, after, cosine))


def test_cosine_falls_from_its_learning_rate_to_zero() -> None:
    rates = [Cosine(0.4, 100)(step) for step in range(101)]
    assert rates[0] == 0.4
    assert rates[50] == pytest.approx(0.2)
    assert rates[100] == pytest.approx(0.0, abs=1e-15)
    assert all(a > b for a, b in pairwise(rates))
    assert Cosine(0.4, 100)(150) == rates[100]
