"""Kills commands of the shell, gives them again, and compares the files with those of a run that
nobody stopped.

    python -m bench.studies.killed_runs --trials 20 --out docs/rows/killed_runs.jsonl

A trial kills `gexcore score`, `clean`, `report` and `prune`, each once. With --commands it kills
only these; the others then read a copy of a folder that nobody stopped. One model has labels by
chance: nothing is relearned, and `score` draws both ensembles. Half of the kills come at a random
moment of the run. The other half come at a random write of a file, or up to a millisecond
later; every second one of these at a write of the last files. Then the same command is given again.
A trial survives if all files then have the same bytes, and none is left over.

Every command is a process of its own. It is forked from one that has imported the libraries.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.studies.rows import ONE_THREAD, Row, parser, read, written
from bench.studies.tables import groups, markdown
from gexcore.cli import main as main_of_shell
from gexcore.report.page import chart_library

SAMPLES = 400
MODELS = {
    "torch": """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
    )

def train(x, y):
    model, x, y = net(), torch.tensor(x), torch.tensor(y)
    steps = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        for batch in torch.randperm(len(x)).split(50):
            steps.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            steps.step()
    torch.save(model.state_dict(), "weights")

def build():
    model = net()
    model.load_state_dict(torch.load("weights", weights_only=True))
    return model
""",
    "sklearn": """
import joblib
from sklearn.neural_network import MLPClassifier

def train(x, y):
    model = MLPClassifier(64, solver="sgd", learning_rate_init=0.1, max_iter=60, random_state=0)
    joblib.dump(model.fit(x, y), "weights")

def build():
    return joblib.load("weights")
""",
    "jax": """
import jax
import jax.numpy as jnp
import numpy as np

def apply(params, x):
    return jnp.tanh(x @ params["hidden"]) @ params["out"]

def loss(params, x, y):
    return -jax.nn.log_softmax(apply(params, x))[jnp.arange(len(y)), y].mean()

def train(x, y):
    draw = np.random.default_rng(0).normal
    params = {"hidden": draw(size=(64, 64)) / 8, "out": draw(size=(64, 10)) / 8}
    step = jax.jit(lambda p: jax.tree.map(lambda w, g: w - 0.5 * g, p, jax.grad(loss)(p, x, y)))
    for _ in range(400):
        params = step(params)
    np.savez("weights.npz", **params)

def build():
    with np.load("weights.npz") as params:
        return apply, {name: params[name] for name in params}
""",
    "both": """
import numpy as np
from gexcore.backend.batches import training_order
from gexcore_numpy import MLP, NumpyBackend

def data():
    draw = np.random.default_rng(0)
    return draw.normal(size=(600, 12)).astype("f4"), draw.integers(0, 4, 600)

def train(x, y):
    backend = NumpyBackend(MLP.init((12, 128, 4), seed=0, dtype=np.float32))
    state, batches = backend.copy(backend.initial_state()), training_order(600, 16, seed=0, chain=0)
    for _ in range(150 * 37):
        chosen, noise = next(batches)
        state, _ = backend.sgd_step_(state, (x[chosen], y[chosen]), lr=0.05, seed=noise)
    model = backend.to_model(state)
    np.savez("weights.npz", *model.weights, *model.biases)

def build():
    with np.load("weights.npz") as stored:
        arrays = list(stored.values())
    return MLP(arrays[:2], arrays[2:])
""",
}
SHELL = ("gexcore.cli.score", "gexcore.cli.clean", "gexcore.cli.report", "gexcore.cli.prune")
LIBRARIES = {
    "torch": ("torch", "gexcore_torch"),
    "sklearn": ("joblib", "sklearn.neural_network", "gexcore_sklearn"),
    "jax": ("jax", "gexcore_jax"),
    "both": ("gexcore_numpy",),
}
"""What the commands of a model import. None of it may start threads: processes are forked."""
ONLY = {"both": ("score",)}
"""Commands of a model, if not all: the others do not depend on the ensemble."""
NAMES = {
    "torch": "PyTorch, CNN with BatchNorm",
    "sklearn": "scikit-learn, MLPClassifier",
    "jax": "JAX, two layers",
    "both": "NumPy, labels by chance: both ensembles",
}
DATA = f"""
import sys
import numpy as np
from gexcore.cli.demo import digits
import model

if hasattr(model, "data"):
    x, y = model.data()
else:
    noisy = digits(0.1, 0)
    x, y = noisy.x[:{SAMPLES}].astype("f4"), noisy.given[:{SAMPLES}]
np.savez("data.npz", x=x, y=y)
model.train(x, y)
"""
LAST = 8
"""Writes of `score` that are those of its last files."""


class Command(NamedTuple):
    """A command and the files that it writes."""

    args: tuple[str, ...]
    files: tuple[str, ...]


def commands(out: str) -> dict[str, Command]:
    """The four commands; all write under this folder."""
    return {
        "score": Command(
            ("score", "model.py:build", "data.npz", "--out", f"{out}/audit", "--quiet"),
            ("audit/scores.csv", "audit/predictions.npz"),
        ),
        "clean": Command(
            ("clean", f"{out}/audit", "--relabel", "--rate", "0.1", "--out", f"{out}/clean.npz"),
            ("clean.npz",),
        ),
        "report": Command(
            ("report", f"{out}/audit", "--force", "--out", f"{out}/page.html"), ("page.html",)
        ),
        "prune": Command(
            ("prune", f"{out}/audit", "--keep", "0.5", "--out", f"{out}/pruned.npz"),
            ("pruned.npz",),
        ),
    }


def chosen(model: str, out: str, asked: Sequence[str]) -> dict[str, Command]:
    """The commands that are killed with this model."""
    found = commands(out)
    return {which: found[which] for which in ONLY.get(model, found) if which in asked}


class Process:
    """A command in a forked process, to be killed by itself at this write; -1 lists the writes."""

    def __init__(self, folder: Path, command: Command, *, at: int = -2, after: float = 0.0) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self.status: int | None = None
        self._pid = os.fork()
        if self._pid:
            return
        code = 70
        try:
            os.chdir(folder)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(self._said.fileno(), 2)
            seen = watch(at, after)
            code = main_of_shell(command.args)
            if at == -1:
                Path("writes.json").write_text(json.dumps(seen), encoding="utf-8")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def ended(self, *, wait: bool = False) -> bool:
        """Whether it has ended; it does at last, if this waits for it."""
        if self.status is None:
            pid, status = os.waitpid(self._pid, 0 if wait else os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if not self.ended():
            os.kill(self._pid, signal.SIGKILL)
            self.ended(wait=True)

    def said(self) -> str:
        """What it wrote to standard error until its end."""
        self.ended(wait=True)
        self._said.seek(0)
        return self._said.read().decode()


def watch(at: int, after: float) -> list[str]:
    """Kill this process at a write; a list that grows by the files that it opens or renames."""
    here, seen, counting = os.getcwd() + os.sep, list[str](), threading.Lock()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "os.rename" or (event == "open" and str(args[0]).endswith(".part")):
            where = os.path.abspath(str(args[1] if event == "os.rename" else args[0]))
            if where.startswith(here):
                with counting:
                    seen.append(where)
                    if len(seen) - 1 == at:
                        if after:
                            signal.setitimer(signal.ITIMER_REAL, after)
                        else:
                            os.kill(os.getpid(), signal.SIGKILL)

    if at > -2:
        sys.addaudithook(hook)
    return seen


def wait_for_store(process: Process, out: Path, command: Command) -> None:
    """Let `gexcore score` come to its first write: most of what is before builds the model."""
    while command.args[0] == "score" and not process.ended():
        if (out / "audit" / "store").exists():
            return
        time.sleep(0.001)


def ended(folder: Path, out: Path, command: Command, *, at: int = -2) -> tuple[int, str, float]:
    """Exit status, message, and seconds from `wait_for_store` on, of a run that nobody stops."""
    process = Process(folder, command, at=at)
    wait_for_store(process, out, command)
    started = time.perf_counter()
    said = process.said()
    return process.status or 0, said, time.perf_counter() - started


def left_over(out: Path) -> list[str]:
    """Files in the folder of scores that no whole run has."""
    ends = (".part", ".partial", ".lock", "writer")
    return [path.name for path in (out / "audit").rglob("*") if path.name.endswith(ends)]


def stored(out: Path) -> int:
    """Snapshots in the store."""
    records = (out / "audit" / "store").rglob("checkpoints/chain-*.json")
    return sum(len(json.loads(path.read_bytes())["content"]["snapshots"]) for path in records)


def rows(framework: str, trials: int, asked: Sequence[str]) -> Iterator[Row]:
    """A row for each trial and command."""
    for needed in (*SHELL, *LIBRARIES[framework]):
        import_module(needed)
    chart_library()  # it takes seconds, and every page has the same
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODELS[framework])
        subprocess.run([sys.executable, "-W", "ignore", "-c", DATA], cwd=folder, check=True)
        writes, seconds = dict[str, int](), dict[str, float]()
        for which, command in chosen(framework, "whole", ["score", *asked]).items():
            code, said, seconds[which] = ended(folder, folder / "whole", command, at=-1)
            if code:
                raise RuntimeError(said)
            writes[which] = len(json.loads((folder / "writes.json").read_bytes()))
        for trial in range(trials):
            out = folder / f"trial{trial}"
            if "score" not in asked:
                shutil.copytree(folder / "whole" / "audit", out / "audit")
            for which, command in chosen(framework, out.name, asked).items():
                moment = ("any", "write", "any", "last write")[trial % 4]
                yield {
                    "command": which, "model": framework, "trial": trial, "kill": moment,
                    **killed(folder, out, command, rng, moment, writes[which], seconds[which]),
                }  # fmt: skip
            shutil.rmtree(out)


def killed(
    folder: Path,
    out: Path,
    command: Command,
    rng: np.random.Generator,
    moment: str,
    writes: int,
    seconds: float,
) -> Row:
    """What became of one run that was killed."""
    if moment == "any":
        process = Process(folder, command)
        wait_for_store(process, out, command)
        wait, started = rng.uniform(0, seconds), time.perf_counter()
        while not process.ended() and time.perf_counter() - started < wait:
            time.sleep(0.001)
        process.kill()
    else:
        first = max(0, writes - LAST) if moment == "last write" else 0
        after = float(rng.choice([0.0, rng.uniform(1e-6, 1e-3)]))
        process = Process(folder, command, at=int(rng.integers(first, writes)), after=after)
        process.ended(wait=True)
    status, had = process.status or 0, stored(out)
    there = [(out / file).exists() for file in command.files]
    code, said, _ = ended(folder, out, command)
    whole = folder / "whole"
    if command.args[0] == "report":  # a page shows the seconds of its own run of score
        whole = Path(tempfile.mkdtemp(dir=out))
        ended(folder, out, Command((*command.args[:-1], f"{whole}/page.html"), ()))
    done = code == 2 and "exists, and is never overwritten" in said and all(there)
    differ = [
        file
        for file in command.files
        if not (out / file).exists() or (out / file).read_bytes() != (whole / file).read_bytes()
    ]
    left = left_over(out)
    lost = bool(differ or left) or not (code == 0 or done)
    told = {"said": said, "differ": differ, "left": left} if lost else {}
    return {
        "died": status < 0, "snapshots": had, "files": sum(there),
        "outcome": "lost" if lost else "survived", **told,
    }  # fmt: skip


def table(rows: list[Row]) -> str:
    """Trials, survived and lost, for each command and model."""
    head = ["command", "model", "trials", "survived", "lost", "killed before its end",
            "snapshots stored by then"]  # fmt: skip
    lines = []
    for (command, model), part in groups(rows, "command", "model").items():
        lost = sum(row["outcome"] == "lost" for row in part)
        had = [row["snapshots"] for row in part]
        lines.append([
            f"`gexcore {command}`", NAMES[str(model)], str(len(part)), str(len(part) - lost),
            str(lost), str(sum(row["died"] for row in part)),
            f"{min(had)} – {max(had)}" if command == "score" else "",
        ])  # fmt: skip
    order = list(commands("out"))
    lines.sort(key=lambda line: order.index(line[0].strip("`").split()[1]))
    died = [row for row in rows if row["died"]]
    lost = sum(row["outcome"] == "lost" for row in rows)
    lines.append([
        "all", "", str(len(rows)), str(len(rows) - lost), str(lost), str(len(died)), "",
    ])  # fmt: skip
    return markdown(head, lines)


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=20)
    made.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    made.add_argument(
        "--commands", nargs="+", choices=commands("out"), default=list(commands("out"))
    )
    args = made.parse_args()
    if not args.table and "KILLED_RUNS" not in os.environ:  # begin anew with one thread
        variables = {**os.environ, **ONE_THREAD, "KILLED_RUNS": "1"}
        os.execve(sys.executable, sys.orig_argv, variables)
    found = (
        read(args.table)
        if args.table
        else written(
            (row for name in args.models for row in rows(name, args.trials, args.commands)),
            args.out,
        )
    )
    print(table(found))
    return int(any(row["outcome"] == "lost" for row in found))


if __name__ == "__main__":
    sys.exit(main())
