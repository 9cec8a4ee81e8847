"""Negative controls: for every law of the kit, a backend that breaks it and must be caught."""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

from gexcore.backend.rules import Memory
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.testing import (
    checks,
    derivatives,
    gradients,
    kronecker,
    optional,
    oracle,
    refusals,
    selection,
    serialization,
)
from gexcore.testing.problems import TOYS, Problem, Toy
from gexcore.testing.suite import LAWS, Law
from gexcore_numpy.backend import NumpyBackend, NumpyState
from gexcore_numpy.network import Moments


class NoSeed(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr):
        return super().sgd_step(state, batch, lr=lr, seed=0)


class TakesNoBatches(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        return super().refresh_buffers(state, batches) if batches else state


class OtherErrorForNoBatches(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        try:
            return super().refresh_buffers(state, batches)
        except InvalidDataError as error:
            raise InvalidSettingError(str(error)) from None


class OtherWordsForVectors(NumpyBackend):
    def unravel(self, state, flat, /):
        if len(flat) != len(self.ravel(state)):
            raise InvalidDataError("the vector does not fit; give another")
        return super().unravel(state, flat)


class TakesNoNames(NumpyBackend):
    def select(self, names, /):
        return super().select(names) if names else self


class TakesAnyLabel(NumpyBackend):
    def forward(self, state, batch, /):
        x, y = batch
        return super().forward(state, (x, y % 3 if y.ndim == 1 else y))


class CountsTheTrained(NumpyBackend):
    def model_size(self):
        return len(self.ravel(self.initial_state()))


class KeepsItsOptimizer(NumpyBackend):
    def with_optimizer(self, optimizer):
        return self


class ChangesItsOptimizer(NumpyBackend):
    def with_optimizer(self, optimizer):
        self._program = dataclasses.replace(self._program, optimizer=optimizer)
        return self


class OptsOutOfNothing(NumpyBackend):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unsupported = frozenset({"jvp"})


class MeanLoss(NumpyBackend):
    def forward(self, state, batch, /):
        return super().forward(state, batch).mean()


class DriftingForward(NumpyBackend):
    calls = 0

    def forward(self, state, batch, /):
        self.calls += 1
        return super().forward(state, batch) * (1 + 1e-6 * self.calls)


class TrainingModeForward(NumpyBackend):
    def forward(self, state, batch, /):
        return (
            super().training_losses(state, batch, seed=0)
            if len(batch[0]) > 1
            else super().forward(state, batch)
        )


class SortedForward(NumpyBackend):
    def forward(self, state, batch, /):
        return np.sort(super().forward(state, batch))


class InPlaceStep(NumpyBackend):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._initial.params.flags.writeable = True

    def sgd_step(self, state, batch, /, *, lr, seed):
        return self.sgd_step_(state, batch, lr=lr, seed=seed)[0]


class InPlaceMomentum(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        mine = self.copy(state)._replace(memory=state.memory)
        return self.sgd_step_(mine, batch, lr=lr, seed=seed)[0]


class GlobalRandomness(NumpyBackend):
    rng = np.random.default_rng(0)

    def sgd_step(self, state, batch, /, *, lr, seed):
        x, y = batch
        return super().sgd_step(
            state, (x + 0.01 * self.rng.normal(size=x.shape), y), lr=lr, seed=seed
        )


class Noisy(NumpyBackend):
    """A proper backend with randomness in training mode."""

    def _noisy(self, batch, seed):
        x, y = batch
        return x + 0.1 * np.random.default_rng(seed).normal(size=x.shape), y

    def sgd_step_(self, state, batch, /, *, lr, seed):
        return super().sgd_step_(state, self._noisy(batch, seed), lr=lr, seed=seed)

    def training_losses(self, state, batch, /, *, seed):
        return super().training_losses(state, self._noisy(batch, seed), seed=seed)


class IgnoredSeed(Noisy):
    def _noisy(self, batch, seed):
        return super()._noisy(batch, 0)


class DecayWithoutLr(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        after = super().sgd_step(state, batch, lr=lr, seed=seed)
        return after._replace(params=after.params * 0.999)


class BakedLr(NumpyBackend):
    lr: float | None = None

    def sgd_step(self, state, batch, /, *, lr, seed):
        self.lr = lr if self.lr is None else self.lr
        return super().sgd_step(state, batch, lr=self.lr, seed=seed)


class Ascent(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        return super().sgd_step(state, batch, lr=-lr, seed=seed)


class RestartKeepsMomentum(NumpyBackend):
    def restart(self, state, /):
        return state


class RestartAtTheStart(NumpyBackend):
    def restart(self, state, /):
        return self.initial_state()


class RestartInPlace(NumpyBackend):
    def restart(self, state, /):
        for vector in state.memory.vectors:
            vector[:] = 0
        return super().restart(state)


class MomentumOfTheBackend(NumpyBackend):
    memory = None

    def sgd_step(self, state, batch, /, *, lr, seed):
        mine = state if self.memory is None else state._replace(memory=self.memory)
        after = super().sgd_step(mine, batch, lr=lr, seed=seed)
        self.memory = after.memory
        return after


class SharedScratch(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        self.scratch = state
        time.sleep(0.002)
        return super().sgd_step(self.scratch, batch, lr=lr, seed=seed)


class LossesAfterTheStep(NumpyBackend):
    def sgd_step_(self, state, batch, /, *, lr, seed):
        after, _ = super().sgd_step_(state, batch, lr=lr, seed=seed)
        return after, self.training_losses(after, batch, seed=seed)


class ShallowCopy(NumpyBackend):
    def copy(self, state, /):
        return state._replace(params=state.params.copy())


class CopyIsTheState(NumpyBackend):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._initial.params.flags.writeable = True

    def copy(self, state, /):
        return state

    def sgd_step(self, state, batch, /, *, lr, seed):
        return super().sgd_step_(super().copy(state), batch, lr=lr, seed=seed)[0]

    # redefined as well: a way to a result that only that is redefined of is not taken
    def sgd_step_(self, state, batch, /, *, lr, seed):
        return super().sgd_step_(state, batch, lr=lr, seed=seed)


class CopyForgets(NumpyBackend):
    def copy(self, state, /):
        return self.restart(super().copy(state))


class RavelIsAView(NumpyBackend):
    def ravel(self, state, /):
        return state.params


class TrainingLossesMoveStatistics(NumpyBackend):
    def training_losses(self, state, batch, /, *, seed):
        for moments in state.statistics:
            moments.mean[:] += 0.1
        return super().training_losses(state, batch, seed=seed)


class EvaluatedTrainingLosses(NumpyBackend):
    def training_losses(self, state, batch, /, *, seed):
        return self.forward(state, batch)


class RefreshInPlace(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        fresh = super().refresh_buffers(state, batches)
        for old, new in zip(state.statistics, fresh.statistics, strict=True):
            old.mean[:], old.var[:] = new
        return fresh


class ReadsScoresAsProbabilities(NumpyBackend):
    _read = False

    def reading(self, batch, /):
        other = copy.copy(self)
        other._read = True
        return other

    def forward(self, state, batch, /):
        losses = super().forward(state, batch)
        return 2 * losses if self._read else losses


class MovingAverageRefresh(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        for batch in batches:
            state = self.sgd_step(state, batch, lr=0.0, seed=0)
        return state


class NoRefresh(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        return state


class RefreshForgetsOptimizer(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        return self.restart(super().refresh_buffers(state, batches))


class ShareOfTheBatchRefresh(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        fresh = super().refresh_buffers(state, batches)
        return fresh._replace(
            statistics=tuple(Moments(0.1 * m, 0.1 * v) for m, v in fresh.statistics)
        )


class BiasedRefresh(NumpyBackend):
    def refresh_buffers(self, state, batches, /):
        fresh = super().refresh_buffers(state, batches)
        b = len(batches[0][0])
        return fresh._replace(
            statistics=tuple(Moments(m, v * (b - 1) / b) for m, v in fresh.statistics)
        )


class Probabilities(NumpyBackend):
    def logits(self, state, batch, /):
        p = np.exp(super().logits(state, batch))
        return p / p.sum(axis=1, keepdims=True)


class DoubledLogits(NumpyBackend):
    """The right losses, but other numbers than the network's outputs."""

    def logits(self, state, batch, /):
        return 2 * super().logits(state, batch)


class HalvesOfParts(NumpyBackend):
    def part_losses(self, state, batch, /):
        return super().part_losses(state, batch) / 2 + 1.0


class PartsInReverse(NumpyBackend):
    def part_losses(self, state, batch, /):
        found = super().part_losses(state, batch)
        return found if batch[0][0, 0] < batch[0][-1, 0] else found[::-1]


class UnravelKeepsTheVector(NumpyBackend):
    def unravel(self, state, flat, /):
        return NumpyState(np.asarray(flat), state.statistics)


class UnravelKeepsMomentum(NumpyBackend):
    def unravel(self, state, flat, /):
        return super().unravel(state, flat)._replace(memory=state.memory)


class UnravelTransposes(NumpyBackend):
    def unravel(self, state, flat, /):
        return super().unravel(state, np.asarray(flat)[::-1])


class ReversedRows(NumpyBackend):
    def forward_many(self, stacked, batch, /):
        return super().forward_many(stacked[::-1], batch)


class StackedBatches(NumpyBackend):
    @functools.cached_property
    def _first(self):
        return {}

    def forward_many(self, stacked, batch, /):
        return self._first.setdefault(id(stacked), super().forward_many(stacked, batch))


class WrongSignJvp(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        return -super().jvp(state, tangent, batch)


class TransposedJvp(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        turned = np.array(tangent)
        turned[:40] = turned[:40].reshape(8, 5).T.ravel()
        return super().jvp(state, turned, batch)


class FiniteStepJvp(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        moved = self.unravel(state, self.ravel(state) + tangent)
        return self.forward(moved, batch) - self.forward(state, batch)


class TrainingModeJvp(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        fresh = self.refresh_buffers(state, [batch])
        return super().jvp(fresh, tangent, batch)


class HalfJvp(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        return 0.5 * super().jvp(state, tangent, batch)


class SummedHvp(NumpyBackend):
    def hvp(self, state, tangent, batch, /):
        return len(batch[0]) * super().hvp(state, tangent, batch)


class LopsidedHvp(NumpyBackend):
    def hvp(self, state, tangent, batch, /):
        return np.roll(super().hvp(state, tangent, batch), 1)


class DampedHvp(NumpyBackend):
    def hvp(self, state, tangent, batch, /):
        return super().hvp(state, tangent, batch) + 0.1 * np.asarray(tangent)


class MeanGradients(NumpyBackend):
    def sample_gradients(self, state, batch, /):
        return super().sample_gradients(state, batch) / len(batch[0])


class TransposedGradients(NumpyBackend):
    def sample_gradients(self, state, batch, /):
        rows = super().sample_gradients(state, batch)
        rows[:, :40] = rows[:, :40].reshape(-1, 5, 8).transpose(0, 2, 1).reshape(-1, 40)
        return rows


class GradientsMoveStatistics(NumpyBackend):
    def sample_gradients(self, state, batch, /):
        rows = super().sample_gradients(state, batch)
        for moments in state.statistics:
            moments.mean[:] += 0.1
        return rows


class TrainingModeGradients(NumpyBackend):
    def sample_gradients(self, state, batch, /):
        seen = self.refresh_buffers(state, [batch]) if len(batch[0]) > 1 else state
        return super().sample_gradients(seen, batch)


class TrainingModeFeatures(NumpyBackend):
    def features(self, state, batch, /):
        return super().features(
            self.refresh_buffers(state, [batch]) if len(batch[0]) > 1 else state, batch
        )


class InputsAsFeatures(NumpyBackend):
    def features(self, state, batch, /):
        return np.array(batch[0])


class HalfTheFeatures(NumpyBackend):
    def features(self, state, batch, /):
        return super().features(state, batch)[:, ::2]


class PermutedFeatures(NumpyBackend):
    def features(self, state, batch, /):
        return super().features(state, batch)[:, ::-1]


class Blocks(NumpyBackend):
    """Every block, and the batch it came from, goes through `change`."""

    def change(self, block, b):
        raise AssertionError

    def kronecker(self, state, batch, /, *, seed):
        return [
            self.change(block, len(batch[0]))
            for block in super().kronecker(state, batch, seed=seed)
        ]


class LopsidedFactors(Blocks):
    def change(self, block, b):
        return block._replace(inputs=np.triu(block.inputs))


class NegativeFactors(Blocks):
    def change(self, block, b):
        return block._replace(outputs=-block.outputs)


class PositionsWithinTheLayer(Blocks):
    def change(self, block, b):
        return block._replace(positions=block.positions - block.positions.min())


class TransposedPositions(Blocks):
    def change(self, block, b):
        o, i = block.positions.shape
        return block._replace(positions=np.sort(block.positions, axis=None).reshape(o, i))


class DampedFactors(Blocks):
    def change(self, block, b):
        return block._replace(inputs=block.inputs + 1e-3 * np.eye(len(block.inputs)))


class GradientsOfTheMeanLoss(Blocks):
    def change(self, block, b):
        return block._replace(outputs=block.outputs / b**2)


class SummedFactors(Blocks):
    def change(self, block, b):
        return block._replace(inputs=block.inputs * b)


class RescaledFactors(Blocks):
    """The right products, but other factors."""

    def change(self, block, b):
        return block._replace(inputs=block.inputs * 2, outputs=block.outputs / 2)


class GradientsAfterNormalisation(NumpyBackend):
    def kronecker(self, state, batch, /, *, seed):
        blocks = super().kronecker(state, batch, seed=seed)
        found = [
            self._program.network.split(state.params)[depth].scale for depth in range(len(blocks))
        ]
        gains = [s / np.sqrt(m.var + 1e-5) for s, m in zip(found, state.statistics, strict=False)]
        rescaled = [
            b._replace(outputs=b.outputs / np.outer(g, g))
            for b, g in zip(blocks, gains, strict=False)
        ]
        return rescaled + blocks[len(gains) :]


class DrawsAnew(NumpyBackend):
    calls = 0

    def kronecker(self, state, batch, /, *, seed):
        self.calls += 1
        return super().kronecker(state, batch, seed=None if seed is None else seed + self.calls)


class AlwaysEmpirical(NumpyBackend):
    def kronecker(self, state, batch, /, *, seed):
        return super().kronecker(state, batch, seed=None)


class AlwaysDrawn(NumpyBackend):
    def kronecker(self, state, batch, /, *, seed):
        return super().kronecker(state, batch, seed=0)


class OtherDraws(NumpyBackend):
    def kronecker(self, state, batch, /, *, seed):
        return super().kronecker(state, batch, seed=None if seed is None else seed + 100)


class NamesWithoutBiases(NumpyBackend):
    def parameter_names(self):
        return {
            name: size for name, size in super().parameter_names().items() if "bias" not in name
        }


class IgnoresUnknownNames(NumpyBackend):
    def select(self, names, /):
        return super().select([name for name in names if name in self.parameter_names()])


class SelectedStartsElsewhere(NumpyBackend):
    def select(self, names, /):
        selected = super().select(names)
        selected._initial = selected.unravel(self._initial, 0.9 * selected.ravel(self._initial))
        return selected


class SelectedAsAsked(NumpyBackend):
    """The flat vector in the order of the names given, not in that of the model."""

    def select(self, names, /):
        selected = super().select(names)
        alone = [super(SelectedAsAsked, self).select([name])._program for name in names]
        places = np.concatenate([program.chosen for program in alone])
        selected._program = dataclasses.replace(selected._program, chosen=places)
        return selected


class SelectedJvpOfFirstEntries(NumpyBackend):
    def jvp(self, state, tangent, batch, /):
        flat = np.zeros(state.params.size)
        flat[: len(tangent)] = tangent
        return NumpyBackend(self.to_model(state)).jvp(state, flat, batch)


class FullPositions(NumpyBackend):
    def kronecker(self, state, batch, /, *, seed):
        full = NumpyBackend(self.to_model(state)).kronecker(state, batch, seed=seed)
        return [block for block in full if block.name in self.parameter_names()]


class DecaysTheFrozen(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        after = super().sgd_step(state, batch, lr=lr, seed=seed)
        decayed = after.params * (1 - lr * self._program.optimizer.weight_decay)
        chosen = self._program.chosen
        decayed[chosen] = after.params[chosen]
        return after._replace(params=decayed)


class StepsOfTheFull(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        full = NumpyBackend(
            self.to_model(state), loss="cross_entropy", optimizer=self._program.optimizer
        )
        return full.sgd_step(state, batch, lr=lr, seed=seed)


class LoadsTheStart(NumpyBackend):
    def load(self, checkpoint, /):
        return self.initial_state()


class LoadForgetsStatistics(NumpyBackend):
    def load(self, checkpoint, /):
        return self.initial_state()._replace(params=super().load(checkpoint).params)


class LoadKeepsMomentum(NumpyBackend):
    def load(self, checkpoint, /):
        state = super().load(checkpoint)
        return state._replace(memory=Memory(1, (np.ones_like(state.params),)))


class LoadsTheChosen(NumpyBackend):
    def load(self, checkpoint, /):
        flat = super().load(checkpoint).params[self._program.chosen]
        return self.unravel(self.initial_state(), flat)


class HalfGradients(NumpyBackend):
    def sample_gradients(self, state, batch, /):
        return 0.5 * super().sample_gradients(state, batch)


class SmoothedLoss(NumpyBackend):
    def forward(self, state, batch, /):
        return 0.9 * super().forward(state, batch)


class HastySteps(NumpyBackend):
    def sgd_step_(self, state, batch, /, *, lr, seed):
        return super().sgd_step_(state, batch, lr=1.001 * lr, seed=seed)


class Nesterov(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        ahead = super().sgd_step(state, batch, lr=lr, seed=seed)
        return ahead._replace(params=ahead.params - 0.1 * lr * sum(ahead.memory.vectors))


class ArraysWithoutMemory(NumpyBackend):
    def to_arrays(self, state, /):
        return super().to_arrays(self.restart(state))


class ArraysWithoutStatistics(NumpyBackend):
    def from_arrays(self, arrays, /):
        return super().from_arrays(arrays)._replace(statistics=self.initial_state().statistics)


class RoundedArrays(NumpyBackend):
    def to_arrays(self, state, /):
        arrays = super().to_arrays(state)
        return {**arrays, "params": arrays["params"].astype(np.float32)}


class PickledArrays(NumpyBackend):
    def to_arrays(self, state, /):
        return {**super().to_arrays(state), "extra": np.array([None], dtype=object)}


class ArraysAreViews(NumpyBackend):
    def to_arrays(self, state, /):
        return {**super().to_arrays(state), "params": state.params}


class FrozenStatistics(NumpyBackend):
    def sgd_step(self, state, batch, /, *, lr, seed):
        return (
            super().sgd_step(state, batch, lr=lr, seed=seed)._replace(statistics=state.statistics)
        )


class Control(NamedTuple):
    law: Law
    broken: type[NumpyBackend]
    toy: str = "tanh"
    stochastic: bool = False
    error: type[Exception] = AssertionError


BATCH_NORM = "relu_batch_norm"

CONTROLS = (
    Control(checks.check_contract, NoSeed, error=TypeError),
    Control(checks.check_contract, OptsOutOfNothing),
    Control(checks.check_forward, MeanLoss),
    Control(checks.check_forward, DriftingForward),
    Control(checks.check_samples_apart, TrainingModeForward, BATCH_NORM),
    Control(checks.check_samples_apart, SortedForward),
    Control(checks.check_initial_state, InPlaceStep),
    Control(checks.check_step_is_pure, InPlaceStep),
    Control(checks.check_step_is_pure, InPlaceMomentum),
    Control(checks.check_step_is_pure, InPlaceMomentum, "regression_adamw"),
    Control(checks.check_step_is_pure, GlobalRandomness),
    Control(checks.check_step_is_pure, MomentumOfTheBackend),
    Control(checks.check_seed, IgnoredSeed, stochastic=True),
    Control(checks.check_zero_lr, DecayWithoutLr),
    Control(checks.check_zero_lr, DecayWithoutLr, BATCH_NORM),
    Control(checks.check_lr_matters, BakedLr),
    Control(checks.check_descent, Ascent),
    Control(checks.check_descent, Ascent, BATCH_NORM),
    Control(checks.check_restart, RestartKeepsMomentum),
    Control(checks.check_restart, RestartKeepsMomentum, "float32_adamw"),
    Control(checks.check_restart, RestartAtTheStart),
    Control(checks.check_restart, RestartInPlace),
    Control(checks.check_threads, SharedScratch),
    Control(optional.check_donated_step, LossesAfterTheStep),
    Control(optional.check_copy, CopyIsTheState),
    Control(optional.check_copy, ShallowCopy),
    Control(optional.check_donated_step, CopyForgets),
    Control(optional.check_copy, RavelIsAView),
    Control(optional.check_training_losses, TrainingLossesMoveStatistics, BATCH_NORM),
    Control(optional.check_training_losses, IgnoredSeed, stochastic=True),
    Control(optional.check_refresh, RefreshInPlace, BATCH_NORM),
    Control(optional.check_refresh_is_of_the_batch, ShareOfTheBatchRefresh, BATCH_NORM),
    Control(optional.check_refresh, MovingAverageRefresh, BATCH_NORM),
    Control(optional.check_refresh, NoRefresh, BATCH_NORM),
    Control(optional.check_refresh_keeps_optimizer, RefreshForgetsOptimizer, BATCH_NORM),
    Control(optional.check_logits, Probabilities),
    Control(optional.check_part_losses, HalvesOfParts, "regression_adamw"),
    Control(optional.check_part_losses, PartsInReverse, "regression_adamw"),
    Control(optional.check_params, UnravelKeepsTheVector),
    Control(optional.check_params, UnravelKeepsMomentum),
    Control(optional.check_params, UnravelTransposes),
    Control(optional.check_ensemble, ReversedRows),
    Control(optional.check_ensemble, StackedBatches),
    Control(optional.check_reading, ReadsScoresAsProbabilities),
    Control(optional.check_another_optimizer, KeepsItsOptimizer),
    Control(optional.check_another_optimizer, ChangesItsOptimizer),
    Control(derivatives.check_jvp, WrongSignJvp),
    Control(derivatives.check_jvp, WrongSignJvp, "float32_adamw"),
    Control(derivatives.check_jvp, TransposedJvp),
    Control(derivatives.check_jvp, FiniteStepJvp),
    Control(derivatives.check_jvp_samples_apart, TrainingModeJvp, BATCH_NORM),
    Control(derivatives.check_hvp, SummedHvp),
    Control(derivatives.check_hvp, LopsidedHvp),
    Control(derivatives.check_hvp, DampedHvp),
    Control(derivatives.check_hvp, DampedHvp, "float32_adamw"),
    Control(gradients.check_sample_gradients, MeanGradients),
    Control(gradients.check_sample_gradients, MeanGradients, "float32_adamw"),
    Control(gradients.check_sample_gradients, TransposedGradients),
    Control(gradients.check_sample_gradients, GradientsMoveStatistics, BATCH_NORM),
    Control(gradients.check_sample_gradients_apart, TrainingModeGradients, BATCH_NORM),
    Control(gradients.check_features, TrainingModeFeatures, BATCH_NORM),
    Control(gradients.check_features, InputsAsFeatures),
    Control(gradients.check_features, HalfTheFeatures),
    Control(kronecker.check_kronecker, LopsidedFactors),
    Control(kronecker.check_kronecker, NegativeFactors),
    Control(kronecker.check_kronecker, PositionsWithinTheLayer),
    Control(kronecker.check_kronecker, DrawsAnew),
    Control(kronecker.check_kronecker_of_one_sample, TransposedPositions),
    Control(kronecker.check_kronecker_of_one_sample, DampedFactors),
    Control(kronecker.check_kronecker_of_one_sample, GradientsAfterNormalisation, BATCH_NORM),
    Control(kronecker.check_kronecker_of_one_sample, AlwaysDrawn),
    Control(kronecker.check_kronecker_is_a_mean, GradientsOfTheMeanLoss),
    Control(kronecker.check_kronecker_is_a_mean, SummedFactors),
    Control(kronecker.check_kronecker_seed, AlwaysEmpirical),
    Control(kronecker.check_kronecker_seed, OtherDraws),
    Control(selection.check_parameter_names, NamesWithoutBiases),
    Control(selection.check_parameter_names, IgnoresUnknownNames),
    Control(selection.check_parameter_names, SelectedStartsElsewhere),
    Control(selection.check_model_size, CountsTheTrained),
    Control(selection.check_selected_vector, SelectedStartsElsewhere),
    Control(selection.check_selected_vector, SelectedAsAsked),
    Control(selection.check_selected_vector, SelectedJvpOfFirstEntries),
    Control(selection.check_selected_vector, FullPositions),
    Control(selection.check_selected_steps, DecaysTheFrozen),
    Control(selection.check_selected_steps, StepsOfTheFull),
    Control(selection.check_checkpoints, LoadsTheStart),
    Control(selection.check_checkpoints, LoadForgetsStatistics, BATCH_NORM),
    Control(selection.check_checkpoints, LoadKeepsMomentum),
    Control(selection.check_checkpoints, LoadsTheChosen),
    Control(serialization.check_serialization, ArraysWithoutMemory),
    Control(serialization.check_serialization, ArraysWithoutMemory, "float32_adamw"),
    Control(serialization.check_serialization, ArraysWithoutStatistics, BATCH_NORM),
    Control(serialization.check_serialization, RoundedArrays),
    Control(serialization.check_serialization, PickledArrays),
    Control(serialization.check_serialization_is_apart, ArraysAreViews),
    Control(refusals.check_refuses_no_batches, TakesNoBatches, BATCH_NORM),
    Control(refusals.check_refuses_no_batches, OtherErrorForNoBatches, BATCH_NORM),
    Control(refusals.check_refuses_other_vectors, OtherWordsForVectors),
    Control(refusals.check_refuses_other_names, TakesNoNames),
    Control(refusals.check_refuses_other_labels, TakesAnyLabel),
    Control(oracle.check_oracle_sample_gradients, HalfGradients),
    Control(oracle.check_oracle_features, PermutedFeatures),
    Control(oracle.check_oracle_kronecker, RescaledFactors),
    Control(oracle.check_oracle_kronecker, OtherDraws, "regression_adamw"),
    Control(oracle.check_oracle_scores, HastySteps),
    Control(oracle.check_oracle_scores, HastySteps, BATCH_NORM),
    Control(oracle.check_oracle_scores, HalfJvp),
    Control(oracle.check_oracle_losses, SmoothedLoss),
    Control(oracle.check_oracle_logits, DoubledLogits),
    Control(oracle.check_oracle_training_losses, EvaluatedTrainingLosses, BATCH_NORM),
    Control(oracle.check_oracle_steps, Nesterov),
    Control(oracle.check_oracle_steps, FrozenStatistics, BATCH_NORM),
    Control(oracle.check_oracle_refresh, BiasedRefresh, BATCH_NORM),
    Control(oracle.check_oracle_jvp, HalfJvp),
    Control(oracle.check_oracle_hvp, DampedHvp),
)


def _problem(broken: type[NumpyBackend], toy: Toy, *, stochastic: bool) -> Problem:
    backend = broken(toy.model, loss=toy.loss, optimizer=toy.optimizer)
    return dataclasses.replace(
        toy.problem(backend, checkpoint=backend.to_model), stochastic=stochastic
    )


@pytest.mark.parametrize(
    "control", CONTROLS, ids=lambda c: f"{c.law.__name__}-{c.broken.__name__}-{c.toy}"
)
def test_broken_backend_is_caught(control: Control) -> None:
    problem = _problem(control.broken, TOYS[control.toy], stochastic=control.stochastic)
    try:
        with pytest.raises(control.error):
            control.law(problem)
    except pytest.skip.Exception as skipped:
        pytest.fail(f"the law was not checked: {skipped}")


def test_every_law_has_a_control() -> None:
    assert {law.__name__ for law in LAWS} == {control.law.__name__ for control in CONTROLS}


@pytest.mark.parametrize(
    "law", [law for law in LAWS if law not in oracle.LAWS], ids=lambda law: law.__name__
)
@pytest.mark.parametrize("toy", ["tanh", BATCH_NORM])
def test_proper_randomness_passes(law: Law, toy: str) -> None:
    law(_problem(Noisy, TOYS[toy], stochastic=True))
