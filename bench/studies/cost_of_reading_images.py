"""Scores several members on images that are decoded from files, in one pass over them.

    python -m bench.studies.cost_of_reading_images [--images 512] [--members 8] [--rounds 5]

Writes JPEG files of 256 × 256 pixels into a temporary folder, and reads them with a PyTorch
`Dataset` that decodes, shrinks to 64 × 64 and normalises. Ratios are of CPU time, one thread, all
in every round: to one bare pass over the files, and forward passes by hand for θ* and each member
over batches that are in memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from gexcore.backend.data import as_dataset
from gexcore.ensembles.members import Members
from gexcore.evaluation.statistics import Refresher
from gexcore_torch.backend import TorchBackend

SIZE, BATCH_SIZE = 64, 64


class Files(Dataset[tuple[torch.Tensor, int]]):
    """Decodes one file for each sample."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[number]) as image:
            pixels = np.asarray(
                image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.float32
            )
        return torch.from_numpy(pixels).permute(2, 0, 1) / 255 - 0.5, number % 10


def write(folder: Path, count: int) -> None:
    """Smooth random pictures, which compress as photographs do."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(
            folder / f"{number:05}.jpg", quality=90
        )


def net() -> nn.Module:
    """Three convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), arguments.images)
        files, model = Files(Path(folder)), net().eval()
        loader = DataLoader(files, batch_size=BATCH_SIZE)
        held = list(loader)
        backend = TorchBackend(net())
        data = as_dataset(files, backend)
        states = [backend.copy(backend.initial_state()) for _ in range(arguments.members)]
        numbers = np.arange(arguments.members)
        members = Members(
            backend, Refresher(backend, data, seed=0), BATCH_SIZE, numbers, numbers, states
        )

        def forwards() -> None:
            with torch.no_grad():
                for _ in range(arguments.members + 1):
                    for x, y in held:
                        F.cross_entropy(model(x), y, reduction="none")

        works = (lambda: list(loader), forwards, lambda: members.evaluate(files))
        rows = np.array([[seconds(work) for work in works] for _ in range(arguments.rounds + 1)])[
            1:
        ]
    bare, by_hand, ours = np.median(rows, axis=0)
    ratio = np.quantile(rows[:, 2] / rows[:, :2].sum(axis=1), [0.25, 0.5, 0.75])
    several = np.median(rows[:, 2] / ((arguments.members + 1) * rows[:, 0] + rows[:, 1]))
    print(
        f"{arguments.images} images, {arguments.members} members and θ*: {ours:.2f} s; one "
        f"bare pass {bare:.2f} s, "
        f"forward passes by hand {by_hand:.2f} s\n"
        f"ratio to their sum {ratio[1]:.2f} ({ratio[0]:.2f} – {ratio[2]:.2f}); to a pass for "
        f"each of them {several:.2f}"
    )


if __name__ == "__main__":
    main()
