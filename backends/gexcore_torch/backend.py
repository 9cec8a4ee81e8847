"""PyTorch modules behind gexcore's contract."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Dataset,
    SupportsBufferRefresh,
    SupportsDonation,
    SupportsFeatures,
    SupportsKronecker,
    SupportsLogits,
    SupportsPartLosses,
    SupportsTrainingLosses,
)
from gexcore.backend.refusals import check_batches
from gexcore_torch import curvature, hooks, kronecker, lightning, serialization
from gexcore_torch.batchnorm import estimating_anew, tracking
from gexcore_torch.curvature import differentiating
from gexcore_torch.data import Call, Placement, dataset_of, full
from gexcore_torch.gradients import SampleGradients
from gexcore_torch.losses import LOSSES, PARTS, Loss, loss_of
from gexcore_torch.names import known_loss
from gexcore_torch.optimizers import factory
from gexcore_torch.randomness import Draws
from gexcore_torch.reading import (
    Arguments,
    Reading,
    Untouched,
    closing_of,
    duplicate,
    reading_of,
    unshifted,
)
from gexcore_torch.sampling import with_drawn_targets
from gexcore_torch.selection import loaded, only
from gexcore_torch.state import TorchState, copied, with_own_buffers
from gexcore_torch.worker import Worker, is_trainer, state_of, template_of, trainable

TRIED = 4
"""Samples on which two losses are compared."""


class TorchBackend:
    """Any ``nn.Module`` as a `Backend`. Several threads may use it.

    Private copies of the model do the work, one per thread. The model itself, its mode, gradients
    and random generators never change. θ* are the model's parameters at construction. Frozen
    parameters are shared with the model, so do not change them meanwhile.

    Parameters
    ----------
    model : nn.Module
        Model on any device. ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``
        wrappers are removed.
    loss : {"cross_entropy", "squared_error", "binary_cross_entropy"} or callable, optional
        A callable takes the model's output and the target, and returns losses of shape (b,). If the
        output has ``logits``, the loss gets the logits.
    optimizer : Optimizer
        A callable name is ``params -> torch.optim.Optimizer``.

    Raises
    ------
    InvalidModelError
        If the model is no module, cannot be copied or has nothing to train, or the loss or
        optimiser is unknown.

    Examples
    --------
    >>> import torch
    >>> from gexcore_torch.backend import TorchBackend
    >>> backend = TorchBackend(torch.nn.Linear(4, 3))
    >>> state = backend.initial_state()
    >>> backend.forward(state, (torch.zeros(2, 4), torch.tensor([0, 2]))).shape
    torch.Size([2])
    """

    name = "torch"

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str | Loss | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        self._template = template_of(model)
        self._initial = state_of(self._template)
        self._placement = Placement.of(self._template)
        loss = known_loss(loss)
        self.loss_name = loss if isinstance(loss, str) else None
        self._loss = loss_of(loss, self._placement.device)
        self._loss_given = loss
        self._training = Draws(self._placement.device)
        # some models draw in evaluation mode too; one seed makes them deterministic
        self._evaluation = Draws(self._placement.device)
        self._has_forward_mode = True
        self._reading = reading_of(self._template, loss)
        self._untouched = Untouched()
        # whether a LightningModule steps sample by sample; None: its step is not used
        self._alone: bool | None = None
        self._arguments = Arguments.of(self._template)
        self._sample_gradients = SampleGradients(self._losses, self._evaluation)
        self.unsupported: frozenset[type] = frozenset(
            ([] if tracking(self._template) else [SupportsBufferRefresh])
            + ([SupportsLogits] if loss in ("squared_error", "binary_cross_entropy") else [])
            + ([] if loss is None or loss in LOSSES else [SupportsPartLosses])
            + ([] if hooks.linear_layers(self._template) else [SupportsFeatures])
            + ([] if kronecker.layers_of(self._template) else [SupportsKronecker])
        )
        self._start(optimizer or Optimizer())

    def _start(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._make_optimizer = factory(optimizer)
        self._local = threading.local()
        self._worker()

    @property
    def most_inputs(self) -> int | None:
        """Most positional inputs of the model; None where it takes any number."""
        return self._arguments.most

    @property
    def input_names(self) -> Collection[str] | None:
        """Names of the inputs of the model; None where it takes any."""
        return self._arguments.names

    def structure(self) -> Any:
        """The tree of modules with their settings."""
        return self._template

    def initial_state(self) -> TorchState:
        """State with θ*, its buffers and a fresh optimiser; equal on every call."""
        return self._initial

    def restart(self, state: TorchState, /) -> TorchState:
        """State with the same parameters and buffers, and a fresh optimiser."""
        return replace(state, moments=None)

    def copy(self, state: TorchState, /) -> TorchState:
        """A state that may be given to `sgd_step_`."""
        return copied(state)

    def forward(self, state: TorchState, batch: Any, /) -> Tensor:
        """Losses of shape (b,) in evaluation mode, detached, on the model's device."""
        # not inference mode: a module could not use its cached tensors in training
        with torch.no_grad():
            module = self._worker().ready(state, training=False)
            losses: Tensor = self._evaluation.run(
                0, self._untouched, self._losses, module, self._call(batch)
            )
            return losses

    def stack(self, states: Sequence[TorchState], /) -> list[TorchState]:
        """The states themselves: vectorised networks are slower than one after the other."""
        return list(states)

    def forward_many(self, stacked: Sequence[TorchState], batch: Any, /) -> Tensor:
        """Losses of shape (m, b), with the same bits as `forward`. The batch is placed once."""
        call, worker = self._call(batch), self._worker()
        with torch.no_grad():
            modules = (worker.ready(state, training=False) for state in stacked)
            return torch.stack(
                [
                    self._evaluation.run(0, self._untouched, self._losses, module, call)
                    for module in modules
                ]
            )

    def part_losses(self, state: TorchState, batch: Any, /) -> Tensor:
        """Losses of labels, tokens, pixels or outputs in evaluation mode, detached."""
        with torch.no_grad():
            module = self._worker().ready(state, training=False)
            losses: Tensor = self._evaluation.run(
                0, self._untouched, self._parts, module, self._call(batch)
            )
            return self._reading.placed(losses)

    def logits(self, state: TorchState, batch: Any, /) -> Tensor:
        """The model's output in evaluation mode, detached; shape (b, K) for a classifier."""
        with torch.no_grad():
            module = self._worker().ready(state, training=False)
            return full(
                self._evaluation.run(0, self._untouched, self._scores, module, self._call(batch))
            )

    def training_losses(self, state: TorchState, batch: Any, /, *, seed: int) -> Tensor:
        """Losses of shape (b,) in training mode, detached; no step."""
        with torch.no_grad():
            # training mode writes to buffers
            module = self._worker().ready(with_own_buffers(state), training=True)
            losses: Tensor = self._training.run(
                seed, self._untouched, self._losses, module, self._call(batch)
            )
            return losses

    def sgd_step(self, state: TorchState, batch: Any, /, *, lr: float, seed: int) -> TorchState:
        """State after one step on the mean loss of the batch, in training mode."""
        return self.sgd_step_(copied(state), batch, lr=lr, seed=seed)[0]

    @differentiating
    def sgd_step_(
        self, state: TorchState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[TorchState, Tensor]:
        """State after a step in the memory of `state`, and the losses before the update."""
        worker = self._worker()
        module = worker.ready(state, training=True)
        losses: Tensor = self._training.run(
            seed, self._untouched, self._losses, module, self._call(batch)
        )
        return worker.step(state, losses, lr), losses.detach()

    def refresh_buffers(self, state: TorchState, batches: Sequence[Any], /) -> TorchState:
        """State with new statistics of its BatchNorm layers. Each batch counts equally.

        Only these layers are in training mode meanwhile.
        """
        check_batches(batches)
        refreshed = with_own_buffers(state)
        with torch.no_grad():
            module = self._worker().ready(refreshed, training=False)
            with estimating_anew(module):
                for batch in batches:
                    self._evaluation.run(
                        0, self._untouched, self._scores, module, self._call(batch)
                    )
        return refreshed

    def ravel(self, state: TorchState, /) -> Tensor:
        """Trainable parameters in the order of ``named_parameters``, shape (p,)."""
        return curvature.ravel(state.params)

    def unravel(self, state: TorchState, flat: Any, /) -> TorchState:
        """State with these parameters, the same buffers and a fresh optimiser."""
        return copied(replace(state, params=curvature.split(flat, state.params), moments=None))

    @differentiating
    def jvp(self, state: TorchState, tangent: Any, batch: Any, /) -> Tensor:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        worker, losses_of = self._worker(), self._losses_of(batch)
        module = worker.ready(state, training=False)
        tangents = curvature.split(tangent, state.params)
        if self._has_forward_mode:
            try:
                return curvature.jvp_forward(module, worker.named, tangents, losses_of)
            except NotImplementedError:
                self._has_forward_mode = False
        return curvature.jvp_reverse(module, worker.params, tangents, losses_of)

    @differentiating
    def hvp(self, state: TorchState, tangent: Any, batch: Any, /) -> Tensor:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        worker = self._worker()
        module = worker.ready(state, training=False)
        return curvature.hvp(
            module, worker.params, curvature.split(tangent, state.params), self._losses_of(batch)
        )

    @differentiating
    def sample_gradients(self, state: TorchState, batch: Any, /) -> Tensor:
        """Gradients of each loss, shape (b, p), in evaluation mode."""
        losses, worker = self.forward(state, batch), self._worker()
        module = worker.ready(state, training=False)
        return self._sample_gradients(module, worker.named, self._call(batch), losses)

    def features(self, state: TorchState, batch: Any, /) -> Tensor:
        """Inputs of the last ``nn.Linear`` that runs, flattened to (b, h), in evaluation mode."""
        call = self._call(batch)
        with torch.no_grad():
            module = self._worker().ready(state, training=False)
            return hooks.features(
                module, lambda run: self._evaluation.run(0, self._scores, run, duplicate(call))
            )

    @differentiating
    def kronecker(
        self, state: TorchState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of ``nn.Linear`` and ungrouped ``nn.Conv1d`` and ``nn.Conv2d`` layers.

        Layers with a shared weight are left out.
        """
        call, loss = self._call(batch), self._loss
        if seed is not None:
            loss = with_drawn_targets(loss, self._loss_given, seed)
        module = self._worker().ready(state, training=False)
        return kronecker.blocks(
            module,
            lambda run: loss(
                self._evaluation.run(0, self._scores, run, duplicate(call)), call.target
            ),
        )

    def parameter_names(self) -> Mapping[str, int]:
        """Names of trainable parameters, as in ``named_parameters``. Tied ones come once."""
        return {name: p.numel() for name, p in trainable(self._template).items()}

    def select(self, names: Collection[str], /) -> TorchBackend:
        """The same backend, with only these parameters trainable. Nothing else changes."""
        other = TorchBackend(
            only(self._template, names), loss=self._loss_given, optimizer=self._optimizer
        )
        return other._reading_as(self._reading)

    def with_optimizer(self, optimizer: Optimizer, /) -> TorchBackend:
        """The same model and loss with another optimiser."""
        other = copy.copy(self)
        other._start(optimizer)
        return other

    def reading(self, batch: Any, /) -> TorchBackend:
        """The same backend; outputs that are probabilities are read as such.

        The labels of a causal language model of ``transformers`` are shifted, unless this batch
        shows that they were shifted beforehand.
        """
        if self._loss_given is None and lightning.steps(self._template):
            return self._stepping(batch)
        reading = unshifted(replace(self._reading, closing=None), self._placement.call(batch))
        other = self._reading_as(reading)
        call = other._call(batch)
        if hooks.watched(self._template):
            other = other._unwatched(call)
        with torch.inference_mode(False), torch.enable_grad():  # the graph tells what closes it
            module = other._worker().ready(self._initial, training=False)
            output = self._evaluation.run(0, self._untouched, reading.scores, module, call)
            closing, axis = closing_of(output, call.target, self._loss_given, self._loss)
        found = other._reading_as(replace(reading, closing=closing, axis=axis))
        if not isinstance(output, Tensor):
            found = copy.copy(found)
            found.unsupported = found.unsupported | {SupportsLogits}
        return found

    def _stepping(self, batch: Any) -> TorchBackend:
        """The backend of a LightningModule: by a named loss that gives what its step gives.

        Where no named loss does, the losses are those of ``training_step`` itself.
        """
        lightning.with_steps(self._template)
        self._local = threading.local()
        few = self._placement.place(batch)
        module = self._worker().ready(self._initial, training=False)
        with torch.no_grad():
            wanted = lightning.losses_alone(module, few, TRIED)
            for name, loss in LOSSES.items():

                def named(loss: Loss = loss) -> Any:
                    call = self._call(batch)
                    return loss(self._scores(module, call), call.target)[: len(wanted)]

                if lightning.agree(named, wanted):
                    other = TorchBackend(self._template, loss=name, optimizer=self._optimizer)
                    return other.reading(batch)
            whole = lightning.Whole(few)
            alone = not lightning.agree(lambda: module(whole)[: len(wanted)], wanted)
        other = copy.copy(self)
        other._loss_given = _of_step
        other._loss, other._alone, other.loss_name = _of_step, alone, "training_step"
        missing = {SupportsLogits, SupportsPartLosses}
        missing |= {SupportsTrainingLosses, SupportsDonation} if alone else set()
        other.unsupported = other.unsupported | missing
        other._sample_gradients = SampleGradients(other._losses, other._evaluation)
        return other

    def _unwatched(self, call: Call) -> TorchBackend:
        """The same backend without the user's hooks, if they do not change the outputs."""
        other = copy.copy(self)
        other._template = hooks.unwatched(only(self._template, trainable(self._template)))
        other._local = threading.local()
        for training in (False, True):
            state = with_own_buffers(self._initial)
            outputs = []
            for backend in (self, other):
                module = backend._worker().ready(with_own_buffers(state), training=training)
                with torch.no_grad():
                    found = self._training.run(0, self._reading.scores, module, duplicate(call))
                outputs.append(tree_leaves(found))
            if not all(_same(a, b) for a, b in zip(*outputs, strict=True)):
                return self
        return other

    def _reading_as(self, reading: Reading) -> TorchBackend:
        if reading == self._reading:
            return self
        other = copy.copy(self)
        other._reading = reading
        other._sample_gradients = SampleGradients(other._losses, other._evaluation)
        return other

    def load(self, checkpoint: Any, /) -> TorchState:
        """State of a state dict, or of a module of the same architecture, frozen parts included."""
        return loaded(self._template, checkpoint)

    def to_arrays(self, state: TorchState, /) -> Mapping[str, NDArray[Any]]:
        """Parameters, buffers and memory of the optimiser."""
        return serialization.to_arrays(state)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> TorchState:
        """The state that `to_arrays` was given, on the model's device."""
        return serialization.from_arrays(arrays, self._initial)

    def own_data(self, model: Any, /) -> Any:
        """The training data that a Trainer of transformers or Lightning holds; else None."""
        if lightning.is_a(model, "Trainer"):
            return lightning.loader_of(model)
        if not is_trainer(model) or model.train_dataset is None:
            return None
        return model.get_eval_dataloader(model.train_dataset)

    def dataset(self, data: Any, /) -> Dataset[Any] | None:
        """A ``Dataset``, ``DataLoader`` or tuple of tensors as a gexcore dataset, else None."""
        return dataset_of(data, self.input_names)

    def _worker(self) -> Worker:
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._local.worker = Worker(self._template, self._make_optimizer)
        return worker

    def _call(self, batch: Any) -> Call:
        if self._alone is not None:
            placed = self._placement.place(batch)
            return Call((lightning.Whole(placed, self._alone),), {}, None)
        return self._reading.call(self._arguments.fitted(self._placement.call(batch)))

    def _scores(self, run: Callable[..., Any], call: Call) -> Any:
        return self._reading.scores(run, call)

    def _losses(self, run: Callable[..., Any], call: Call) -> Tensor:
        return self._loss(self._scores(run, call), call.target)

    def _parts(self, run: Callable[..., Any], call: Call) -> Tensor:
        return PARTS[self.loss_name or "cross_entropy"](self._scores(run, call), call.target)

    def _losses_of(self, batch: Any) -> curvature.LossesOf:
        call = self._call(batch)
        return lambda run: self._evaluation.run(0, self._losses, run, duplicate(call))


def _of_step(output: Any, target: Any) -> Tensor:
    """The loss that ``training_step`` has computed."""
    losses: Tensor = full(output)
    return losses


def _same(one: Any, other: Any) -> bool:
    both = isinstance(one, Tensor) and isinstance(other, Tensor)
    return not both or torch.equal(one, other)
