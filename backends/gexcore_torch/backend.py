"""PyTorch modules behind gexcore's contract."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from gexcore.backend.kronecker import KroneckerBlock
from gexcore.backend.optimizer import Optimizer
from gexcore.backend.protocols import (
    Dataset,
    SupportsDonation,
    SupportsLogits,
    SupportsPartLosses,
    SupportsTrainingLosses,
)
from gexcore.backend.refusals import check_batches
from gexcore_torch import lightning, serialization, vectors
from gexcore_torch.capabilities import missing
from gexcore_torch.curvature import differentiating
from gexcore_torch.data import Call, Placement, dataset_of
from gexcore_torch.losses import LOSSES, Loss, loss_of, of_step
from gexcore_torch.names import known_loss
from gexcore_torch.optimizers import factory
from gexcore_torch.program import Program
from gexcore_torch.reading import Arguments, unshifted
from gexcore_torch.selection import loaded, only
from gexcore_torch.state import TorchState, copied
from gexcore_torch.trainers import own_data_of
from gexcore_torch.worker import state_of, template_of, trainable


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
        template = template_of(model)
        self._initial = state_of(template)
        self._placement = Placement.of(template)
        self._arguments = Arguments.of(template)
        loss = known_loss(loss)
        self.loss_name = loss if isinstance(loss, str) else None
        self._loss_given = loss
        self._optimizer = optimizer or Optimizer()
        # whether a LightningModule steps sample by sample; None: its step is not used
        self._alone: bool | None = None
        losses = loss_of(loss, self._placement.device)
        self._program = Program(template, losses, loss, factory(self._optimizer))
        self.unsupported = missing(template, loss)

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
        return self._program.template

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
        return self._program.losses(state, self._call(batch))

    def stack(self, states: Sequence[TorchState], /) -> list[TorchState]:
        """The states themselves: vectorised networks are slower than one after the other."""
        return list(states)

    def forward_many(self, stacked: Sequence[TorchState], batch: Any, /) -> Tensor:
        """Losses of shape (m, b), with the same bits as `forward`. The batch is placed once."""
        return self._program.ensemble(stacked, self._call(batch))

    def part_losses(self, state: TorchState, batch: Any, /) -> Tensor:
        """Losses of labels, tokens, pixels or outputs in evaluation mode, detached."""
        return self._program.parts(state, self._call(batch))

    def logits(self, state: TorchState, batch: Any, /) -> Tensor:
        """The model's output in evaluation mode, detached; shape (b, K) for a classifier."""
        return self._program.outputs(state, self._call(batch))

    def training_losses(self, state: TorchState, batch: Any, /, *, seed: int) -> Tensor:
        """Losses of shape (b,) in training mode, detached; no step."""
        return self._program.training(state, self._call(batch), seed)

    def sgd_step(self, state: TorchState, batch: Any, /, *, lr: float, seed: int) -> TorchState:
        """State after one step on the mean loss of the batch, in training mode."""
        return self.sgd_step_(copied(state), batch, lr=lr, seed=seed)[0]

    @differentiating
    def sgd_step_(
        self, state: TorchState, batch: Any, /, *, lr: float, seed: int
    ) -> tuple[TorchState, Tensor]:
        """State after a step in the memory of `state`, and the losses before the update."""
        return self._program.step(state, self._call(batch), lr, seed)

    def refresh_buffers(self, state: TorchState, batches: Sequence[Any], /) -> TorchState:
        """State with new statistics of its BatchNorm layers. Each batch counts equally.

        Only these layers are in training mode meanwhile.
        """
        check_batches(batches)
        return self._program.statistics(state, map(self._call, batches))

    def ravel(self, state: TorchState, /) -> Tensor:
        """Trainable parameters in the order of ``named_parameters``, shape (p,)."""
        return vectors.ravel(state.params)

    def unravel(self, state: TorchState, flat: Any, /) -> TorchState:
        """State with these parameters, the same buffers and a fresh optimiser."""
        return copied(replace(state, params=vectors.split(flat, state.params), moments=None))

    @differentiating
    def jvp(self, state: TorchState, tangent: Any, batch: Any, /) -> Tensor:
        """Derivative of each loss along `tangent`, shapes (b,) and (p,), in evaluation mode."""
        return self._program.derivatives(state, self._call(batch), tangent)

    @differentiating
    def hvp(self, state: TorchState, tangent: Any, batch: Any, /) -> Tensor:
        """Hessian of the mean loss times `tangent`, shape (p,), in evaluation mode."""
        return self._program.curvature(state, self._call(batch), tangent)

    @differentiating
    def sample_gradients(self, state: TorchState, batch: Any, /) -> Tensor:
        """Gradients of each loss, shape (b, p), in evaluation mode."""
        return self._program.gradients(state, self._call(batch))

    def features(self, state: TorchState, batch: Any, /) -> Tensor:
        """Inputs of the last ``nn.Linear`` that runs, flattened to (b, h), in evaluation mode."""
        return self._program.features(state, self._call(batch))

    @differentiating
    def kronecker(
        self, state: TorchState, batch: Any, /, *, seed: int | None
    ) -> list[KroneckerBlock]:
        """Statistics of ``nn.Linear`` and ungrouped ``nn.Conv1d`` and ``nn.Conv2d`` layers.

        Layers with a shared weight are left out.
        """
        return self._program.factors(state, self._call(batch), seed)

    def parameter_names(self) -> Mapping[str, int]:
        """Names of trainable parameters, as in ``named_parameters``. Tied ones come once."""
        return {name: p.numel() for name, p in trainable(self._program.template).items()}

    def model_size(self) -> int:
        """Number of all parameters, with those that need no gradient. Tied ones count once."""
        return sum(p.numel() for p in self._program.template.parameters())

    def select(self, names: Collection[str], /) -> TorchBackend:
        """The same backend, with only these parameters trainable. Nothing else changes."""
        template = only(self._program.template, names)
        other = TorchBackend(template, loss=self._loss_given, optimizer=self._optimizer)
        return other._with(other._program.read_as(self._program.reading))

    def with_optimizer(self, optimizer: Optimizer, /) -> TorchBackend:
        """The same model and loss with another optimiser."""
        other = self._with(self._program.stepping_by(factory(optimizer)))
        other._optimizer = optimizer
        return other

    def reading(self, batch: Any, /) -> TorchBackend:
        """The same backend; outputs that are probabilities are read as such.

        The labels of a causal language model of ``transformers`` are shifted, unless this batch
        shows that they were shifted beforehand.
        """
        if self._loss_given is None and lightning.steps(self._program.template):
            return self._stepping(batch)
        before = replace(self._program.reading, closing=None)
        reading = unshifted(before, self._placement.call(batch))
        program = self._program.read_as(reading)
        call = self._with(program)._call(batch)
        program = program.unwatched(self._initial, call)
        output, closing, axis = program.closing(self._initial, call)
        program = program.read_as(replace(reading, closing=closing, axis=axis))
        return self._with(program, () if isinstance(output, Tensor) else (SupportsLogits,))

    def _stepping(self, batch: Any) -> TorchBackend:
        """The backend of a LightningModule: by a named loss that gives what its step gives.

        Where no named loss does, the losses are those of ``training_step`` itself.
        """
        template = lightning.with_steps(self._program.template)
        program = Program(template, of_step, of_step, self._program.make_optimizer)
        module = program.worker().ready(self._initial, training=False)

        def losses_by(name: str) -> Tensor:
            call = self._call(batch)
            return LOSSES[name](program.reading.scores(module, call), call.target)

        placed = self._placement.place(batch)
        name, alone = lightning.loss_of_step(module, placed, LOSSES, losses_by)
        if name is not None:
            other = TorchBackend(template, loss=name, optimizer=self._optimizer)
            return other.reading(batch)
        steps = (SupportsTrainingLosses, SupportsDonation) if alone else ()
        other = self._with(program, (SupportsLogits, SupportsPartLosses, *steps))
        other._loss_given, other._alone, other.loss_name = of_step, alone, "training_step"
        return other

    def _with(self, program: Program, without: Collection[type] = ()) -> TorchBackend:
        """The same backend with another program, and without some capabilities."""
        other = copy.copy(self)
        other._program = program
        other.unsupported = self.unsupported.union(without)
        return other

    def load(self, checkpoint: Any, /) -> TorchState:
        """State of a state dict, or of a module of the same architecture, frozen parts included."""
        return loaded(self._program.template, checkpoint)

    def to_arrays(self, state: TorchState, /) -> Mapping[str, NDArray[Any]]:
        """Parameters, buffers and memory of the optimiser."""
        return serialization.to_arrays(state)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], /) -> TorchState:
        """The state that `to_arrays` was given, on the model's device."""
        return serialization.from_arrays(arrays, self._initial)

    def own_data(self, model: Any, /) -> Any:
        """The training data that a Trainer of transformers or Lightning holds; else None."""
        return own_data_of(model)

    def dataset(self, data: Any, /) -> Dataset[Any] | None:
        """A ``Dataset``, ``DataLoader`` or tuple of tensors as a gexcore dataset, else None."""
        return dataset_of(data, self.input_names)

    def _call(self, batch: Any) -> Call:
        if self._alone is not None:
            placed = self._placement.place(batch)
            return Call((lightning.Whole(placed, self._alone),), {}, None)
        return self._program.reading.call(self._arguments.fitted(self._placement.call(batch)))
