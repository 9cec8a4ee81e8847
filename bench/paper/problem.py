"""One trained model with all that its training left: trained once, cached by its digest."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gexcore as gx
from bench.paper.cases import CASES, Case, Split
from bench.paper.detectors import EARLY_RUNS, FOLDS, Detector, Switches
from bench.paper.recipes import Scale, Setting
from bench.paper.training import Left, Trainer
from bench.paper.views import Views
from gexcore.backend.files import write_whole

VERSION = 1
"""Raised where a change of the code makes old trainings worthless."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a command was told."""

    scale: Scale
    data: Path | None
    cache: Path
    backend: str = "torch"
    switches: Switches = field(default_factory=Switches)
    human: str = "worse"
    executor: Executor | None = None
    durable: bool = False
    progress: bool = False

    @property
    def variant(self) -> str:
        """What departs from the paper, as rows tell it; empty where nothing does."""
        labels = f"labels {self.human}" if self.human != "worse" else ""
        return ", ".join(told for told in (self.switches.told, labels) if told)


@dataclass(frozen=True)
class Scored:
    """Scores of all samples, high = wrong, and their cost beyond the training of the model.

    `kept` and `targets` are the data as our own decision cleans them, where the method has one;
    `suspects` is how many it flagged.
    """

    values: NDArray[np.float64]
    seconds: float
    passes: float
    suspects: int = -1
    kept: NDArray[np.intp] | None = None
    targets: NDArray[Any] | None = None


class Problem:
    """A case at a seed.

    Parameters
    ----------
    case : str or Case
    context : Context
    seed : int
    changed : other noise, or other fields of the case
    """

    def __init__(self, case: str | Case, context: Context, seed: int, **changed: Any) -> None:
        self.case = replace(CASES[case] if isinstance(case, str) else case, **changed)
        if self.case.noise == "worse":
            self.case = replace(self.case, noise=context.human)
        self.context, self.seed = context, seed

    @cached_property
    def split(self) -> Split:
        return self.case.load(self.context.scale, self.context.data, self.seed)

    @cached_property
    def trainer(self) -> Trainer:
        recipe, scale = self.case.trained_by(self.context.scale), self.context.scale
        x = self.split.x
        colours = None if recipe.net == "swem" else 3 if not hasattr(x, "ndim") else x.shape[1]
        small = {"side"} & recipe.scales[scale].shape.keys()
        assert not small or recipe.scales[scale].shape["side"] == recipe.scales[scale].side
        return Trainer(
            recipe, scale, self.context.backend, self.split.classes, colours, self.context.progress
        )

    @property
    def setting(self) -> Setting:
        return self.trainer.setting

    @property
    def samples(self) -> int:
        return len(self.split.given)

    @cached_property
    def digest(self) -> str:
        """Of everything that the trained model depends on."""
        split, trainer = self.split, self.trainer
        shape = (trainer.recipe.name, trainer.backend, trainer.classes, trainer.colours, self.seed)
        told = json.dumps([VERSION, shape, asdict(trainer.setting)], sort_keys=True, default=str)
        found = hashlib.sha256(told.encode())
        for array in (split.given, split.x if hasattr(split.x, "dtype") else split.true):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:16]

    @cached_property
    def left(self) -> Left:
        """The training: read from the cache, or done and put there."""
        file = self.context.cache / f"{self.digest}.npz"
        engine, fresh = self.engine, self.fresh
        if file.exists():
            recorder = gx.Recorder.load(file.with_suffix(".curves.npz"))
            with np.load(file) as stored:
                states: dict[str, dict[str, Any]] = {}
                for name in stored.files:
                    part, _, key = name.partition("|")
                    states.setdefault(part, {})[key] = stored[name]
            cost = states.pop("cost")
            models = [self.trainer.native(fresh, engine.from_arrays(a)) for a in states.values()]
            return Left(
                models[-1], models[:-1], recorder, float(cost["seconds"]), float(cost["passes"])
            )
        left = self.trainer.train(self.split.x, self.split.given, self.seed, record=True, keep=True)
        arrays: dict[str, Any] = {}
        for part, model in enumerate((*left.checkpoints, left.model)):
            own = self.trainer.engine(model)
            arrays |= {f"{part}|{k}": v for k, v in own.to_arrays(own.initial_state()).items()}
        arrays |= {"cost|seconds": left.seconds, "cost|passes": left.passes}
        file.parent.mkdir(parents=True, exist_ok=True)
        assert left.recorder is not None
        left.recorder.save(file.with_suffix(".curves.npz"))
        write_whole(file, lambda out: np.savez(out, **arrays))
        return left

    @cached_property
    def fresh(self) -> Any:
        return self.trainer.build(self.seed)

    @cached_property
    def engine(self) -> Any:
        return self.trainer.engine(self.fresh)

    @property
    def model(self) -> Any:
        return self.left.model

    @property
    def checkpoints(self) -> list[Any]:
        return self.left.checkpoints

    @property
    def recorder(self) -> gx.Recorder | None:
        return self.left.recorder

    @cached_property
    def early_recorders(self) -> list[gx.Recorder]:
        """Of five trainings that were broken off early."""
        made = []
        for run in range(EARLY_RUNS):
            seed = 1000 * (self.seed + 1) + run
            early = self.trainer.train(
                self.split.x, self.split.given, seed, epochs=self.setting.early, record=True
            )
            made.append(early.recorder)
        return made

    def retrain(self, x: Any, y: Any, *, seed: int) -> Any:
        """The whole training on other data."""
        return self.trainer.train(x, y, seed).model

    @property
    def loss(self) -> Any:
        return self.case.trained_by(self.context.scale).loss(self.context.backend)

    @property
    def data(self) -> Any:
        """The training set as gexcore takes it."""
        x, y = self.split.x, self.split.given
        return (x, y) if hasattr(x, "dtype") else Views(x, y, augment=False, flip=False)

    @property
    def fitted(self) -> float | None:
        """The share of the wrong labels that the model predicts."""
        if not self.split.wrong.any():
            return None
        last = self.left.recorder.curve("correct")[-1]  # type: ignore[union-attr]
        return float(last[self.split.wrong].mean())

    def fit(self, detector: Detector, estimator: Any = None, **more: Any) -> Any:
        """The result of the method on this model."""
        made = estimator or detector.make(self, self.setting, self.context.switches, self.seed)
        options: dict[str, Any] = {"progress": self.context.progress, **more}
        if self.loss is not None and detector.takes != "recorder":
            options["loss"] = self.loss
        if hasattr(made, "chains"):
            if self.setting.augment:
                x, y = self.split.x, self.split.given
                flip = self.trainer.colours == 3
                options["train_data"] = Views(x, y, augment=True, flip=flip)
            options["executor"] = self.context.executor
            if self.context.durable:
                name = f"{self.digest}-{detector.method}-{self.key(detector)}.zarr"
                options["store"] = str(self.context.cache / name)
        if detector.takes == "recorder":
            return made.fit()
        return made.fit(self.model, self.data, **options)

    def key(self, detector: Detector) -> str:
        """The digest of a call: of what it sets, and of the defaults of what it does not."""
        settings = detector.settings(self.setting, self.samples, self.context.switches)
        defaults = {f.name: f.default for f in fields(detector.registered.cls)}
        told = (
            detector.method,
            detector.takes,
            detector.view,
            str({**defaults, **settings}),
            self.context.switches,
        )
        return hashlib.sha256(str(told).encode()).hexdigest()[:10]

    def scored(self, detector: Detector, *, test: bool = False) -> Scored:
        """Scores by the detector; with `test`, minus the mean influence on the test set.

        They are cached beside the model.
        """
        file = self.context.cache / f"{self.digest}-{self.key(detector)}{'-test' * test}.npz"
        if file.exists():
            with np.load(file) as stored:
                arrays = {name: stored[name] for name in stored.files}
            plain = {name: float(arrays.pop(name)) for name in ("seconds", "passes")}
            return Scored(**arrays, **plain)
        self.left  # noqa: B018 - the model's own training does not count
        started = time.process_time()
        found = self.fit(detector, **({"test": self.split.test} if test else {}))
        values = -found.mean_influence() if test else ranked(found, detector.view)
        scored = Scored(
            np.nan_to_num(values, nan=float(np.nanmin(values)), posinf=1e30, neginf=-1e30),
            time.process_time() - started,
            found.run.passes.epochs(self.samples) + self.extra(detector),
        )
        if detector.method == "GEX" and detector.view == "suspicion" and not test:
            scored = replace(scored, **decided(found))
        file.parent.mkdir(parents=True, exist_ok=True)
        stored = {name: value for name, value in asdict(scored).items() if value is not None}
        write_whole(file, lambda out: np.savez(out, **stored))
        return scored

    def extra(self, detector: Detector) -> float:
        """Passes of trainings that the method needs beside the model's own."""
        each = self.left.passes / self.setting.epochs
        if detector.method == "EL2N" and detector.takes == "recorder":
            return EARLY_RUNS * self.setting.early * (each + 2)
        # each of the two trains on half of the data
        return self.left.passes * (FOLDS - 1) if detector.takes == "train" else 0.0


def decided(found: Any) -> dict[str, Any]:
    """The data as the default decision cleans them; as they are where it refuses."""
    flagged = found.suspects().indices
    if not len(flagged):
        return {"suspects": 0, "kept": np.arange(len(found)), "targets": found.labels}
    cleaned = found.relabel()
    return {"suspects": len(flagged), "kept": cleaned.indices, "targets": cleaned.targets}


def ranked(found: Any, view: str) -> NDArray[np.float64]:
    """The scores of a result; places of a ranking where the method breaks ties."""
    if view == "self_influence" and hasattr(found, "self_influence"):
        return np.asarray(found.self_influence())
    if not hasattr(found, "suspicion"):
        return np.asarray(found.self_influence())
    if getattr(found, "tie_break", None) is not None:
        places = np.empty(len(found))
        places[found.ranking()] = -np.arange(len(found), dtype=float)
        return places
    return np.asarray(found.suspicion())
