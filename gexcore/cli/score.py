"""`gexcore score`: scores of the training set of a model, by any method."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import gexcore
from gexcore.backend.capabilities import supports
from gexcore.backend.digests import file_digest, parameters_digest
from gexcore.backend.protocols import SupportsStructure
from gexcore.backend.registry import default_registry
from gexcore.backend.structure import structure_of
from gexcore.cli import output
from gexcore.cli.catalogue import Method
from gexcore.cli.durable import is_durable, stored_in
from gexcore.cli.extras import Extra, add_extras, taken
from gexcore.cli.files import data_paths, read_data
from gexcore.cli.model import Origin, load_model
from gexcore.cli.outcome import outcome_of, summary
from gexcore.cli.scored_folder import PREDICTIONS, stored_predictions
from gexcore.cli.settings import add_settings, given, named
from gexcore.cli.text import most_suspect
from gexcore.errors import InvalidModelError
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import settings_of
from gexcore.report.finished import RUN, SCORES

NO_MODEL = "-"
DESCRIPTION = (
    "Scores every training sample of a trained model from its final checkpoint, and writes "
    "DIR/scores.csv "
    "(one row per sample, in the data's order), DIR/run.json and, of a classifier, "
    "DIR/predictions.npz, which "
    "`gexcore clean` makes new labels from. The same command on a finished DIR does nothing; "
    "stopped before, a method with chains goes on from what DIR/store holds (with gexcore[store])."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="file.py:callable or package.module:callable; the file is RUN as Python code, and "
        "the callable "
        "must return the framework's model with its trained weights; '-' for a score that "
        "needs none",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="the training set, with the numbers as the model takes them: an .npz file with x and "
        "y, two "
        "idx(.gz) files as FEATURES,LABELS, or a .csv or .parquet file of numbers with --label",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, type=Path, help="folder for the results"
    )
    parser.add_argument(
        "--label", metavar="COLUMN", help="column of a .csv or .parquet file that holds the labels"
    )
    parser.add_argument("--loss", metavar="NAME", help="cross_entropy (default), squared_error, …")
    parser.add_argument(
        "--backend", metavar="NAME", help="only where the model's type leaves a choice"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    parser.add_argument(
        "--method", metavar="NAME", default="GEX", help="one of `gexcore methods` (default: GEX)"
    )
    add_extras(parser)
    add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Score, write and print the summary."""
    described = named(args.method)
    settings, extras = given(args, described), taken(args, described)
    method = described.cls(**settings, **{name: extra.value for name, extra in extras.items()})
    output.previous_command(args.out)
    paths = data_paths(args.data)
    source = _source(args.model, described, extras)
    command = identity(args, paths, source) | _asked(method, extras)
    if output.is_finished(args.out, command):
        print(f"{args.out} is already scored: see {args.out / SCORES} and {args.out / RUN}")
        return
    data = read_data(paths, args.label)
    show = not args.quiet and sys.stderr.isatty()
    fitted = gexcore.LastLayer(method) if args.last_layer else method
    durable = is_durable(method, source.model, args.backend, args.loss)
    with output.only_writer(args.out):
        output.is_finished(args.out, command)  # another may have begun meanwhile
        with stored_in(args.out, command, durable=durable) as stored:
            result = fitted.fit(
                source.model, data, loss=args.loss, backend=args.backend, progress=show, **stored
            )
        outcome = outcome_of(result)
        columns, found = outcome.columns, outcome.suspects
        files = output.result_files(outcome.record, columns, found, command, paths)
        if isinstance(result, LossInfluence) and columns["suggested_label"][0] is not None:
            files = {PREDICTIONS: stored_predictions(result, found), **files}
        output.write_files(args.out, files)
    if not args.quiet:
        print(summary(result, outcome))
        print(f"the most suspect:\n{most_suspect(columns)}")
        print(f"scores in {args.out / SCORES}, the run in {args.out / RUN}")


def identity(args: argparse.Namespace, paths: list[Path], source: Origin) -> dict[str, Any]:
    """The identity of a run: digests of data, model and weights, and the version.

    Raises
    ------
    InvalidModelError, UnknownBackendError, BackendLoadError
        If no backend takes the model.
    """
    backend = None
    if source.model is not None:
        backend = default_registry().create(source.model, backend=args.backend, loss=args.loss)
    return {
        "name": "score",
        "gexcore": gexcore.__version__,
        "data": [file_digest(path) for path in paths],
        "label": args.label,
        "model": source.file and file_digest(source.file),
        "callable": source.callable,
        "weights": backend and parameters_digest(backend),
        **_structure(backend),
        "backend": backend and backend.name,
        "loss": args.loss,
        "last_layer": args.last_layer,
    }


def _structure(backend: Any) -> dict[str, Any]:
    """The digest of the model without its weights, and what of it no digest covers."""
    if backend is None or not supports(backend, SupportsStructure):
        return {"structure": None}
    found = structure_of(backend.structure())
    return {"structure": found.digest} | ({"not compared": found.unread} if found.unread else {})


def _asked(method: Any, extras: dict[str, Extra]) -> dict[str, Any]:
    """The method, its settings, and the digests of its extra inputs."""
    told = {name: extra.identity for name, extra in extras.items()}
    return {"method": type(method).__name__, **settings_of(method), **told}


def _source(where: str, method: Method, extras: dict[str, Extra]) -> Origin:
    """The model, or None for a score that needs no model."""
    if where != NO_MODEL:
        return load_model(where)
    if method.kind == "influence" or not extras.keys() & {"recorder", "probabilities", "train"}:
        msg = f"MODEL is '-', and {method.name} takes a model here; give file.py:callable"
        raise InvalidModelError(msg)
    return Origin(None, NO_MODEL, None)
