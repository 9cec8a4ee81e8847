"""Relearning of a fine-tuned text encoder, with its pretrained weights and without them.

    python -m bench.studies.encoder_with_reference --data FOLDER [--trained encoder,adapters]
        [--seeds 3] [--first 0] [--out rows.jsonl]

A small transformer learns the 50 fine classes of TREC from questions with right labels. Then its
head is replaced. It is fine-tuned by AdamW on 500 other questions with the six coarse classes, a
tenth of them wrong, until it has memorised them. "adapters" are LoRA: they and the head are
trained, and all else is frozen. `--table rows.jsonl …` only prints the table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

import gexcore as gx
from bench.studies import noise_kinds
from bench.studies.data import flip, trec
from bench.studies.ensembles_compared import recorded
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown
from bench.studies.text_models import text_encoder, with_adapters
from bench.studies.training import train
from gexcore.estimators.choice import forgot_too_much
from gexcore.influence.suspicion import Score

CLASSES, FINE, LENGTH, VOCABULARY = 6, 50, 12, 2000
POOL, SIZE, BATCH_SIZE = 1500, 500, 32
PRETRAINING, EPOCHS = 10, {"encoder": 30, "adapters": 60}
RATES = {"encoder": 1e-3, "adapters": 5e-3}
VIEWS: tuple[Score, ...] = ("confusion", "transition", "rival", "clipped_loss")
CHOSEN = (("GEX()", "relearning"), ("GEX(reference=…)", "relearning, reference, AdamW"))
"""The ensembles that `GEX` draws first."""

EL2N = "EL2N (recorded in the fine-tuning)"


class Given(NamedTuple):
    """Questions as numbers of tokens, their labels, and which of them are wrong."""

    x: NDArray[Any]
    labels: NDArray[np.int64]
    wrong: NDArray[np.bool_]


@lru_cache(maxsize=1)
def pretrained(folder: Path) -> nn.Sequential:
    """The encoder, trained on questions that no fine-tuning has."""
    x, (_, fine) = _tokens(folder), noise_kinds.questions(folder)
    part = np.random.default_rng(5).permutation(len(x))[POOL:]
    torch.manual_seed(0)
    model = text_encoder(FINE, vocabulary=VOCABULARY + 2, length=LENGTH)
    return train(
        model, x[part], fine[part].astype(np.int64), epochs=PRETRAINING, lr=1e-3,
        batch_size=BATCH_SIZE, seed=0, optimizer="adamw",
    )  # fmt: skip


def given(folder: Path, seed: int) -> Given:
    """A random part of the pool, with wrong labels."""
    pool = np.random.default_rng(5).permutation(len(_tokens(folder)))[:POOL]
    part = pool[np.random.default_rng([seed, 2]).choice(POOL, SIZE, replace=False)]
    clean = trec(folder, 0, rate=0.0).labels[part]
    labels = flip(clean, CLASSES, 0.1, seed)
    return Given(_tokens(folder)[part], labels, labels != clean)


def _tokens(folder: Path) -> NDArray[Any]:
    return trec(folder, 0, rate=0.0, length=LENGTH, vocabulary=VOCABULARY).x


def fine_tuned(start: nn.Module, data: Given, kind: str, seed: int) -> tuple[Any, gx.Recorder]:
    """The model and the recording of its training."""
    recorder = gx.Recorder(samples=len(data.labels))

    def seen(indices: torch.Tensor, logits: torch.Tensor) -> None:
        at = indices.numpy()
        losses = F.cross_entropy(logits, torch.from_numpy(data.labels[at]), reduction="none")
        recorder.add(at, losses=losses.numpy(), logits=logits.numpy(), labels=data.labels[at])

    model = train(
        deepcopy(start), data.x, data.labels, epochs=EPOCHS[kind], lr=RATES[kind],
        batch_size=BATCH_SIZE, seed=seed, optimizer="adamw", on_batch=seen,
        on_epoch=lambda number: recorder.epoch(number - 1),
    )  # fmt: skip
    return model, recorder


def told_by(found: gx.LossInfluence, wrong: NDArray[np.bool_]) -> Row:
    """AP of the scores of an ensemble, and what it tells."""
    chosen = found.run.chosen
    keys = ("scale", "first_lr", "left_chance", "scale_raised")
    return {
        "ap": precisions({view: found.suspicion(view) for view in VIEWS}, wrong),
        "members": len(found.table),
        "passes": found.run.passes.epochs(len(wrong)),
        "findings": [finding.name for finding in found.diagnose()],
        "replaced": forgot_too_much(found, gx.Geometric()) if "scale" in chosen else None,
        **{key: chosen[key] for key in keys if key in chosen},
    }


def runs(asked: argparse.Namespace, kind: str, seed: int) -> Iterator[Row]:
    """One row for each ensemble of one fine-tuned model, and what GEX() would choose."""
    torch.manual_seed(seed)
    start = deepcopy(pretrained(asked.data))
    start[-1] = nn.Linear(start[-1].in_features, CLASSES)
    start = with_adapters(start) if kind == "adapters" else start
    data = given(asked.data, seed)
    model, recorder = fine_tuned(start, data, kind, seed)
    ensembles: dict[str, gx.Geometric | gx.Relearning] = {
        "geometric": gx.Geometric(seed=seed),
        "relearning": gx.Relearning(seed=seed),
        "relearning, reference": gx.Relearning(reference=start, seed=seed),
        "relearning, reference, AdamW": gx.Relearning(
            reference=start, optimizer="adamw", seed=seed
        ),
    }
    rows: dict[str, Row] = {}
    for name, ensemble in ensembles.items():
        started = time.process_time()
        found = gx.GEX(ensemble=ensemble).fit(model, (data.x, data.labels), progress=False)
        plain = found.checkpoint_losses
        early = recorded(recorder, EPOCHS[kind])["EL2N (from scratch)"]
        rows[name] = {
            "trained": kind,
            "seed": seed,
            "method": name,
            "fitted": float((plain[data.wrong] < np.log(2)).mean()),
            "others": precisions({"plain loss": plain, EL2N: early}, data.wrong),
            **told_by(found, data.wrong),
            "seconds": time.process_time() - started,
        }
        yield rows[name]
    for name, first in CHOSEN:
        again = rows[first]["replaced"] is not None
        passes = rows[first]["passes"] + (rows["geometric"]["passes"] if again else 0.0)
        yield {**rows["geometric" if again else first], "method": name, "passes": passes}


def by_view(rows: list[Row]) -> list[str]:
    """The mean AP of each score; a dash where it was not measured."""
    known = [[row["ap"][view] for row in rows if view in row["ap"]] for view in VIEWS]
    return [mean(values) if values else "–" for values in known]


def mean(values: list[float]) -> str:
    """The mean, and the spread where there are several."""
    spread = f" ± {np.std(values):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def table(rows: list[Row]) -> str:
    """Mean AP over the seeds, by model and method."""
    lines = []
    for kind in dict.fromkeys(row["trained"] for row in rows):
        part = [row for row in rows if row["trained"] == kind]
        first = [row for row in part if row["method"] == part[0]["method"]]
        fitted = f"{np.mean([row['fitted'] for row in first]):.0%}"
        for name in first[0]["others"]:
            values = mean([row["others"][name] for row in first])
            lines.append((kind, fitted, name, str(len(first)), values, *[""] * 7))
        for name in dict.fromkeys(row["method"] for row in part):
            of = [row for row in part if row["method"] == name]
            scales = sorted({row["scale"] for row in of if "scale" in row})
            lines.append(
                (
                    kind,
                    fitted,
                    f"`{name}`" if name.startswith("GEX") else name,
                    str(len(of)),
                    *by_view(of),
                    f"{np.mean([row['members'] for row in of]):.0f}",
                    f"{np.mean([row['passes'] for row in of]):.0f}",
                    ", ".join(f"{scale:g}" for scale in scales),
                    ", ".join(sorted({told for row in of for told in row["findings"]})),
                )
            )
    head = ("trained", "wrong labels fitted", "method", "runs", "AP, or AP of confusion",
            "AP, transition", "AP, rival", "AP, clipped loss", "members", "passes", "scale",
            "findings")  # fmt: skip
    return markdown(head, lines)


def main() -> None:
    arguments = parser(__doc__, seeds=3)
    arguments.add_argument("--data", type=Path, help="folder with text/trec.tsv.gz")
    arguments.add_argument("--trained", default="encoder,adapters")
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    asked = arguments.parse_args()
    if asked.table:
        print(table(read(asked.table)))
        return
    torch.set_num_threads(1)
    seeds, kinds = range(asked.first, asked.first + asked.seeds), asked.trained.split(",")
    made = (row for kind in kinds for seed in seeds for row in runs(asked, kind, seed))
    print(f"\n{table(written(made, asked.out))}\n\n{machine()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
