"""`gexcore score`: scores of the training set of a model, by any method."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import gexcore
from gexcore.backend.capabilities import supports
from gexcore.backend.digests import parameters_digest
from gexcore.backend.protocols import SupportsStructure
from gexcore.backend.registry import default_registry
from gexcore.backend.structure import structure_of
from gexcore.cli import output
from gexcore.cli.catalogue import Method, by_name
from gexcore.cli.durable import is_durable, stored_in
from gexcore.cli.extras import Extra, add_extras, taken
from gexcore.cli.files import RECEIVED, STANDARD_INPUT, data_digest, incoming, read_samples
from gexcore.cli.model import Origin, load_model
from gexcore.cli.outcome import Outcome, outcome_of, summary, told_as_json, with_names
from gexcore.cli.reading import add_reading, reading_of
from gexcore.cli.samples import Given, Samples
from gexcore.cli.scored_folder import PREDICTIONS, stored_predictions
from gexcore.cli.settings import add_settings, given, named
from gexcore.cli.text import add_json, most_suspect, print_json
from gexcore.cli.watched import is_unchanged, state_of, watched
from gexcore.errors import InvalidDataError, InvalidModelError
from gexcore.influence.loss_influence import LossInfluence
from gexcore.influence.record import settings_of
from gexcore.report.finished import RUN, SCORES
from gexcore.report.related import WHY, stored_related

NO_MODEL = "-"
DESCRIPTION = (
    "Scores every training sample of a trained model from its final checkpoint, and writes "
    "DIR/scores.csv (one row per sample, in the data's order), DIR/run.json and, of a classifier, "
    "DIR/predictions.npz, which `gexcore clean` makes new labels from. The same command on a "
    "finished DIR does nothing; stopped before, a method with chains goes on from what DIR/store "
    "holds (with gexcore[store])."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="file.py:callable or package.module:callable; the file is RUN as Python code, and "
        "the callable must return the framework's model with its trained weights. Or a file of a "
        "trained model: .joblib, .pkl or .skops of scikit-learn, .keras, .pt of TorchScript, .pt2 "
        "of torch.export, or a Hugging Face model folder; '-' for a score that needs none",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="the training set: a .csv, .tsv, .parquet or .jsonl table with --label; a folder of "
        "pictures, one folder per class, or with a table metadata.csv; a Hugging Face dataset "
        "saved on disk; an .npz file with x and y; two idx(.gz) or .npy files as FEATURES,LABELS; "
        "or - for JSON lines on standard input",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, type=Path, help="folder for the results"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="open a file of a model that can run code, such as a pickle",
    )
    add_reading(parser)
    parser.add_argument("--loss", metavar="NAME", help="cross_entropy (default), squared_error, …")
    parser.add_argument(
        "--backend", metavar="NAME", help="only where the model's type leaves a choice"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    add_json(parser)
    parser.add_argument(
        "--method", metavar="NAME", default="GEX", help="one of `gexcore methods` (default: GEX)"
    )
    shown = by_name(getattr(parser, "method", None) or "")
    add_extras(parser, shown=shown)
    add_settings(parser, shown=shown)


def run(args: argparse.Namespace) -> None:
    """Score, write and print the summary."""
    described = named(args.method)
    settings, extras = given(args, described), taken(args, described)
    method = described.cls(**settings, **{name: extra.value for name, extra in extras.items()})
    output.previous_command(args.out)
    _check_model(args.model, described, extras)
    with incoming(args.data) as paths:
        samples = read_samples(paths, reading_of(args))
        known = data_identity(args, paths) | _asked(method, extras)
        if _is_scored_unbuilt(args, known):
            _tell_scored(args)
            return
        with watched() as opened:
            source = _source(args)
        built = {"model": args.model, "files": state_of(opened)}
        command = known | model_identity(args, source)
        if output.is_finished(args.out, command):
            _tell_scored(args)
            return
        _score(args, method, source, samples, command, paths, built)


def _score(
    args: argparse.Namespace,
    method: Any,
    source: Origin,
    samples: Samples,
    command: dict[str, Any],
    paths: list[Path],
    built: dict[str, Any],
) -> None:
    model = source.model
    scored = samples.given_to(model, source.inputs, source.classes)
    show = not args.quiet
    fitted = gexcore.LastLayer(method) if args.last_layer else method
    durable = is_durable(method, model, args.backend, args.loss)
    with output.only_writer(args.out):
        output.is_finished(args.out, command)  # another may have begun meanwhile
        with stored_in(args.out, command, durable=durable) as stored:
            result = fitted.fit(
                model, scored.data, loss=args.loss, backend=args.backend, progress=show, **stored
            )
        outcome = outcome_of(result)
        _check_names(scored.names, outcome.record.get("classes"))
        columns = with_names(outcome.columns, scored.names, samples.ids)
        files = _files(args, result, outcome, scored, columns, command, paths, built)
        output.write_files(args.out, files)
    if args.json:
        told = told_as_json(outcome.record, outcome.suspects, columns)
        print_json({**told, "out": str(args.out), "already_scored": False})
    elif not args.quiet:
        print(summary(result, outcome))
        print(f"the most suspect:\n{most_suspect(columns)}")
        print(f"scores in {args.out / SCORES}, the run in {args.out / RUN}")


def _check_names(names: list[Any] | None, classes: int | None) -> None:
    """Refuse labels by name where a class of the model is missing: their numbers are a guess."""
    if names is not None and classes is not None and len(names) < classes:
        raise InvalidDataError(
            f"the labels have {len(names)} names and the model {classes} classes, so their numbers "
            "are not known; give the labels as the model's numbers 0 … K−1"
        )


def _files(
    args: argparse.Namespace,
    result: Any,
    outcome: Outcome,
    scored: Given,
    columns: dict[str, NDArray[Any]],
    command: dict[str, Any],
    paths: list[Path],
    built: dict[str, Any],
) -> dict[str, Any]:
    """The files of a finished run, in the order of writing."""
    kept: dict[str, Any] = {}
    if args.data == STANDARD_INPUT:
        kept = {RECEIVED: paths[0].read_bytes()}
        paths = [args.out / RECEIVED]
    more: dict[str, Any] = {"built": built}
    if scored.names is not None and outcome.columns["label"][0] is not None:
        more["class_names"] = scored.names
    found = outcome.suspects
    if isinstance(result, LossInfluence) and columns["suggested_label"][0] is not None:
        kept |= {PREDICTIONS: stored_predictions(result, found)}
        kept |= stored_related(result.ranking(WHY), result.related)
    return kept | output.result_files(outcome.record, columns, found, command, paths, **more)


def data_identity(args: argparse.Namespace, paths: list[Path]) -> dict[str, Any]:
    """The part of a run's identity that needs no model: digests of data, settings, version."""
    return {
        "name": "score",
        "gexcore": gexcore.__version__,
        "data": [data_digest(path) for path in paths],
        "reading": reading_of(args).identity(),
        "loss": args.loss,
        "last_layer": args.last_layer,
    }


def model_identity(args: argparse.Namespace, source: Origin) -> dict[str, Any]:
    """The other part: digests of the model's file and of its weights.

    Raises
    ------
    InvalidModelError, UnknownBackendError, BackendLoadError
        If no backend takes the model.
    """
    backend = None
    if source.model is not None:
        backend = default_registry().create(source.model, backend=args.backend, loss=args.loss)
    return {
        "model": source.file and data_digest(source.file),
        "callable": source.callable,
        # a method may have a setting `weights` or `structure`
        "weights of the model": backend and parameters_digest(backend),
        **_structure(backend),
        "backend": backend and backend.name,
    }


def _structure(backend: Any) -> dict[str, Any]:
    """The digest of the model without its weights, and what of it no digest covers."""
    if backend is None or not supports(backend, SupportsStructure):
        return {"structure of the model": None}
    found = structure_of(backend.structure())
    unread = {"not compared": found.unread} if found.unread else {}
    return {"structure of the model": found.digest} | unread


def _is_scored_unbuilt(args: argparse.Namespace, known: dict[str, Any]) -> bool:
    """Whether the folder holds this run, by files alone: the model is not built."""
    known = known | ({"backend": args.backend} if args.backend else {})
    if args.model == NO_MODEL or not output.is_finished_unbuilt(args.out, known):
        return False
    if Path(args.model).exists():
        known = known | {"model": data_digest(Path(args.model)), "callable": ""}
        return output.is_finished_unbuilt(args.out, known)
    built = json.loads((args.out / RUN).read_bytes()).get("built", {})
    return built.get("model") == args.model and is_unchanged(built.get("files"))


def _tell_scored(args: argparse.Namespace) -> None:
    output.tidy(args.out)
    if args.json:
        print_json({"out": str(args.out), "already_scored": True})
        return
    print(f"{args.out} is already scored: see {args.out / SCORES} and {args.out / RUN}")


def _asked(method: Any, extras: dict[str, Extra]) -> dict[str, Any]:
    """The method, its settings, and the digests of its extra inputs."""
    told = {name: extra.identity for name, extra in extras.items()}
    return {"method": type(method).__name__, **settings_of(method), **told}


def _check_model(where: str, method: Method, extras: dict[str, Extra]) -> None:
    """Refuse a MODEL that is left out where the method takes one."""
    if where == NO_MODEL and (
        method.kind == "influence" or not extras.keys() & {"recorder", "probabilities", "train"}
    ):
        msg = f"MODEL is '-', and {method.name} takes a model here; give file.py:callable"
        raise InvalidModelError(msg)


def _source(args: argparse.Namespace) -> Origin:
    """The model, or None for a score that needs no model."""
    if args.model == NO_MODEL:
        return Origin(None, NO_MODEL, None)
    return load_model(args.model, trust=args.trust)
