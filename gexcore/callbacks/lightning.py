"""A callback for Lightning."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from gexcore.callbacks.training import TrainingRecord
from gexcore.errors import InvalidDataError

NEEDED = ("index", "logits", "labels")


class LightningRecord(Callback):
    """Records the training of a Lightning module as it runs: no pass of its own.

    ``training_step`` returns a dict with ``loss``, ``index``, ``logits`` and ``labels``. The index
    comes with the batch: the position of each sample in the training set. In a distributed
    training each rank records its own samples; `Recorder.merged` joins them.

    Parameters
    ----------
    samples : int
        Number of training samples.
    every : int
        A checkpoint, a state dict on the CPU, is kept after each epoch that this divides. 0: none.

    Examples
    --------
    ::

        record = LightningRecord(len(data), every=1)
        Trainer(max_epochs=5, callbacks=[record]).fit(module, loader)
        AUM(recorder=record.recorder).fit()
    """

    def __init__(self, samples: int, *, every: int = 0) -> None:
        self.record = TrainingRecord(samples, every=every)

    @property
    def recorder(self) -> Any:
        """The recorder of the training."""
        return self.record.recorder

    @property
    def checkpoints(self) -> list[Any]:
        """The state dicts that were kept."""
        return self.record.checkpoints

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep one batch.

        Raises
        ------
        InvalidDataError
            If ``training_step`` does not return what is recorded.
        """
        missing = [n for n in NEEDED if not isinstance(outputs, dict) or n not in outputs]
        if missing:
            raise InvalidDataError(
                f"training_step returns no {missing[0]}; return a dict with loss, "
                f"{', '.join(NEEDED)}"
            )
        self.record.batch(outputs["index"], logits=outputs["logits"], labels=outputs["labels"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """End the epoch of the record."""
        self.record.epoch(pl_module.state_dict())
