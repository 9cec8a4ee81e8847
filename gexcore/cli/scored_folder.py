"""Scored folders: the results of `gexcore score`, and the data that it scored."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gexcore.backend.archives import UNREADABLE, read_npz
from gexcore.cli.files import XY, data_digest, data_paths, read_samples
from gexcore.cli.reading import Reading
from gexcore.cli.samples import Samples
from gexcore.decisions.clean import Predictions
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.influence.loss_influence import LossInfluence
from gexcore.report.audit import Audit, read_audit
from gexcore.report.finished import check_content

PREDICTIONS = "predictions.npz"
STORED = 20_000_000
"""The most samples × classes for which the predictions of all samples are stored."""


@dataclass(frozen=True)
class Scored:
    """A finished run and its data.

    Parameters
    ----------
    folder : Path
    audit : Audit
    samples : Samples
    """

    folder: Path
    audit: Audit
    samples: Samples

    @property
    def data(self) -> XY:
        """Inputs and targets that were scored."""
        return self.read_alike(self.samples)

    def read_alike(self, samples: Samples) -> XY:
        """Inputs and targets of these samples, text labels numbered as in the scores."""
        texts = samples.y.dtype.kind == "U" and self.audit.names is not None
        given = samples.given_to(
            None, classes=list(map(str, self.audit.names or ())) if texts else ()
        )
        return given.x, given.y

    @property
    def labels(self) -> NDArray[np.intp]:
        """Given classes 0 … K − 1.

        Raises
        ------
        InvalidDataError
            If the targets are no classes.
        """
        if self.audit.labels is None:
            raise InvalidDataError(
                f"the targets of {self.folder} are no classes, and only classes can be cleaned"
            )
        return self.audit.labels

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return int(self.audit.run.get("classes") or self.labels.max() + 1)

    def suspects(self, rate: float | None) -> NDArray[np.intp]:
        """Positions of the suspects, or of the round(rate · N) most suspicious samples.

        Raises
        ------
        InvalidSettingError
            If there is no suspect and no rate, or the rate is out of range.
        """
        ranking = self.audit.ranking()
        if rate is None:
            found = ranking[self.audit.suspect[ranking]]
            if not len(found):
                msg = (
                    f"{self.folder} has no suspects ({self.audit.threshold.reason}); review "
                    "the top of the page of `gexcore report` and give its marks to `gexcore clean` "
                    "with --marks, or give with --rate the share of wrong labels that you know"
                )
                raise InvalidSettingError(msg)
            return found
        count = round(rate * len(ranking)) if 0 < rate < 1 else 0
        if not count:
            msg = (
                f"--rate is {rate}, and must be a share above 0 (one of {len(ranking)} samples "
                "at least) and below 1"
            )
            raise InvalidSettingError(msg)
        return ranking[:count]

    def predictions(self, rows: NDArray[np.intp]) -> Predictions:
        """Predictions of the run for some samples.

        Raises
        ------
        InvalidDataError
            If the run did not store them.
        """
        path = self.folder / PREDICTIONS
        try:
            check_content(self.folder, PREDICTIONS, self.audit.run)
        except OSError as error:
            raise InvalidDataError(
                f"{path} cannot be read ({error.strerror}), and new labels are made from it; score "
                "the data anew"
            ) from error
        try:
            stored = read_npz(path, ("index", "logits", "probabilities", "suggested"))
            index = stored["index"]
            found = Predictions(stored["logits"], stored["probabilities"], stored.get("suggested"))
            _check(index, found, self.classes)
        except UNREADABLE as error:
            msg = (
                f"{path} cannot be read ({type(error).__name__}), and new labels are made from "
                "it; score the data anew"
            )
            raise InvalidDataError(msg) from error
        at = np.searchsorted(index, rows)
        if len(rows) and (at.max() >= len(index) or not np.array_equal(index[at], rows)):
            msg = (
                f"{path} holds the predictions of the {len(index)} suspects only; leave --rate "
                "out, give marked samples a label, or use --drop"
            )
            raise InvalidDataError(msg)
        return found.at(at)


def _check(index: NDArray[Any], found: Predictions, classes: int) -> None:
    """Refuse arrays that do not fit together."""
    shape = (len(index), classes)
    if index.ndim != 1 or index.dtype.kind not in "iu" or (np.diff(index) <= 0).any():
        raise ValueError("index does not count up")
    for part in (found.logits, found.probabilities):
        if part.shape != shape or part.dtype.kind != "f":
            raise ValueError(f"predictions of the shape {part.shape} are not {shape}")
    new = found.suggested
    if new is not None and (
        new.shape != shape[:1] or new.dtype.kind not in "iu" or ((new < 0) | (new >= classes)).any()
    ):
        raise ValueError("a suggested label is no class")


def add_scored(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a scored folder."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="the folder that `gexcore score` wrote"
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="the data that was scored, where it is not any more where it was",
    )


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Add the flag that replaces the suspects."""
    parser.add_argument(
        "--rate",
        metavar="SHARE",
        type=float,
        help="treat this share, most suspicious first, instead of the suspects",
    )


def open_scored(args: argparse.Namespace) -> Scored:
    """Read the scores and find their data, by its content.

    Raises
    ------
    InvalidDataError
        If the folder is no finished `gexcore score`, or the data differ.
    """
    audit = read_audit(args.folder)
    command = audit.run.get("command", {})
    if command.get("name") not in ("score", "demo") or "data" not in audit.run:
        msg = (
            f"{args.folder} does not tell which files it scored; give the folder of a finished "
            "`gexcore score`"
        )
        raise InvalidDataError(msg)
    paths = [Path(path) for path in audit.run["data"]]
    if args.data is not None:
        paths = data_paths(args.data)
    elif not all(path.exists() for path in paths):
        raise InvalidDataError(
            f"{','.join(map(str, paths))} is not there any more; say with --data where it is now"
        )
    if [data_digest(path) for path in paths] != command.get("data"):
        msg = (
            f"{','.join(map(str, paths))} is not what {args.folder} scored: its content differs; "
            "give that with --data"
        )
        raise InvalidDataError(msg)
    samples = read_samples(paths, Reading.of(command.get("reading", {})))
    if len(samples) != len(audit):
        raise InvalidDataError(
            f"{args.folder} has {len(audit)} scores for {len(samples)} samples; score the data anew"
        )
    return Scored(args.folder, audit, samples)


def stored_predictions(
    influence: LossInfluence, found: Suspects, *, limit: int = STORED
) -> Callable[[BinaryIO], None]:
    """What writes `PREDICTIONS`: index, logits at θ*, mean probabilities, suggested labels."""
    predictions = influence.predictions()
    rows = np.arange(len(influence)) if predictions.logits.size <= limit else np.sort(found.indices)
    chosen = predictions.at(rows)

    arrays: dict[str, Any] = {
        "index": rows,
        "logits": chosen.logits.astype(np.float32),
        "probabilities": chosen.probabilities.astype(np.float32),
    }
    if chosen.suggested is not None:
        arrays["suggested"] = chosen.suggested

    def write(file: BinaryIO) -> None:
        np.savez(file, **arrays)

    return write
