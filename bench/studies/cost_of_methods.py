"""What each method costs, in counted passes, beside what the paper's Table 6 says it costs.

    python -m bench.studies.cost_of_methods

A NumPy perceptron and random data: counts depend on the settings, not on the machine. "Cache" is
what is made once (steps, Hessian products, Kronecker factors), "scores" what self-influence of all
samples then takes. The paper's formulae are for a single pair and are multiplied by N.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import gexcore as gx
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown
from gexcore.estimators.lissa import Solved
from gexcore.evaluation.passes import Passes, sum_passes
from gexcore_numpy import MLP

N, FEATURES, HIDDEN, CLASSES = 240, 6, 12, 3
T, B, M, R, C, J = 8, 20, 6, 20, 2, 40


class Line(NamedTuple):
    """One line of Table 6.

    Parameters
    ----------
    cache, scores, copies : str
        The paper's, without constants and without P.
    expected : dict
        Those in numbers of `gexcore.evaluation.passes.Passes`, for all N samples; where the paper
        gives none, left out.
    note : str
        Why ours differs.
    """

    name: str
    method: Any
    cache: str
    scores: str
    copies: str
    expected: dict[str, float]
    note: str = ""


def lines(model: MLP, checkpoints: Sequence[MLP]) -> list[Line]:
    """The table."""
    chains = {
        "chains": 2,
        "snapshots": M // 2,
        "lr": 0.05,
        "steps_per_snapshot": T,
        "batch_size": B,
    }
    few = "R is below the number from which gradients are cheaper"
    return [
        Line("LiSSA", gx.LiSSA(depth=J, scale=20.0, batch_size=B), "J · N", "N backward", "N",
            {"hvp": J * B * N, "gradient": N, "copies": N},
            "each product is on a batch of B; solutions are used and let go, N are never held"),
        Line("last layer", gx.LastLayer(gx.IF(damping=0.1)), "p_L³ · N", "N backward", "p_L²",
            {"gradient": N},
            "the Hessian takes p_L products over the data, and the decomposition p_L³ beside them"),
        Line("TracIn", gx.TracIn(checkpoints=checkpoints), "–", "C · N backward", "C",
            {"gradient": C * N, "copies": C}),
        Line(
            "TracInRP", gx.TracInRP(checkpoints=checkpoints, directions=R), "–", "C · R · N jvp",
            "C",
            {"jvp": C * R * N, "copies": C},
            "from 16 directions on, one gradient of each sample serves all of them"),
        Line("Arnoldi", gx.Arnoldi(iterations=J, rank=R), "J backward", "R · N jvp", "J",
            {"hvp": J * N, "jvp": R * N, "copies": J},
            "each product is over the data, a fixed matrix; gradients serve all R directions"),
        Line("LA with KFAC", gx.Laplace(samples=M), "N (factors)", "M · N forward", "M",
            {"gradient": N, "forward": M * N, "copies": M},
            "θ* is scored too, and the data looked at once; draws are made one at a time, 8 "
"are kept at most"),
        Line("GEX-lin", gx.GEXLin(**chains), "T · M steps", "M · R · N jvp", "M",
            {"step": T * M * B, "jvp": M * N, "copies": M},
            f"one jvp for each member (the paper's R has no meaning there; {few}), and the "
"chains' own forward passes"),
        Line("GEX", gx.GEX(**chains), "T · M steps", "M · N forward", "M",
            {"step": T * M * B, "forward": M * N, "copies": M},
            "θ* is scored too, and the data looked at once; beside the members a chain holds "
"θ*, itself and its start"),
    ]  # fmt: skip


def measured() -> Iterator[Row]:
    """What each method says that it took."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, FEATURES))
    y = np.argmax(x[:, :CLASSES], axis=1)
    model, *rest = (MLP.init((FEATURES, HIDDEN, CLASSES), seed=seed) for seed in range(1 + C))
    for line in lines(model, rest):
        found = line.method.fit(model, (x, y), progress=False)
        passes: Passes = found.run.passes
        if isinstance(found, Solved):
            found.self_influence()
            passes = sum_passes([passes, found.passes(N)])
        counted = {kind: count for kind, count in passes._asdict().items() if count}
        agrees = all(counted.get(kind) == count for kind, count in line.expected.items())
        yield {
            "method": line.name,
            "paper": f"{line.cache}; {line.scores}; {line.copies}",
            "expected": line.expected,
            "counted": counted,
            "note": line.note or ("as the paper" if agrees else "differs"),
        }


def table(rows: list[Row]) -> str:
    """One line for each method."""

    def told(counts: dict[str, float]) -> str:
        return ", ".join(f"{kind} {count:,.0f}" for kind, count in counts.items())

    return markdown(
        ("method", "Table 6: cache; scores; copies", "in numbers", "counted", "note"),
        ([row["method"], row["paper"], told(row["expected"]), told(row["counted"]), row["note"]]
         for row in rows),
    )  # fmt: skip


def main() -> None:
    given = parser(__doc__).parse_args()
    rows = read(given.table) if given.table else written(measured(), given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
