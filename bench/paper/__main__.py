"""The exhibits of the paper by one command.

    python -m bench.paper EXHIBIT|all --scale small|medium|full --data FOLDER [--seeds 4]
        [--methods NAME,…] [--cells NAME,…] [--backend torch|jax] [--resume] [--jobs N]
        [--workers N] [--page] [--public-code] [--floor .05] [--chained 4] [--human aggre]
    python -m bench.paper all --quick

Rows are JSON lines: at small scale in docs/rows/paper, else in the cache. Trained models and
scores are in the cache, by a digest of all that they depend on. Without `--resume`, the rows that
are asked for are measured again. `--page` alone writes docs/paper.md from the rows that are there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.paper.detectors import Switches
from bench.paper.harness import NAMES, Wanted, run, set_threads
from bench.paper.noise import HUMAN
from bench.paper.problem import Context
from bench.paper.recipes import BACKENDS
from bench.studies.tables import DOCS

ROWS = DOCS / "rows" / "paper"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.paper", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("exhibit", nargs="?", default="all", choices=("all", *NAMES))
    parser.add_argument("--scale", choices=("small", "medium", "full"), default="small")
    parser.add_argument("--data", type=Path, help="folder of the data files")
    parser.add_argument("--seeds", type=int, help="by default 4 for Tables 1, 3, 8 and 11, else 2")
    parser.add_argument("--methods", default="", help="rows, or calls of registered methods")
    parser.add_argument("--cells", default="", help="data sets as the paper names them")
    parser.add_argument("--backend", choices=BACKENDS, default="torch")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--quick", action="store_true", help="tiny data that need no files")
    parser.add_argument("--page", action="store_true", help="write the page of the rows")
    parser.add_argument("--check", action="store_true", help="with --page: only compare it")
    parser.add_argument("--cache", type=Path, default=Path("paper-cache"))
    parser.add_argument("--out", type=Path, help="folder of the rows")
    parser.add_argument("--jobs", type=int, default=1, help="exhibits at once, each in a process")
    parser.add_argument("--workers", type=int, default=0, help="processes for the chains of GEX")
    parser.add_argument("--public-code", action="store_true", help="settings of the public code")
    parser.add_argument("--floor", type=float, default=0.0, help="lower bound of losses at θ*")
    parser.add_argument("--chained", type=int, default=1, help="members of a chain")
    parser.add_argument("--human", choices=HUMAN, default="worse", help="labels of CIFAR-10-N")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    given = parser.parse_args(arguments)
    scale = "quick" if given.quick else given.scale
    names = list(NAMES) if given.exhibit == "all" else [given.exhibit]
    if given.out is None:
        given.out = ROWS if scale == "small" else given.cache / f"rows-{scale}"
    if given.page:
        from bench.paper.page import write

        write(given.out, scale, check=given.check)
        return
    if given.jobs > 1 and given.workers:
        parser.error("choose --jobs or --workers: both would start processes of processes")
    set_threads(given.backend, given.threads)
    switches = Switches(given.public_code, given.floor, given.chained)
    wanted = Wanted(
        names=tuple(names), out=given.out, seeds=given.seeds, methods=given.methods,
        cells=given.cells,
    )  # fmt: skip
    how = {"resume": given.resume, "jobs": given.jobs, "threads": given.threads}
    with tempfile.TemporaryDirectory() as scratch:
        context = Context(
            scale=scale, data=given.data, cache=Path(scratch) if given.quick else given.cache,
            backend=given.backend, switches=switches, durable=scale in ("medium", "full"),
            progress=scale in ("medium", "full"), human=given.human,
        )  # fmt: skip
        if not given.workers:
            run(wanted, context, **how)
            return
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.workers, mp_context=spawn) as executor:
            run(wanted, replace(context, executor=executor), **how)


if __name__ == "__main__":
    main()
