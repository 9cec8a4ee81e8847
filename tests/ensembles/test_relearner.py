"""The controllers of relearning as pure feedback loops, and the plan of its epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gexcore.ensembles.plan import Plan
from gexcore.ensembles.relearner import (
    LEFT,
    RISE,
    TRIALS,
    WELL,
    Heat,
    Progress,
    Relearner,
    Search,
)
from gexcore.ensembles.thermostat import Decision, Reading

laws = settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
)

CHANCE, LIMIT, PARTS, EPOCHS = math.log(3), RISE * math.log(3), 4, 5
NUMBERS = st.one_of(st.floats(-0.5, 1.3), st.sampled_from([LEFT, 0.0, math.nan]))
READINGS = st.lists(
    st.builds(
        Reading,
        skill=NUMBERS,
        loss=st.one_of(st.floats(0.0, 3.0), st.sampled_from([LIMIT, math.nan])),
        diverged=st.booleans(),
        error=st.floats(0.0, 0.2),
    ),
    min_size=PARTS * EPOCHS,
    max_size=PARTS * EPOCHS,
)


def follow(readings: Sequence[Reading], lr: float = 0.1) -> Iterator[tuple[Progress, Decision]]:
    relearner = Relearner(lr, LIMIT, PARTS, EPOCHS)
    memory, _ = relearner.start()
    for reading in readings:
        memory, decision = relearner.update(memory, reading)
        yield memory, decision


def heat(readings: Sequence[Reading], enough: float = LEFT) -> Iterator[tuple[Heat, Decision]]:
    search = Search(1e-3, CHANCE, enough=enough)
    memory, chunk = search.start()
    for reading in readings:
        if chunk is None:
            return
        memory, decision = search.update(memory, reading)
        chunk = decision.chunk
        yield memory, decision


@laws
@given(READINGS)
def test_laws_of_a_chain(readings: list[Reading]) -> None:
    before, left, ran = 0.1, False, list(follow(readings))
    for number, (reading, (memory, decision)) in enumerate(zip(readings, ran, strict=True)):
        ends = (number + 1) % PARTS == 0
        broken = reading.diverged or not reading.loss <= LIMIT
        left = left or (not broken and not reading.skill <= LEFT)
        assert (decision.status == "diverged") == broken
        assert (decision.after == "back") == broken, "only a chunk that diverged is taken back"
        assert memory.lr <= 0.25 * 2 * before if broken else memory.lr <= 2 * before
        assert memory.lr <= before or (ends and not left), "a chain that has left never speeds up"
        if not broken:
            assert decision.status == ("part" if not ends else "member" if left else "cold")
        assert (decision.chunk is None) == (number + 1 == PARTS * EPOCHS)
        before = memory.lr


@laws
@given(READINGS)
def test_laws_of_a_search(readings: list[Reading]) -> None:
    before, fell = 1e-3, False
    ran = list(heat(readings))
    for number, (memory, decision) in enumerate(ran):
        fell = fell or decision.status == "diverged"
        assert memory.lr <= (before if fell else 2 * before), "no doubling after a divergence"
        assert memory.lr <= 1e-3 * 2**TRIALS
        assert memory.trials == number + 1 <= TRIALS
        assert (decision.chunk is None) == (memory.left or memory.trials == TRIALS)
        before = memory.lr
    assert ran[-1][0].left or len(ran) == TRIALS


@laws
@given(READINGS)
def test_laws_of_a_search_from_a_reference(readings: list[Reading]) -> None:
    ran = list(heat(readings, WELL))
    *_, (memory, decision) = ran
    sound = [
        (reading.skill, used)
        for reading, used, (_, done) in zip(
            readings, [1e-3, *(m.lr for m, _ in ran)], ran, strict=False
        )
        if done.status != "diverged" and not math.isnan(reading.skill)
    ]
    skills = [skill for skill, _ in sound]
    assert decision.chunk is None
    assert memory.left == any(skill > LEFT for skill in skills)
    assert memory.knew == (ran[0][1].status != "diverged" and readings[0].skill > WELL)
    assert not any(skill > WELL for skill in skills[:-1]), "it ends with enough skill"
    if memory.left:
        assert memory.lr in {used for skill, used in sound if skill == max(skills)}
        ends = max(skills) > WELL or decision.status == "diverged"
        assert ends or len(ran) == TRIALS


def test_a_search_doubles_until_skill_leaves_chance_and_keeps_that_rate() -> None:
    cold, left = Reading(0.0, CHANCE), Reading(LEFT + 0.01, CHANCE)
    *_, (memory, decision) = heat([cold] * 5 + [left] * 9)
    rate = 2**5 * 1e-3
    assert memory == Heat(rate, 6, LIMIT, left=True, best=(LEFT + 0.01, rate))
    assert decision.chunk is None
    *_, (memory, _) = heat([left])
    assert memory.knew
    *_, (memory, _) = heat([cold] * 30)
    assert (memory.left, memory.trials) == (False, TRIALS)


def test_a_search_from_a_reference_goes_on_until_a_chunk_learns_well() -> None:
    little, well = Reading(LEFT + 0.01, CHANCE), Reading(WELL + 0.01, CHANCE)
    *_, (memory, _) = heat([little] * 4 + [well], WELL)
    assert (memory.lr, memory.left, memory.knew) == (2**4 * 1e-3, True, False)
    # a rate that only leaves chance ends the usual search
    *_, (memory, _) = heat([little] * 4 + [well])
    assert memory.lr == 1e-3
    # where no chunk learns well, the best one counts, not the last one
    skills = [0.1, 0.2, 0.25, 0.15, 0.0]
    worse = [Reading(skill, CHANCE) for skill in skills]
    *_, (memory, decision) = heat([*worse, Reading(0.5, 10 * CHANCE)], WELL)
    assert (memory.lr, memory.left, decision.after) == (2**2 * 1e-3, True, "back")
    *_, (memory, _) = heat([little] + [Reading(0.0, CHANCE)] * TRIALS, WELL)
    assert (memory.lr, memory.trials) == (1e-3, TRIALS)


def test_a_search_returns_from_divergence_with_a_quarter_of_the_rate() -> None:
    cold = Reading(0.0, CHANCE)
    *_, (memory, decision) = heat([cold, cold, Reading(0.5, 10 * CHANCE)])
    assert (memory.lr, memory.left, decision.after) == (1e-3, False, "back")
    *_, (memory, _) = heat([cold, cold, Reading(0.5, 10 * CHANCE), cold, cold])
    assert memory.lr == 1e-3


def test_without_a_search_the_first_chunk_is_the_start() -> None:
    high = Reading(0.0, 2 * LIMIT)
    for searched, status in ((True, "diverged"), (False, "part")):
        relearner = Relearner(0.1, LIMIT, PARTS, EPOCHS, searched=searched)
        memory, decision = relearner.update(relearner.start()[0], high)
        assert decision.status == status
    assert relearner.update(memory, Reading(0.0, 3 * LIMIT))[1].status == "diverged"


def test_a_stalled_loss_halves_the_rate_and_a_falling_one_keeps_it() -> None:
    falling = [Reading(0.5, 1.0 - 0.1 * (k // PARTS), error=0.01) for k in range(2 * PARTS)]
    flat = [Reading(0.5, 1.0, error=0.01) for _ in range(2 * PARTS)]
    assert [m.lr for m, _ in follow(falling)][-1] == 0.1
    assert [m.lr for m, _ in follow(flat)][-1] == 0.05
    # an uncertain fall is none
    unsure = [r._replace(error=0.2) for r in falling]
    assert [m.lr for m, _ in follow(unsure)][-1] == 0.05


def test_a_chain_at_chance_has_no_members_and_doubles_its_rate() -> None:
    ran = list(follow([Reading(0.0, CHANCE)] * PARTS * EPOCHS))
    assert {d.status for _, d in ran} == {"part", "cold"}
    assert ran[-1][0].lr == 0.1 * 2**EPOCHS
    skilled = list(follow([Reading(0.5, 0.5)] * PARTS * EPOCHS))
    assert [d.status for _, d in skilled].count("member") == EPOCHS


@pytest.mark.parametrize("batches", [1, 2, 3, 4, 5, 17, 64, 468])
def test_the_parts_of_an_epoch_are_all_of_it(batches: int) -> None:
    plan = Plan(
        chains=1,
        snapshots=8,
        steps=9,
        warmups=0,
        batch_size=8,
        scoring="training_batches",
        seed=0,
        epoch_steps=batches,
    )
    assert plan.parts == min(4, batches)
    for epoch in range(2):
        numbers = range(epoch * plan.parts, (epoch + 1) * plan.parts)
        steps = [plan.steps_of(number, warmup=False) for number in numbers]
        assert sum(steps) == batches
        assert max(steps) - min(steps) <= 1
        assert min(steps) > 0
