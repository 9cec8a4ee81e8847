"""`gexcore retrain`: whether cleaning a scored dataset makes a better model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from gexcore.cli.files import data_paths, read_samples
from gexcore.cli.model import load_callable
from gexcore.cli.prune import pruned
from gexcore.cli.scored_folder import Scored, add_rate, add_scored, open_scored
from gexcore.cli.text import add_json, aligned, print_json
from gexcore.decisions.clean import METHODS, Cleaned, clean
from gexcore.decisions.retrain import Trial, retrain
from gexcore.errors import InvalidSettingError

DESCRIPTION = (
    "Trains by your recipe on the scored data as it is, with its suspects dropped or relabelled, "
    "and pruned, and prints the test accuracy of each. Each line is printed as its training ends."
)
RECIPE = (
    "it must be file.py:callable or package.module:callable, a function train(x, y, *, seed) "
    "that returns a model"
)
TREATMENTS = (*METHODS, "prune")
USUAL = "drop,argmax_or_drop,argmax,eq16,prune"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "recipe", metavar="RECIPE", help=f"{RECIPE}; the file is RUN as Python code"
    )
    add_scored(parser)
    parser.add_argument(
        "--test", metavar="DATA", required=True, help="test data with right labels, as for DATA"
    )
    parser.add_argument(
        "--seeds", metavar="N", type=int, default=3, help="trainings of each (default: 3)"
    )
    parser.add_argument(
        "--with", metavar="A,B,…", dest="treatments", default=USUAL, help=f"(default: {USUAL})"
    )
    parser.add_argument(
        "--keep", metavar="FRACTION", type=float, default=0.8, help="of prune (default: 0.8)"
    )
    parser.add_argument(
        "--backend", metavar="NAME", help="only where the model's type leaves a choice"
    )
    add_rate(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Clean, train and print the table."""
    train, _ = load_callable(args.recipe, "RECIPE", RECIPE)
    names = args.treatments.split(",")
    unknown = [name for name in names if name not in TREATMENTS]
    if unknown:
        raise InvalidSettingError(
            f"--with {unknown[0]} is no treatment; allowed are {', '.join(TREATMENTS)}"
        )
    scored = open_scored(args)
    test = read_samples(data_paths(args.test), scored.samples.reading)
    treatments = {name: _treated(name, scored, args) for name in names}
    trials = []
    for trial in retrain(
        train,
        scored.data,
        treatments,
        scored.read_alike(test),
        labels=scored.labels,
        seeds=args.seeds,
        backend=args.backend,
    ):
        trials.append(trial)
        if not args.json:
            print(
                f"{trial.treatment}, seed {trial.seed}: {trial.accuracy:.2%} of the test data",
                flush=True,
            )
    if args.json:
        print_json({"trials": [trial._asdict() for trial in trials]})
    else:
        print(f"\n{table(trials)}")


def table(trials: Sequence[Trial]) -> str:
    """A table of mean ± standard deviation over seeds, and the gain over the original data."""
    rows = [["training data", "samples", "test accuracy", "gain"]]
    baseline = None
    for name in dict.fromkeys(trial.treatment for trial in trials):
        part = [trial for trial in trials if trial.treatment == name]
        found = np.array([trial.accuracy for trial in part])
        baseline = found.mean() if baseline is None else baseline
        accuracy = f"{found.mean():.2%} ± {found.std():.2%}"
        rows.append(
            [name, str(part[0].samples), accuracy, f"{100 * (found.mean() - baseline):+.2f}"]
        )
    return aligned(rows)


def _treated(name: str, scored: Scored, args: argparse.Namespace) -> Cleaned:
    if name == "prune":
        return pruned(scored, args.keep)
    suspects = scored.suspects(args.rate)
    return clean(
        scored.labels, suspects, name, None if name == "drop" else scored.predictions(suspects)
    )
