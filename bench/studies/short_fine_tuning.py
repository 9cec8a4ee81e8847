"""What a run costs after a short training of a small transformer, and how well it ranks.

    python -m bench.studies.short_fine_tuning --seeds 3 --out docs/rows/short_fine_tuning.jsonl

1,000 sequences of 32 tokens in four classes, 10 % of the labels flipped; an encoder of two layers
of width 64 in PyTorch, trained for 12 epochs by AdamW in batches of 16. CPU seconds on one thread.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import gexcore as gx
from bench.studies.rows import Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.decisions.metrics import average_precision

SAMPLES, TOKENS, WORDS, CLASSES, EPOCHS = 1000, 32, 500, 4, 12
LR = 1e-3
METHODS = {
    "GEX()": lambda seed: gx.GEX(seed=seed),
    "GEX(pretraining_epochs=12)": lambda seed: gx.GEX(pretraining_epochs=EPOCHS, seed=seed),
    "GEX(ensemble=None)": lambda seed: gx.GEX(ensemble=None, seed=seed),
    "GEX(ensemble=None, budget=40)": lambda seed: gx.GEX(ensemble=None, budget=40.0, seed=seed),
    "GEX(ensemble=None, budget=25)": lambda seed: gx.GEX(ensemble=None, budget=25.0, seed=seed),
    "GEX(ensemble=None, pretraining_epochs=12)": lambda seed: gx.GEX(
        ensemble=None, pretraining_epochs=EPOCHS, seed=seed
    ),
    "GEX(ensemble=Relearning(pretraining_epochs=12))": lambda seed: gx.GEX(
        ensemble=gx.Relearning(pretraining_epochs=EPOCHS, seed=seed)
    ),
}


class Encoder(nn.Module):
    """A small transformer."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, 0.1, batch_first=True)
        self.words = nn.Embedding(WORDS, 64)
        self.places = nn.Parameter(torch.zeros(TOKENS, 64))
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.words(tokens) + self.places).mean(1))


def tuned(seed: int) -> tuple[Encoder, tuple[torch.Tensor, torch.Tensor], NDArray[np.bool_]]:
    """A trained encoder, its data, and which labels are wrong."""
    torch.manual_seed(seed)
    clean = torch.randint(0, CLASSES, (SAMPLES,))
    x = torch.randint(0, WORDS, (SAMPLES, TOKENS))
    for k in range(CLASSES):  # six of the words tell the class
        part = clean == k
        x[part, :6] = torch.randint(k * 20, k * 20 + 20, (int(part.sum()), 6))
    y, wrong = clean.clone(), torch.randperm(SAMPLES)[: SAMPLES // 10]
    y[wrong] = (clean[wrong] + torch.randint(1, CLASSES, (len(wrong),))) % CLASSES
    model = Encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    for _ in range(EPOCHS):
        for batch in torch.randperm(SAMPLES).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model.eval(), (x, y), (y != clean).numpy()


def rows(seeds: int, methods: list[str]) -> Iterator[Row]:
    """One row for each seed and method."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for seed in range(seeds):
        started = time.process_time()
        model, data, flipped = tuned(seed)
        training = time.process_time() - started
        for name in methods:
            started = time.process_time()
            found = METHODS[name](seed).fit(model, data, progress=False)
            seconds = time.process_time() - started
            plain = average_precision(found.checkpoint_losses, flipped)
            yield {
                "method": name, "seed": seed, "training": round(training, 2),
                "seconds": round(seconds, 2), "passes": round(found.run.passes.epochs(SAMPLES), 1),
                "ap": round(average_precision(found.suspicion(), flipped), 3),
                "plain": round(plain, 3),
            }  # fmt: skip


def table(rows: list[Row]) -> str:
    """One line for each method, and one for plain loss."""
    lines = [
        [
            f"`{name}`",
            f"{np.mean([row['seconds'] / row['training'] for row in part]):.2f}",
            f"{np.mean([row['passes'] for row in part]):.0f}",
            ", ".join(f"{row['ap']:.2f}" for row in part),
        ]
        for (name,), part in groups(rows, "method").items()
    ]
    part = groups(rows, "method")[("GEX(ensemble=None)",)]
    lines.append(["plain loss", "", "1", ", ".join(f"{row['plain']:.2f}" for row in part)])
    return markdown(["method", "CPU ÷ training", "passes", "AP of each seed"], lines)


def main() -> int:
    made = parser(__doc__, seeds=3)
    made.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    args = made.parse_args()
    found = read(args.table) if args.table else written(rows(args.seeds, args.methods), args.out)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
