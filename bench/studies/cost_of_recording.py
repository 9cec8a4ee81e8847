"""What recording adds to a training: CPU time with the record ÷ without, in one run.

    python -m bench.studies.cost_of_recording [--rounds 5] [--out docs/rows/cost_of_recording.jsonl]

Each loop trains twice per round, with and without the record, in random order. The data are random
images of 28 × 28 in ten classes, or random texts of 32 tokens. A training has five epochs. The
first round, which may compile, does not count; nor does the first epoch of Keras, which traces the
step in every training. Each framework has a process of its own with one thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from bench.studies.rows import Row, parser, read, timed, written
from bench.studies.tables import groups, markdown, quartiles

SAMPLES, BATCH, EPOCHS, CLASSES = 1024, 64, 5, 10
LOOPS = ("torch", "lightning", "huggingface", "keras", "optax")
TOLD = {
    "torch": ("bare loop of PyTorch", "conv net"),
    "lightning": ("Lightning", "conv net"),
    "huggingface": ("Trainer of Hugging Face", "encoder of two layers"),
    "keras": ("Keras", "conv net"),
    "optax": ("bare loop of optax", "conv net"),
}
Loop = Callable[[bool], float | None]
"""Trains with or without the record; may say at what CPU time the steady part began."""


def images() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 1, 28, 28)).astype(np.float32)
    return x, rng.integers(0, CLASSES, SAMPLES)


def torch_net() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, CLASSES),
    )  # fmt: skip


def torch_loader(*, placed: bool) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x, y = images()
    arrays = [torch.arange(SAMPLES)] if placed else []
    data = TensorDataset(*arrays, torch.from_numpy(x), torch.from_numpy(y))
    return DataLoader(data, batch_size=BATCH, shuffle=True)


def of_torch() -> Loop:
    import torch
    from torch.nn.functional import cross_entropy

    from gexcore.callbacks import TrainingRecord

    def train(recorded: bool) -> None:
        model, record = torch_net(), TrainingRecord(SAMPLES, every=1)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        batches = torch_loader(placed=recorded)
        for _ in range(EPOCHS):
            for *index, x, y in batches:
                logits = model(x)
                loss = cross_entropy(logits, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if recorded:
                    record.batch(index[0], logits=logits, labels=y)
            if recorded:
                record.epoch(model.state_dict())

    return train


def of_lightning() -> Loop:
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch.nn.functional import cross_entropy

    from gexcore.callbacks import LightningRecord

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_net()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            *index, x, y = batch
            logits = self.net(x)
            loss = cross_entropy(logits, y)
            if not index:
                return loss
            return {"loss": loss, "index": index[0], "logits": logits, "labels": y}

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    def train(recorded: bool) -> None:
        Trainer(
            max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
            callbacks=[LightningRecord(SAMPLES, every=1)] if recorded else [],
        ).fit(Module(), torch_loader(placed=recorded))  # fmt: skip

    return train


def of_huggingface() -> Loop:
    import datasets
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainingArguments,
    )

    from gexcore.callbacks import TrainerRecord

    rng = np.random.default_rng(0)
    data = datasets.Dataset.from_dict(
        {
            "input_ids": rng.integers(0, 200, (SAMPLES, 32)).tolist(),
            "labels": rng.integers(0, CLASSES, SAMPLES).tolist(),
        }
    )
    config = BertConfig(
        vocab_size=200, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, num_labels=CLASSES,
    )  # fmt: skip

    def train(recorded: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingArguments(
                folder, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, report_to=[],
                disable_tqdm=True, save_strategy="no", logging_strategy="no", use_cpu=True,
            )  # fmt: skip
            trainer = Trainer(BertForSequenceClassification(config), settings, train_dataset=data)
            if recorded:
                TrainerRecord(trainer, every=1)
            trainer.train()

    return train


def of_keras() -> Loop:
    import keras

    from gexcore.callbacks import KerasRecord

    x, y = images()
    x = np.moveaxis(x, 1, -1)

    class Traced(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                self.at = time.process_time()

    def train(recorded: bool) -> float:
        layers, traced = keras.layers, Traced()
        model = keras.Sequential([
            keras.Input((28, 28, 1)), layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Flatten(), layers.Dense(CLASSES),
        ])  # fmt: skip
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss)
        if recorded:
            record = KerasRecord(x, y, batch_size=BATCH, every=1)
            callbacks = [record, traced]
            model.fit(record.data, epochs=EPOCHS, shuffle=False, callbacks=callbacks, verbose=0)
        else:
            model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, callbacks=[traced], verbose=0)
        return traced.at

    return train


def of_optax() -> Loop:
    import jax
    import optax

    from gexcore.callbacks import TrainingRecord

    x, y = images()
    rng = np.random.default_rng(0)
    shapes = {"a": (16, 1, 3, 3), "b": (32, 16, 3, 3), "c": (32 * 24 * 24 // 4, CLASSES)}
    start = {name: 0.05 * rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    optimizer = optax.sgd(0.01)

    def apply(params: Any, x: Any) -> Any:
        x = jax.nn.relu(jax.lax.conv(x, params["a"], (1, 1), "VALID"))
        x = jax.nn.relu(jax.lax.conv(x, params["b"], (1, 1), "VALID"))[:, :, ::2, ::2]
        return x.reshape(len(x), -1) @ params["c"]

    @jax.jit
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        def loss(params: Any) -> Any:
            logits = apply(params, x)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return losses.mean(), logits

        (value, logits), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, value, logits

    def train(recorded: bool) -> None:
        record, params, state = TrainingRecord(SAMPLES, every=1), start, optimizer.init(start)
        for epoch in range(EPOCHS):
            order = np.random.default_rng(epoch).permutation(SAMPLES)
            for at in np.array_split(order, SAMPLES // BATCH):
                params, state, value, logits = step(params, state, x[at], y[at])
                if recorded:
                    record.batch(at, logits=logits, labels=y[at])
                value.block_until_ready()
            if recorded:
                record.epoch(params)

    return train


def rows_of(loop: str, rounds: int) -> Iterator[Row]:
    train: Loop = globals()[f"of_{loop}"]()
    order = np.random.default_rng(0)
    for number in range(rounds + 1):
        seconds = {}
        for recorded in order.permutation([False, True]).tolist():
            before = time.process_time()
            steady = train(recorded)
            seconds[recorded] = time.process_time() - (steady or before)
        if number:
            epochs = EPOCHS if steady is None else EPOCHS - 1
            ms = 1000 * seconds[False] / (epochs * SAMPLES // BATCH)
            ratio = seconds[True] / seconds[False]
            yield {"loop": loop, "round": number, "step_ms": round(ms, 3), "ratio": round(ratio, 4)}


def table(rows: Iterable[Row]) -> str:
    """One line per loop."""
    head = ("loop", "model", "one step without, ms", "CPU time with the record ÷ without")
    lines = []
    for (loop,), part in groups(rows, "loop").items():
        step = np.median([row["step_ms"] for row in part])
        ratio = quartiles([row["ratio"] for row in part])
        lines.append([*TOLD[str(loop)], f"{step:.1f}", ratio])
    return markdown(head, lines)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    made.add_argument("--one", choices=LOOPS)
    args = made.parse_args()
    if args.one:
        warnings.simplefilter("ignore")
        for row in _quietly(args.one, args.rounds):
            print(json.dumps(row), flush=True)
        return
    if args.table:
        print(table(read(args.table)))
        return
    study = "bench.studies.cost_of_recording"
    found = (row for loop in args.loops for row in timed(study, loop, args.rounds))
    print(table(written(found, args.out)))


def _quietly(loop: str, rounds: int) -> list[Row]:
    """The rows; what the frameworks print goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        return list(rows_of(loop, rounds))


if __name__ == "__main__":
    main()
