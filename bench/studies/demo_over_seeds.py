"""What `gexcore demo` finds: digits with wrong labels, and a perceptron that has memorised them.

python -m bench.studies.demo_over_seeds [--seeds 5]
"""

from __future__ import annotations

import gexcore as gx
from bench.studies.found import precisions
from bench.studies.rows import Row, machine, parser, read, written
from bench.studies.tables import markdown
from gexcore.backend.registry import default_registry
from gexcore.cli.demo import digits


def run(seed: int) -> Row:
    """What `gexcore demo --seed` does."""
    data, spec = digits(0.1, seed), default_registry().spec("numpy")
    model = spec.load(spec.demo)(data.x, data.given, classes=10, seed=seed)
    found = gx.GEX(seed=seed).fit(model, (data.x, data.given), progress=False)
    scores = {
        "`GEX()` `suspicion()`": found.suspicion(),
        "`GEX()` `self_influence()`": found.self_influence(),
        "plain loss at θ*": found.checkpoint_losses,
    }
    return {"seed": seed, "ap": precisions(scores, data.flipped)}


def table(rows: list[Row]) -> str:
    """Mean and range over seeds."""
    lines = []
    for name in rows[0]["ap"]:
        ap = [row["ap"][name] for row in rows]
        lines.append([name, f"{sum(ap) / len(ap):.3f} ({min(ap):.3f} – {max(ap):.3f})"])
    return markdown(("score", f"AP, mean (range) over {len(rows)} seeds"), lines)


def main() -> None:
    given = parser(__doc__, seeds=5).parse_args()
    rows = read(given.table) if given.table else written(map(run, range(given.seeds)), given.out)
    print(f"\n{table(rows)}\n\n{machine()}")


if __name__ == "__main__":
    main()
