"""Trainings on parts of the data, and the outputs of their models on test samples."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.data import ArrayDataset, MappingDataset, Subset, as_dataset
from gexcore.backend.protocols import Dataset, Floats, Indices
from gexcore.deviations.outputs import output, output_of
from gexcore.ensembles.executors import completed
from gexcore.errors import InvalidModelError, InvalidSettingError, StoreError, StoreMismatchError
from gexcore.evaluation.opening import opened
from gexcore.evaluation.recipe import trained
from gexcore.progress import progress_bar
from gexcore.settings import check_count, check_number
from gexcore.store.fingerprint import data_digest
from gexcore.store.folder import LocalFolder

Train = Callable[[Any, int], Any]
"""``train(data, seed) -> model``, a model of any framework that has a backend."""


@dataclass(frozen=True)
class Trainings:
    """Trainings on parts of the data. Training number s · parts + i has part i and seed s.

    Parameters
    ----------
    train : callable
    data, test : data
    parts : sequence of integer arrays
        Positions of the samples of each part.
    loss, backend
        See `gexcore.GEX.fit`.
    """

    train: Train
    data: Any
    test: Any
    parts: Sequence[Indices]
    seed: int
    loss: Any
    backend: str | None

    def __call__(self, number: int) -> tuple[int, Floats]:
        """The number, and the outputs of one model, shape (tests,)."""
        seed, part = divmod(number, len(self.parts))
        model = trained(
            self.train,
            part_of(as_dataset(self.data), self.parts[part]),
            self.seed + seed,
            where=f"on part {part} of the data",
            call=f"train(data, {self.seed + seed}) and returns a model",
        )
        given = opened(model, self.test, loss=self.loss, backend=self.backend, progress=False)
        return number, np.asarray(
            output(given.seen.losses.astype(np.float64), output_of(given.seen, self.loss))
        )

    def again(self) -> Callable[[int], tuple[int, Floats]]:
        """The same trainings in another process."""
        return self


def part_of(data: Dataset[Any], positions: Indices) -> Any:
    """Some samples, in the form of the given data."""
    if isinstance(data, ArrayDataset):
        return tuple(column[positions] for column in data.columns)
    if isinstance(data, MappingDataset):
        return {name: column[positions] for name, column in data.columns.items()}
    return Subset(data, positions)


def retrain_on(
    parts: Sequence[Indices],
    *,
    train: Train,
    data: Any,
    test: Any,
    seeds: int = 2,
    seed: int = 0,
    loss: str | Callable[..., Any] | None = None,
    backend: str | None = None,
    store: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Floats:
    """Train on each part with each seed: outputs on the test samples, shape (seeds, parts, tests).

    Parameters
    ----------
    parts : sequence of integer arrays
        Positions of the samples of each part.
    train : callable
        ``train(data, seed) -> model``. `data` has the form of the given data, with fewer samples.
    data, test : (x, y), mapping, or Dataset
        All training samples, and the test samples.
    seeds : int
        Trainings on each part, with the seeds seed … seed + seeds − 1.
    seed : int
    loss, backend
        See `gexcore.GEX.fit`.
    store : path, optional
        A folder that holds a file for each finished training. The same call continues there.
    executor : concurrent.futures.Executor, optional
        Executor of the trainings. By default they run one after another.
    progress : bool

    Raises
    ------
    InvalidModelError
        If `train` fails, or gives equal models for different parts.
    InvalidSettingError
        If there is no part, or a part names a sample that does not exist.
    StoreError, StoreMismatchError
        If the folder cannot be used, or holds trainings on other parts or other data.
    """
    check_count("seeds", seeds, auto=False)
    check_count("seed", seed, least=0, auto=False)
    n = len(as_dataset(data))
    chosen = [np.asarray(part, np.intp) for part in parts]
    if not chosen or any(not len(p) or p.min() < 0 or p.max() >= n for p in chosen):
        raise InvalidSettingError(
            f"parts must be positions from 0 to {n - 1}, at least one part and one sample in each"
        )
    work = Trainings(train, data, test, chosen, seed, loss, backend)
    total = seeds * len(chosen)
    files = None if store is None else _Files(store, work)
    found = {} if files is None else files.known(total)
    missing = [number for number in range(total) if number not in found]
    with progress_bar(total, title="retraining", show=progress, unit="training") as bar:
        bar.advance("", by=len(found))
        done = (
            map(work, missing)
            if executor is None
            else completed(executor, work, work.again, missing)
        )
        for number, outputs in done:
            found[number] = outputs
            if files is not None:
                files.add(number, outputs)
            _check_told_apart(found, chosen, number)
            bar.advance("")
    return np.stack([found[number] for number in range(total)]).reshape(seeds, len(chosen), -1)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outputs of models that were trained on random parts of the data.

    The output of a test sample is the margin log p/(1 − p) for cross-entropy, the negative size of
    the error for squared error, and the negative loss for any other loss.

    Parameters
    ----------
    masks : boolean array, shape (subsets, samples)
        The samples of each subset.
    outputs : array, shape (seeds, subsets, tests)
    """

    masks: NDArray[np.bool_]
    outputs: Floats

    @classmethod
    def of_subsets(
        cls,
        *,
        train: Train,
        data: Any,
        test: Any,
        subsets: int = 40,
        share: float = 0.5,
        seed: int = 0,
        **how: Any,
    ) -> Self:
        """Train on random subsets.

        Parameters
        ----------
        train, data, test
            See `retrain_on`.
        subsets : int
            Number of subsets, at least 3.
        share : float
            Share of the samples in each subset, below 1.
        seed : int
            Seed of the subsets, and of the first training on each.
        **how
            Other arguments of `retrain_on`, such as `seeds`, `store` and `executor`.

        Raises
        ------
        InvalidSettingError
            If the subsets are fewer than 3, empty, or as large as the data.
        """
        check_count("subsets", subsets, least=3, auto=False)
        check_number("share", share, above=True)
        n = len(as_dataset(data))
        size = round(share * n)
        if not 1 <= size < n:
            raise InvalidSettingError(
                f"share is {share}: {size} of {n} samples; a subset must hold at least one sample, "
                "and fewer than all"
            )
        rng = np.random.default_rng([seed, 0x1D5])
        parts = [np.sort(rng.permutation(n)[:size]) for _ in range(subsets)]
        masks = np.zeros((subsets, n), bool)
        for mask, part in zip(masks, parts, strict=True):
            mask[part] = True
        return cls(masks, retrain_on(parts, train=train, data=data, test=test, seed=seed, **how))


def _check_told_apart(found: dict[int, Floats], parts: Sequence[Indices], number: int) -> None:
    """Refuse a training that does not depend on its samples, from whatever call on.

    Some models are equal for two parts that differ in samples without effect. The first two parts
    are random halves or the whole and a part of it, and three equal models are no chance.
    """
    own = parts[number % len(parts)]
    alike = [
        other
        for other, outputs in found.items()
        if np.array_equal(outputs, found[number])
        and not np.array_equal(parts[other % len(parts)], own)
    ]
    if len(alike) > 1 or (alike and {number, *alike} == {0, 1}):
        raise InvalidModelError(
            f"train gave equal models for {len(alike) + 1} different parts of the data; it must "
            "train on the data that it is given"
        )


class _Files:
    """Finished trainings in a folder, one file each."""

    def __init__(self, place: str | os.PathLike[str], work: Trainings) -> None:
        digest = hashlib.sha256(repr(work.seed).encode())
        for name, data in (("data", work.data), ("test", work.test)):
            digest.update(data_digest(as_dataset(data), name, set()).encode())
        for part in work.parts:
            digest.update(part.astype(np.int64).tobytes() + b"|")
        try:
            self._folder = LocalFolder(Path(place))
            known = self._folder.read("parts.txt")
        except OSError as error:
            raise StoreError(f"{os.fspath(place)} cannot be read or written ({error})") from error
        now = digest.hexdigest().encode()
        if known is None:
            self._folder.write("parts.txt", now)
        elif known != now:
            raise StoreMismatchError(
                f"{os.fspath(place)} holds trainings on other parts or other data; choose another "
                "folder"
            )

    def known(self, total: int) -> dict[int, Floats]:
        """Outputs of the finished trainings, by number."""
        found = {}
        for number in range(total):
            content = self._folder.read(f"{number}.npy")
            if content is not None:
                found[number] = np.load(io.BytesIO(content), allow_pickle=False)
        return found

    def add(self, number: int, outputs: Floats) -> None:
        """Store the outputs of a training."""
        content = io.BytesIO()
        np.save(content, outputs, allow_pickle=False)
        self._folder.write(f"{number}.npy", content.getvalue())
