"""`gexcore demo`: find flipped labels in real data, in under a minute."""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import gexcore
from gexcore.backend.plugins import BackendSpec
from gexcore.backend.registry import BackendRegistry, default_registry
from gexcore.cli import output
from gexcore.cli.outcome import outcome_of, summary, told_as_json
from gexcore.cli.scored_folder import PREDICTIONS, stored_predictions
from gexcore.cli.settings import add_settings, given, named
from gexcore.cli.text import add_json, aligned, most_suspect, print_json
from gexcore.decisions.metrics import auc, average_precision
from gexcore.decisions.threshold import Suspects
from gexcore.errors import InvalidSettingError, MissingExtraError, OutputExistsError
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import settings_of
from gexcore.plots import plot_histogram
from gexcore.report.related import WHY, stored_related

DESCRIPTION = (
    "Flips some labels of scikit-learn's digits, trains a model until it has memorised them, "
    "scores the data from that final checkpoint alone, and compares the ranking with the flips. "
    "Writes scores.csv, run.json, predictions.npz, histogram.png and the digits as pictures in "
    "digits.npz."
)
HISTOGRAM, DIGITS = "histogram.png", "digits.npz"


class Noisy(NamedTuple):
    """Data with some wrong labels.

    Parameters
    ----------
    x : array, shape (samples, features)
        Inputs from 0 to 1.
    given, true : integer arrays, shape (samples,)
    """

    x: NDArray[np.float64]
    given: NDArray[np.intp]
    true: NDArray[np.intp]

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """Mask of the wrong labels."""
        return np.asarray(self.given != self.true)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument(
        "--backend", metavar="NAME", default="numpy", help="whose model to train (default: numpy)"
    )
    parser.add_argument(
        "--noise", metavar="SHARE", type=float, default=0.1, help="of labels to flip (default: 0.1)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("gexcore-demo"),
        help="(default: gexcore-demo)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_json(parser)
    add_settings(parser, [named("GEX")])


def run(args: argparse.Namespace) -> None:
    """Flip labels, train, score, compare and write."""
    method = gexcore.GEX(**given(args, named("GEX")))
    spec = _trainable(default_registry(), args.backend)
    before = output.previous_command(args.out)
    if before is not None and before.get("name") != "demo":
        raise OutputExistsError(
            f"{args.out} holds a run that is no demo; choose another folder with --out"
        )
    data = digits(args.noise, method.seed)
    # comes with scikit-learn, as the data does: small nets are fastest on one thread, and several
    # waiting for a busy machine make them ten times slower
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        _demonstrate(args, method, spec, data)


def _demonstrate(
    args: argparse.Namespace, method: gexcore.GEX, spec: BackendSpec, data: Noisy
) -> None:
    say = (lambda _: None) if args.json else print
    say(f"digits: {len(data.x)} samples of 10 classes, {data.flipped.sum()} labels flipped")

    started = time.perf_counter()
    model = spec.load(spec.demo)(data.x, data.given, classes=10, seed=method.seed)
    say(
        f"trained a model of {args.backend} to memorise them in "
        f"{time.perf_counter() - started:.1f} s"
    )

    show = not args.quiet
    influence = method.fit(model, (data.x, data.given), backend=args.backend, progress=show)
    outcome = outcome_of(influence)
    columns, found = outcome.columns, outcome.suspects
    command = {
        "name": "demo",
        "gexcore": gexcore.__version__,
        "noise": args.noise,
        "backend": args.backend,
    }
    command |= settings_of(method)
    pictures = _pictures(data)
    command["data"] = [hashlib.sha256(pictures).hexdigest()]
    files: dict[str, Any] = {
        DIGITS: pictures,
        PREDICTIONS: stored_predictions(influence, found),
        **stored_related(influence.ranking(WHY), influence.related),
        **output.result_files(outcome.record, columns, found, command, [args.out / DIGITS]),
    }
    try:
        files = {HISTOGRAM: histogram(influence, data.flipped, found), **files}
    except ImportError:
        (args.out / HISTOGRAM).unlink(
            missing_ok=True
        )  # a report of an earlier demo would show other scores
    output.write_files(args.out, files)

    say(f"{summary(influence, outcome)}{_precision_recall(found, data.flipped)}")
    say(f"how well the flipped labels are ranked:\n{_comparison(influence, columns, data.flipped)}")
    say(f"the most suspect:\n{most_suspect(columns, true=data.true)}")
    say(f"written to {args.out}: {', '.join(sorted(files))}")
    if HISTOGRAM not in files:
        say(
            f"{HISTOGRAM} is left out, since matplotlib is not installed; try: pip install "
            "'gexcore[report]'"
        )
    say(f"look at them: gexcore report {args.out} --open")
    if args.json:
        told = told_as_json(outcome.record, found, columns)
        print_json({**told, "flipped": np.flatnonzero(data.flipped).tolist(), "out": str(args.out)})


def digits(noise: float, seed: int) -> Noisy:
    """The digits of scikit-learn with exactly round(noise × N) wrong labels.

    Raises
    ------
    InvalidSettingError
        If the share is outside (0, 0.5], or so small that it flips nothing.
    MissingExtraError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        msg = (
            "the demo's data comes with scikit-learn, which is not installed; try: pip install "
            "'gexcore[sklearn]'"
        )
        raise MissingExtraError(msg) from error
    x, true = load_digits(return_X_y=True)
    count = round(noise * len(x)) if 0 < noise <= 0.5 else 0
    if not count:
        raise InvalidSettingError(
            f"noise is {noise}, and must be above 0 (one label at least) and at most 0.5"
        )
    rng = np.random.default_rng(seed)
    given = true.copy()
    moved = rng.choice(len(x), count, replace=False)
    given[moved] = (true[moved] + rng.integers(1, 10, count)) % 10
    return Noisy(x / 16.0, given, true)


def histogram(influence: LossInfluence, flipped: NDArray[np.bool_], found: Suspects) -> bytes:
    """A PNG of the scores by right and wrong label. It needs matplotlib."""
    from matplotlib.figure import Figure  # without pyplot no display is needed

    figure = Figure(figsize=(7, 4), layout="constrained")
    scores = influence.suspicion(clip=found.threshold.clip)
    plot_histogram(scores, threshold=found.threshold.value, wrong=flipped, ax=figure.subplots())
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def _pictures(data: Noisy) -> bytes:
    """The digits as pictures with their given labels, in the form that `gexcore score` reads."""
    file = io.BytesIO()
    np.savez_compressed(file, x=data.x.reshape(-1, 8, 8), y=data.given)
    return file.getvalue()


def _trainable(registry: BackendRegistry, name: str) -> BackendSpec:
    registry.get(name)  # the error names what is missing
    spec = registry.spec(name)
    if not spec.demo:
        raise InvalidSettingError(
            f"backend {name!r} has no model for the demo; leave --backend out"
        )
    return spec


def _comparison(
    influence: LossInfluence, columns: Mapping[str, NDArray[Any]], flipped: NDArray[np.bool_]
) -> str:
    rankings = {
        "GEX, suspicion()": columns["suspicion"],
        "GEX, self_influence()": columns["self_influence"],
        "plain loss of the checkpoint": influence.checkpoint_losses,
    }
    rows = [["", "AUC", "average precision"]]
    for name, scores in rankings.items():
        usable = not np.isnan(scores).any()  # without a member there is no self-influence
        rows.append(
            [
                name,
                *(f"{f(scores, flipped):.3f}" if usable else "-" for f in (auc, average_precision)),
            ]
        )
    return aligned(rows, indent="  ")


def _precision_recall(found: Suspects, flipped: NDArray[np.bool_]) -> str:
    if not len(found.indices):
        return ""
    hits = flipped[found.indices].sum()
    return (
        f"\nof the suspects {hits / len(found.indices):.1%} are flipped labels, and of those "
        f"{hits / flipped.sum():.1%} are suspects"
    )
