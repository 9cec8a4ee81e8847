"""Laws of thresholds and of new labels, for every array library."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gexcore.decisions import relabel
from gexcore.decisions.otsu import otsu
from gexcore.errors import InvalidDataError
from gexcore.testing._hypothesis import pytest, st
from gexcore.testing.compare import assert_close, numbers
from gexcore.testing.law import Table, law
from gexcore.testing.strategies import scores


def check_otsu_laws(xp: Any) -> None:
    """The cut is the best cut, does not depend on scale and shift, and separates the parts."""

    @law(values=st.lists(st.integers(0, 30), min_size=2, max_size=25))
    def is_the_best_cut(values: list[int]) -> None:
        cut = otsu(xp.asarray(np.array(values, float)))
        gains = _gains(values)
        if len(set(values)) == 1:
            assert cut is None
            return
        assert cut is not None
        lower = [v for v in values if v <= cut.value]
        upper = [v for v in values if v > cut.value]
        assert (cut.upper, cut.value) == (len(upper), (max(lower) + min(upper)) / 2)
        gain = gains[max(lower)]
        assert gain >= max(gains.values()) * Fraction(1 - 1e-9)
        assert cut.eta == pytest.approx(float(gain / _variance(values)), rel=1e-9)
        within = float(_variance(lower) + _variance(upper))
        gap = float(_mean(upper) - _mean(lower))
        assert cut.ashman_d == pytest.approx(
            math.sqrt(2 / within) * gap if within else math.inf, rel=1e-9
        )

    @law(
        values=st.lists(st.integers(0, 30), min_size=2, max_size=25),
        scale=st.integers(1, 999),
        shift=st.integers(-(10**6), 10**6),
    )
    def is_invariant(values: list[int], scale: int, shift: int) -> None:
        cut = otsu(xp.asarray(np.array(values, float)))
        moved = otsu(xp.asarray(np.array(values, float) * scale + shift))
        assert moved == (cut and cut._replace(value=cut.value * scale + shift))

    @law(values=scores(smallest=-20.0))
    def separates_any_floats(values: Table) -> None:
        cut = otsu(xp.asarray(values))
        if cut is None:
            assert len(set(values)) == 1
        else:
            assert 0 < cut.upper < len(values)
            assert cut.upper == (values > cut.value).sum()
            assert 0 < cut.eta <= 1

    is_the_best_cut()
    is_invariant()
    separates_any_floats()
    for dtype in (np.float32, np.float64):
        for steps in range(4):  # no number lies between these two
            low = dtype(1) + dtype(steps) * np.spacing(dtype(1))
            pair = np.array([low, np.nextafter(low, dtype(2))], dtype)
            cut = otsu(xp.asarray(pair))
            assert cut is not None
            assert cut.value == low
    assert otsu(xp.asarray(np.array([0.3]))) is None
    for broken in ([0.0, 1.0, math.nan], [0.0, math.inf], []):
        with pytest.raises(InvalidDataError, match="needs at least one score and only finite ones"):
            otsu(xp.asarray(np.array(broken)))


def check_relabel_laws(xp: Any) -> None:
    """Eq. 16 keeps its bounds and its identity with the complementary loss for any logits."""

    @law(drawn=_beliefs())
    def keeps_its_bounds(drawn: tuple[Table, NDArray[np.int64]]) -> None:
        f, m = drawn
        classes, given = f.shape[1], np.arange(f.shape[1]) == m[:, None]
        for dtype in ("float32", "float64"):
            logits = xp.asarray(f.astype(dtype))
            targets = numbers(relabel.relabel_eq16(logits, xp.asarray(m)))
            assert (targets[given] == 0).all()
            assert (targets >= 0).all()
            assert (targets <= np.asarray(1 / (classes - 1), dtype)).all()
            assert (targets.sum(axis=1) <= 1 + 1e-6).all()
            for rows in (
                relabel.relabel_eq16(logits, xp.asarray(m), renormalize=True),
                relabel.relabel_complementary(logits, xp.asarray(m)),
            ):
                assert_close(numbers(rows).sum(axis=1), np.ones(len(m)), 1e-6)
                assert (numbers(rows)[given] == 0).all()

    @law(drawn=_beliefs(), shift=st.floats(-50.0, 50.0))
    def is_the_complementary_loss(drawn: tuple[Table, NDArray[np.int64]], shift: float) -> None:
        f, m = drawn
        logits, labels = xp.asarray(f), xp.asarray(m)
        given = np.arange(f.shape[1]) == m[:, None]
        against = np.logaddexp.reduce(f, axis=1) - np.logaddexp.reduce(
            np.where(given, -np.inf, f), axis=1
        )
        loss = numbers(relabel.complementary_loss(logits, labels))
        assert_close(loss, against, 1e-10)
        targets = numbers(relabel.relabel_eq16(logits, labels))
        log_phi = f - np.logaddexp.reduce(f, axis=1)[:, None]
        assert_close(-(targets * log_phi).sum(axis=1), loss, 1e-10)
        assert_close(relabel.relabel_eq16(logits + shift, labels), targets, 1e-9)
        sums = targets.sum(axis=1, keepdims=True)
        renormalized = numbers(relabel.relabel_eq16(logits, labels, renormalize=True))
        assert_close(renormalized * sums, targets, 1e-10)

    @law(drawn=_beliefs(largest=5.0))
    def rules_the_given_label_out(drawn: tuple[Table, NDArray[np.int64]]) -> None:
        f, m = drawn
        phi = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
        rows = numbers(relabel.relabel_complementary(xp.asarray(f), xp.asarray(m)))
        step = 1e-5
        for k in range(
            f.shape[1]
        ):  # with these rows cross-entropy has the gradient of the complementary loss
            moved = step * (np.arange(f.shape[1]) == k)
            up, down = (
                numbers(relabel.complementary_loss(xp.asarray(f + d), xp.asarray(m)))
                for d in (moved, -moved)
            )
            assert_close((up - down) / (2 * step), (phi - rows)[:, k], 1e-8)

    @law(drawn=_beliefs(classes=(2, 2)))
    def has_one_answer_for_two_classes(drawn: tuple[Table, NDArray[np.int64]]) -> None:
        f, m = drawn
        for function in (relabel.relabel_eq16, relabel.relabel_complementary):
            assert_close(function(xp.asarray(f), xp.asarray(m)), np.eye(2)[1 - m], 0.0)

    @law(drawn=_beliefs(), factor=st.floats(0.9995, 1.0005))
    def takes_probabilities_as_they_are(
        drawn: tuple[Table, NDArray[np.int64]], factor: float
    ) -> None:
        f, m = drawn
        p = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, None])
        assert (numbers(relabel.relabel_argmax(xp.asarray(p))) == p.argmax(axis=1)).all()
        others = np.where(np.arange(p.shape[1]) == m[:, None], -1.0, p)
        assert (
            numbers(relabel.relabel_argmax(xp.asarray(p), xp.asarray(m))) == others.argmax(axis=1)
        ).all()
        assert_close(relabel.relabel_distill(xp.asarray(p * factor)), p, 1e-10)

    keeps_its_bounds()
    is_the_complementary_loss()
    rules_the_given_label_out()
    has_one_answer_for_two_classes()
    takes_probabilities_as_they_are()


def _beliefs(
    *, classes: tuple[int, int] = (2, 6), largest: float = 300.0
) -> st.SearchStrategy[tuple[Table, NDArray[np.int64]]]:
    """Logits of shape (samples, K), some beyond the precision of float32, and labels."""

    def build(n: int, k: int, scale: float, seed: int) -> tuple[Table, NDArray[np.int64]]:
        rng = np.random.default_rng(seed)
        return scale * rng.uniform(-1.0, 1.0, (n, k)), rng.integers(0, k, n)

    scales = st.sampled_from([0.0, 1.0, 5.0, 30.0, 300.0]).map(lambda scale: min(scale, largest))
    return st.builds(build, st.integers(1, 5), st.integers(*classes), scales, st.integers(0, 10**6))


def _mean(values: list[int]) -> Fraction:
    return Fraction(sum(values), len(values))


def _variance(values: list[int]) -> Fraction:
    return sum(((v - _mean(values)) ** 2 for v in values), Fraction()) / len(values)


def _gains(values: list[int]) -> dict[int, Fraction]:
    """Between-class variance of every cut, by the largest value below it."""
    gains = {}
    for last in sorted(set(values))[:-1]:
        lower = [v for v in values if v <= last]
        upper = [v for v in values if v > last]
        share = Fraction(len(lower) * len(upper), len(values) ** 2)
        gains[last] = share * (_mean(upper) - _mean(lower)) ** 2
    return gains
