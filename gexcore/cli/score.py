"""`gexcore score`: the training set of a trained model, sample by sample."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import gexcore
from gexcore.cli import output
from gexcore.cli.files import data_paths, read_data
from gexcore.cli.model import Source, load_model
from gexcore.cli.scored import PREDICTIONS, stored_predictions
from gexcore.cli.settings import SETTINGS, add_settings, estimator
from gexcore.cli.text import doubts, most_suspect
from gexcore.decisions.threshold import Suspects
from gexcore.fingerprint import file_digest, parameters_digest
from gexcore.loss_influence import THRESHOLD_CLIP, LossInfluence
from gexcore.registry import default_registry

HELP = "score the training set of a trained model"
DESCRIPTION = (
    "Scores every training sample of a trained model from its final checkpoint, and writes DIR/scores.csv "
    "(one row per sample, in the data's order), DIR/run.json and, of a classifier, DIR/predictions.npz, which "
    "`gexcore clean` makes new labels from. The same command on a finished DIR does nothing."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="file.py:callable or package.module:callable; the file is RUN as Python code, and the callable "
        "must return the framework's model with its trained weights",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="the training set, with the numbers as the model takes them: an .npz file with x and y, two "
        "idx(.gz) files as FEATURES,LABELS, or a .csv or .parquet file of numbers with --label",
    )
    parser.add_argument("--out", metavar="DIR", required=True, type=Path, help="folder for the results")
    parser.add_argument("--label", metavar="COLUMN", help="column of a .csv or .parquet file that holds the labels")
    parser.add_argument("--loss", metavar="NAME", help="cross_entropy (default), squared_error, …")
    parser.add_argument("--backend", metavar="NAME", help="only where the model's type leaves a choice")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Score, then write, then say what was found."""
    method = estimator(args)
    output.previous_command(args.out)
    paths = data_paths(args.data)
    source = load_model(args.model)
    command = identity(args, paths, source)
    if output.is_finished(args.out, command):
        print(f"{args.out} is already scored: see {args.out / output.SCORES} and {args.out / output.RUN}")
        return
    data = read_data(paths, args.label)
    show = not args.quiet and sys.stderr.isatty()
    influence = method.fit(source.model, data, loss=args.loss, backend=args.backend, progress=show)
    columns, found = influence.columns(), influence.suspects()
    files = output.result_files(influence, columns, found, command, paths)
    if columns["suggested_label"][0] is not None:
        files = {PREDICTIONS: stored_predictions(influence, found), **files}
    output.write_files(args.out, files)
    if not args.quiet:
        print(summary(influence, found))
        print(f"the most suspect:\n{most_suspect(columns)}")
        print(f"scores in {args.out / output.SCORES}, the run in {args.out / output.RUN}")


def identity(args: argparse.Namespace, paths: list[Path], source: Source) -> dict[str, Any]:
    """What makes this run this run: contents, not names, of data and model; weights; settings; version.

    Raises
    ------
    InvalidModelError, UnknownBackendError, BackendLoadError
        Where no backend takes the model.
    """
    backend = default_registry().create(source.model, backend=args.backend, loss=args.loss)
    return {
        "name": "score",
        "gexcore": gexcore.__version__,
        "data": [file_digest(path) for path in paths],
        "label": args.label,
        "model": source.file and file_digest(source.file),
        "callable": source.callable,
        "weights": parameters_digest(backend),
        "backend": backend.name,
        "loss": args.loss,
        **{name: getattr(args, name) for name in SETTINGS},
    }


def summary(influence: LossInfluence, found: Suspects) -> str:
    """How many samples, the cost, how many suspects or why none are named, and what is doubtful."""
    run = influence.run
    cost = f"{run.seconds:.1f} s, as much as {run.passes.epochs(run.samples):.0f} forward passes over the data"
    threshold = found.threshold
    if threshold.value is not None:
        share, low, high = influence.noise_rate()
        verdict = (
            f"{len(found.indices)} suspects, of mean loss (clipped at {THRESHOLD_CLIP:g}) above {threshold.value:.3g}: "
            f"{threshold.reason}\nabout {share:.1%} of the labels look wrong ({low:.1%} to {high:.1%} over resamples)"
        )
    else:
        verdict = f"no threshold: {threshold.reason}"
        overlapping = influence.suspects("mixture")
        if overlapping.threshold.value is not None:
            share = len(overlapping.indices) / len(influence)
            verdict += f"\nof two overlapping modes the upper one would hold {share:.1%} of the samples"
    # the verdict has already said so
    told = doubts([finding for finding in influence.diagnose() if finding.name != "no_separate_mode"])
    return f"{run.samples} samples scored by {run.method} on {run.backend} in {cost}\n{verdict}{told}"
