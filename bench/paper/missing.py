"""What was not run, the command that would, and what it would take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bench.paper.harness import FOUR_SEEDS, exhibit
from bench.studies.rows import Row
from bench.studies.tables import groups, markdown


class Job(NamedTuple):
    """A full-scale training: samples, epochs, and GFLOP of a forward pass of one sample."""

    exhibits: str
    net: str
    data: str
    samples: int
    epochs: int
    gflop: float
    cells: int
    seeds: int = 4


RATE = 30_000.0
"""GFLOP per second that one GPU is taken to sustain in such trainings: an assumption."""
OF_MEMBERS = ("GEX", "GEX-lin")
"""Methods that take 8 of 32 members at small scale: four times their passes at full scale."""
JOBS = (
    Job("Tables 1, 3, 11, 12, Figure 4", "ResNet-18", "CIFAR-10, CIFAR-100, CIFAR-N", 50_000, 200,
        0.56, 6),
    Job("Tables 8, 9, Figures 1 and 5", "ResNet-18 and VGG-B", "SVHN, MNIST", 66_000, 200, 0.45, 4),
    Job("Tables 2, 15, 16", "ViT-S/32 and Mixer-S/32", "ImageNet", 1_281_167, 300, 1.1, 2, 1),
    Job("Table 4", "ResNet-18", "MNIST and SVHN", 50_000, 200, 0.56, 1),
    Job("Table 10", "SWEM", "DBpedia", 560_000, 60, 0.0003, 1),
)  # fmt: skip


def trainings(rows: list[Row]) -> float:
    """What all methods cost beside the model's own training, in units of it: counted passes."""
    costs = []
    for part in groups([r for r in rows if "passes" in r], "cell", "seed").values():
        total = sum(r["passes"] * (4 if r["row"] in OF_MEMBERS else 1) for r in part)
        costs.append(total / part[0]["training_passes"])
    return float(np.median(costs)) if costs else 10.0


def hours(job: Job, methods: float) -> float:
    """GPU hours: a step is three forward passes; every method, cell and seed."""
    passes = 3 * job.epochs * (1 + methods) * job.cells * job.seeds
    return passes * job.samples * job.gflop / RATE / 3600


def not_run(rows: Mapping[str, list[Row]]) -> str:
    """The section of the page."""
    methods = trainings([*rows["table1"], *rows["table8"]])
    lines = [[j.exhibits, j.net, j.data, f"{max(1, hours(j, methods)):,.0f}"] for j in JOBS]
    table = markdown(("exhibits", "net", "data", "GPU hours, estimated"), lines)
    short = [
        f"{name} has {found} of {wanted} seeds"
        for name, part in rows.items()
        if (found := len({row["seed"] for row in part})) < (wanted := wanted_of(name))
    ]
    told = "".join(f"\n- {line}." for line in short)
    without = [
        f"{name} has no rows of {' and '.join(left)}"
        for name, part in rows.items()
        if (left := absent(name, part)) and part
    ]
    told += "".join(f"\n- {line}." for line in without)
    told += MORE if short or without else ""
    cost = sum(row.get("cpu", 0.0) for part in rows.values() for row in part)
    return f"""\
No GPU was at hand, and the data of the paper were not. This command runs everything as published:

```console
$ python -m bench.paper all --scale full --data FOLDER --workers 8 --resume
```

`FOLDER` holds `mnist/` (idx), `cifar-10-batches-py/`, `cifar-100-python/`, `train_32x32.mat`,
`test_32x32.mat`, `CIFAR-10_human.npy`, `CIFAR-100_human.npy`, `dbpedia_csv/`, and ImageNet's
`train/` and `val/`.

{table}

- The hours are counted passes × a forward pass's operations ÷ {RATE / 1000:.0f} TFLOP/s. That
  speed of one GPU is assumed, not measured. All methods together cost {methods:.0f} trainings
  beside the model's own: passes counted at small scale, with 32 members instead of 8. Trainings on
  new labels and on parts of the data come on top.
- The tests build each recipe at full size and take one step of it at batch 2, in PyTorch. ResNet-18
  and ViT take one in JAX too.
- Nothing at full scale was trained. `--backend tensorflow` has no recipes.
- CIFAR-100-N has no stand-in: no other file here has many classes and labels of people.
- `--human aggre|random1|random2|random3|worse` chooses the labels of CIFAR-10-N. Rows that name no
  labels are of “worse”.
- `--floor 0.05`, `--chained 4` and `--public-code` are the public code's departures. A row names
  those that it has.
- The rows of this page took {cost / 60:.0f} CPU minutes. What a cache gave is not counted.{told}"""


MORE = """

`python -m bench.paper all --scale small --data FOLDER --resume` measures what is missing.
"""


def absent(name: str, rows: list[Row]) -> list[str]:
    """The data sets of an exhibit that have no rows."""
    there = {row["cell"] for row in rows}
    return [cell for cell in getattr(exhibit(name), "CASES", ()) if cell not in there]


def wanted_of(name: str) -> int:
    return 4 if name in FOUR_SEEDS else 2
