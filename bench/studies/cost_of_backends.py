"""What the backends cost, as ratios to the same model called by hand in its framework.

    python -m bench.studies.cost_of_backends [--framework torch] [--rounds 20] [--processes 3]

Every framework is timed in processes of its own, with one thread. It is CPU time, so that other
processes disturb little; still, let the machine be idle. Prints a Markdown table: medians over the
rounds of all processes, with their quartiles.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from bench.studies.rows import FRAMEWORKS, Row, machine, parser, read, timed, written
from bench.studies.tables import groups, markdown
from gexcore.backend.data import as_dataset
from gexcore.evaluation.timing import Cost, compare, interleaved, kernels_of, on_host

PACKAGES = {"sklearn": "scikit-learn"}
HEAD = (
    "framework", "model", "bare forward, µs per sample", "forward", "bare step", "step", "jvp",
    "step ÷ bare step",
)  # fmt: skip


def measured(framework: str, rounds: int) -> Iterator[Row]:
    """One row per model, timed in this process."""
    package = PACKAGES.get(framework, framework)
    for case in importlib.import_module(f"bench.nets.on_{framework}").cases():
        size = len(case.data[1])
        ours = kernels_of(case.backend, as_dataset(case.data, case.backend), np.arange(size))
        kernels = {"bare forward": on_host(case.forward), "bare step": on_host(case.step)}
        kernels |= {name: ours[name] for name in ("forward", "step", "jvp") if name in ours}
        times = interleaved(kernels, repeats=rounds)
        yield {
            "framework": f"{package} {version(package)}",
            "model": case.name,
            "samples": size,
            "times": {name: seconds.tolist() for name, seconds in times.items()},
        }


def table(rows: list[Row]) -> str:
    """The rows of one model together."""
    lines = []
    for (framework, model), part in groups(rows, "framework", "model").items():
        times = {
            name: np.concatenate([row["times"][name] for row in part]) for name in part[0]["times"]
        }
        to_forward, to_step = (
            {
                cost.name: cost
                for cost in compare(times, samples=part[0]["samples"], reference=reference)
            }
            for reference in ("bare forward", "bare step")
        )
        cells = [str(framework), str(model), f"{1e6 * to_forward['bare forward'].seconds:.2f}"]
        cells += [told(to_forward.get(name)) for name in ("forward", "bare step", "step", "jvp")]
        lines.append([*cells, told(to_step["step"])])
    return markdown(HEAD, lines)


def told(cost: Cost | None) -> str:
    """A ratio with its quartiles."""
    return "–" if cost is None else f"{cost.ratio:.2f} ({cost.low:.2f} – {cost.high:.2f})"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--framework", choices=FRAMEWORKS, nargs="+", default=FRAMEWORKS)
    arguments.add_argument("--rounds", type=int, default=20, help="of each process")
    arguments.add_argument("--processes", type=int, default=3, help="one after the other")
    arguments.add_argument("--one", help="time this framework in this process")
    given = arguments.parse_args()
    if given.one:
        written(measured(given.one, given.rounds), None)
        return
    work = (
        row
        for framework in given.framework
        for _ in range(given.processes)
        for row in timed("bench.studies.cost_of_backends", framework, given.rounds)
    )
    print(f"{table(read(given.table) if given.table else written(work, given.out))}\n\n{machine()}")


if __name__ == "__main__":
    main()
