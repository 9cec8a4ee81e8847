"""A callback for the Trainer of Hugging Face."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback

from gexcore.callbacks.training import TrainingRecord
from gexcore.errors import InvalidSettingError

INDEX = "gexcore_index"
"""The name under which positions travel with a batch."""


class Placed(NamedTuple):
    """A sample, and its position in the training set."""

    position: int
    sample: Any


class TrainerRecord(TrainerCallback):
    """Records the training of a ``transformers.Trainer`` as it runs: no pass of its own.

    Positions travel with the batches. The logits are those of the training step, so dropout is on.
    In a distributed training each rank records its own samples; `Recorder.merged` joins them.

    Parameters
    ----------
    trainer : transformers.Trainer
        A classifier's, before ``train``. Its training set, collator and model get small wrappers.
    every : int
        A checkpoint, a state dict on the CPU, is kept after each epoch that this divides. 0: none.

    Attributes
    ----------
    record : TrainingRecord
        With ``record.recorder`` and ``record.checkpoints``.

    Raises
    ------
    InvalidSettingError
        If the trainer groups samples by length, or has no training set with a length.

    Examples
    --------
    ::

        record = TrainerRecord(trainer, every=1)
        trainer.train()
        AUM(recorder=record.recorder).fit()
    """

    def __init__(self, trainer: Any, *, every: int = 0) -> None:
        data, settings = trainer.train_dataset, trainer.args
        if not hasattr(data, "__len__"):
            raise InvalidSettingError(
                "the trainer has no training set with a length, and positions are needed; give a "
                "map-style dataset as train_dataset"
            )
        if "length" in str(getattr(settings, "train_sampling_strategy", "")) or getattr(
            settings, "group_by_length", False
        ):
            raise InvalidSettingError(
                "the trainer groups samples by length, and the record needs the plain order; leave "
                "that setting out"
            )
        self.record = TrainingRecord(len(data), every=every)
        self._indices: Any = None
        kept = _taken(trainer.model) if settings.remove_unused_columns else None
        # the trainer would remove the positions as well
        settings.remove_unused_columns = False
        trainer.train_dataset = _Placing(data)
        trainer.data_collator = _Collating(trainer.data_collator, kept)
        trainer.model.register_forward_pre_hook(self._before, with_kwargs=True)
        trainer.model.register_forward_hook(self._after, with_kwargs=True)
        trainer.add_callback(self)

    @property
    def recorder(self) -> Any:
        """The recorder of the training."""
        return self.record.recorder

    @property
    def checkpoints(self) -> list[Any]:
        """The state dicts that were kept."""
        return self.record.checkpoints

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the epoch of the record."""
        self.record.epoch(kwargs["model"].state_dict())

    def _before(self, module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self._indices = kwargs.pop(INDEX, None)
        return args, kwargs

    def _after(self, module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        if module.training and self._indices is not None:
            self.record.batch(self._indices, logits=output["logits"], labels=kwargs["labels"])
        self._indices = None


class _Placing(torch.utils.data.Dataset[Placed]):
    """The training set, each sample with its position."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, position: int) -> Placed:
        return Placed(int(position), self.data[position])

    def __getitems__(self, positions: list[int]) -> list[Placed]:
        """A batch at once: a `datasets.Dataset` reads one much faster than its samples."""
        read = getattr(self.data, "__getitems__", None)
        samples = read(positions) if read else [self.data[at] for at in positions]
        return [Placed(int(at), sample) for at, sample in zip(positions, samples, strict=True)]


class _Collating:
    """The trainer's collator, which also takes samples with positions."""

    def __init__(self, collate: Callable[[list[Any]], Any], kept: set[str] | None) -> None:
        self.collate = collate
        self.kept = kept

    def __call__(self, samples: list[Any]) -> Any:
        placed = bool(samples) and isinstance(samples[0], Placed)
        plain = [sample.sample for sample in samples] if placed else samples
        if self.kept is not None and isinstance(plain[0], dict):
            plain = [{k: v for k, v in sample.items() if k in self.kept} for sample in plain]
        batch = self.collate(plain)
        if placed:
            batch[INDEX] = torch.tensor([sample.position for sample in samples])
        return batch


def _taken(model: Any) -> set[str]:
    return {*inspect.signature(model.forward).parameters, "label", "label_ids", "labels"}
