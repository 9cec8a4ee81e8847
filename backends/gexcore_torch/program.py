"""The model, its loss and its optimiser as functions of states."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gexcore.backend.kronecker import KroneckerBlock
from gexcore_torch import curvature, features, hooks, kronecker, vectors
from gexcore_torch.buffers import estimating_anew
from gexcore_torch.curvature import LossesOf
from gexcore_torch.data import Call, full
from gexcore_torch.gradients import SampleGradients
from gexcore_torch.losses import PARTS, Loss
from gexcore_torch.optimizers import MakeOptimizer
from gexcore_torch.randomness import Draws
from gexcore_torch.reading import Closing, Reading, Untouched, closing_of, duplicate, reading_of
from gexcore_torch.sampling import with_drawn_targets
from gexcore_torch.selection import only
from gexcore_torch.state import TorchState, with_own_buffers
from gexcore_torch.worker import Worker, trainable


class Program:
    """Functions of a state and a call, in evaluation mode if nothing else is said.

    Private copies of the model do the work, one per thread.

    Parameters
    ----------
    template : nn.Module
        The model with θ*, which never runs.
    loss : callable
    name : Any
        The loss as the user gave it.
    make_optimizer : callable

    Attributes
    ----------
    reading : Reading
        How outputs become scores. At first as the kind of the model tells.
    """

    def __init__(
        self, template: nn.Module, loss: Loss, name: Any, make_optimizer: MakeOptimizer
    ) -> None:
        self.template = template
        self.reading = reading_of(template, name)
        self._loss = loss
        self._name = name
        device = next(template.parameters()).device
        self._training = Draws(device)
        # some models draw in evaluation mode too; one seed makes them deterministic
        self._evaluation = Draws(device)
        self._untouched = Untouched()
        self._has_forward_mode = True
        self._gradients = SampleGradients(self._losses, self._evaluation)
        self._start(make_optimizer)

    def _start(self, make_optimizer: MakeOptimizer) -> None:
        self.make_optimizer = make_optimizer
        self._local = threading.local()
        self.worker()

    def stepping_by(self, make_optimizer: MakeOptimizer) -> Program:
        """The same program with another optimiser."""
        other = copy.copy(self)
        other._start(make_optimizer)
        return other

    def read_as(self, reading: Reading) -> Program:
        """The same program, whose scores are read in another way."""
        if reading == self.reading:
            return self
        other = copy.copy(self)
        other.reading = reading
        other._gradients = SampleGradients(other._losses, other._evaluation)
        return other

    def unwatched(self, state: TorchState, call: Call) -> Program:
        """The same program without the user's hooks, if they do not change the outputs."""
        if not hooks.watched(self.template):
            return self
        other = copy.copy(self)
        other.template = hooks.unwatched(only(self.template, trainable(self.template)))
        other._local = threading.local()
        for training in (False, True):
            outputs = []
            for program in (self, other):
                module = program.worker().ready(with_own_buffers(state), training=training)
                with torch.no_grad():
                    found = self._training.run(0, self.reading.scores, module, duplicate(call))
                outputs.append(tree_leaves(found))
            if not all(_same(a, b) for a, b in zip(*outputs, strict=True)):
                return self
        return other

    def worker(self) -> Worker:
        """The copy of the model for this thread."""
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._local.worker = Worker(self.template, self.make_optimizer)
        return worker

    def outputs(self, state: TorchState, call: Call) -> Tensor:
        """The model's output, detached."""
        return full(self._evaluated(self._scores, state, call))

    def losses(self, state: TorchState, call: Call) -> Tensor:
        """Losses of shape (b,), detached."""
        losses: Tensor = self._evaluated(self._losses, state, call)
        return losses

    def parts(self, state: TorchState, call: Call) -> Tensor:
        """Losses of parts, detached, at the labels that they are of."""
        return self.reading.placed(self._evaluated(self._parts, state, call))

    def ensemble(self, states: Sequence[TorchState], call: Call) -> Tensor:
        """Losses of shape (m, b), detached, with the same bits as `losses`."""
        return torch.stack([self.losses(state, call) for state in states])

    def training(self, state: TorchState, call: Call, seed: int) -> Tensor:
        """Losses of shape (b,) in training mode, detached."""
        with torch.no_grad():
            # training mode writes to buffers
            module = self.worker().ready(with_own_buffers(state), training=True)
            losses: Tensor = self._training.run(seed, self._untouched, self._losses, module, call)
            return losses

    def step(
        self, state: TorchState, call: Call, lr: float, seed: int
    ) -> tuple[TorchState, Tensor]:
        """State after a step in the memory of `state`, and the losses before it."""
        worker = self.worker()
        module = worker.ready(state, training=True)
        losses: Tensor = self._training.run(seed, self._untouched, self._losses, module, call)
        return worker.step(state, losses, lr), losses.detach()

    def statistics(self, state: TorchState, calls: Iterable[Call]) -> TorchState:
        """State with the running statistics of these batches, with equal weights."""
        refreshed = with_own_buffers(state)
        with torch.no_grad():
            module = self.worker().ready(refreshed, training=False)
            with estimating_anew(module):
                for call in calls:
                    self._evaluation.run(0, self._untouched, self._scores, module, call)
        return refreshed

    def derivatives(self, state: TorchState, call: Call, tangent: Any) -> Tensor:
        """Derivative of each loss along the tangent, shapes (b,) and (p,)."""
        worker, losses_of = self.worker(), self._losses_of(call)
        module = worker.ready(state, training=False)
        tangents = vectors.split(tangent, state.params)
        if self._has_forward_mode:
            try:
                return curvature.jvp_forward(module, worker.named, tangents, losses_of)
            except NotImplementedError:
                self._has_forward_mode = False
        return curvature.jvp_reverse(module, worker.params, tangents, losses_of)

    def curvature(self, state: TorchState, call: Call, tangent: Any) -> Tensor:
        """Hessian of the mean loss times the tangent, shape (p,)."""
        worker = self.worker()
        module = worker.ready(state, training=False)
        tangents = vectors.split(tangent, state.params)
        return curvature.hvp(module, worker.params, tangents, self._losses_of(call))

    def gradients(self, state: TorchState, call: Call) -> Tensor:
        """Gradients of shape (b, p)."""
        losses, worker = self.losses(state, call), self.worker()
        module = worker.ready(state, training=False)
        return self._gradients(module, worker.named, call, losses)

    def features(self, state: TorchState, call: Call) -> Tensor:
        """Inputs of the last linear layer that runs, shape (b, h), detached."""
        with torch.no_grad():
            module = self.worker().ready(state, training=False)
            return features.features(
                module, lambda run: self._evaluation.run(0, self._scores, run, duplicate(call))
            )

    def factors(self, state: TorchState, call: Call, seed: int | None) -> list[KroneckerBlock]:
        """Kronecker factors of the layers, for given targets or, with a seed, for drawn ones."""
        loss = self._loss
        if seed is not None:
            loss = with_drawn_targets(loss, self._name, seed)
        module = self.worker().ready(state, training=False)
        return kronecker.blocks(
            module,
            lambda run: loss(
                self._evaluation.run(0, self._scores, run, duplicate(call)), call.target
            ),
        )

    def closing(self, state: TorchState, call: Call) -> tuple[Any, Closing | None, int]:
        """An output of the model, what closes the model, and the axis of its classes."""
        with torch.inference_mode(False), torch.enable_grad():  # the graph tells what closes it
            module = self.worker().ready(state, training=False)
            output = self._evaluation.run(0, self._untouched, self.reading.scores, module, call)
            return output, *closing_of(output, call.target, self._name, self._loss)

    def _evaluated(self, function: Callable[..., Any], state: TorchState, call: Call) -> Any:
        # not inference mode: a module could not use its cached tensors in training
        with torch.no_grad():
            module = self.worker().ready(state, training=False)
            return self._evaluation.run(0, self._untouched, function, module, call)

    def _scores(self, run: Callable[..., Any], call: Call) -> Any:
        return self.reading.scores(run, call)

    def _losses(self, run: Callable[..., Any], call: Call) -> Tensor:
        return self._loss(self._scores(run, call), call.target)

    def _parts(self, run: Callable[..., Any], call: Call) -> Tensor:
        return PARTS[self._name or "cross_entropy"](self._scores(run, call), call.target)

    def _losses_of(self, call: Call) -> LossesOf:
        return lambda run: self._evaluation.run(0, self._losses, run, duplicate(call))


def _same(one: Any, other: Any) -> bool:
    both = isinstance(one, Tensor) and isinstance(other, Tensor)
    return not both or torch.equal(one, other)
