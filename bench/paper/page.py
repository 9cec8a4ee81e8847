"""The page of the paper's exhibits, made of rows: published numbers beside ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.paper import claims
from bench.paper.cases import CASES
from bench.paper.harness import NAMES, exhibit, rows_of, usual
from bench.paper.missing import not_run
from bench.paper.published import printed
from bench.studies.rows import Row
from bench.studies.tables import DOCS, groups, markdown, measured, spread

PICTURES = {
    "figure1": ("distributions",), "figures2_3": ("circles",), "figure4": ("pruning-4",),
    "figure5": ("pruning-5",), "table7": ("members",), "table8": ("detection",),
}  # fmt: skip
INTRO = """\
This page is made by `python -m bench.paper all --scale {scale} --data FOLDER --jobs 2`, and then by
`python -m bench.paper --page`. Do not edit it.

- *Published* is the paper's number with its standard error. *Ours* is the mean ± standard
  deviation over seeds. With one seed there is no deviation.
- AUC, AP and accuracies are in percent. *Passes* are forward passes over the data. The training of
  the model is not counted.
- *Seconds* are CPU seconds of the same work, on one thread of a shared machine.
- Small scale shrinks width, data, batch and epochs, and sets the learning rate for them. Nets,
  losses and methods are the same. There is no augmentation. So a small number is no evidence
  against the paper's number. It says what happens at this size.
- CL is scored on all samples. The public code scores half of them.
- F-score counts a sample that was never learnt as always forgotten, as its authors do. The public
  code counts it as 0. `--public-code` gives its settings.
- LA takes draws of spread τ = .01, our default. The spread of Algorithm 1 is below chance here.
"""


def write(folder: Path, scale: str, *, check: bool) -> None:
    """Write docs/paper.md and its pictures, or compare the page with its rows."""
    path = DOCS / "paper.md" if scale == "small" else folder / "paper.md"
    text = page(folder, scale)
    if check:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit("docs/paper.md differs from its rows; run python -m bench.paper --page")
        print("docs/paper.md agrees with its rows")
        return
    from bench.paper.figures import draw

    draw(folder, path.parent / "paper")
    path.write_text(text, encoding="utf-8")
    print(f"{path.name} is written")


def page(folder: Path, scale: str) -> str:
    """The whole page."""
    rows = {name: rows_of(folder, name) for name in NAMES}
    main = {name: usual(part) for name, part in rows.items()}
    parts = [
        "# The paper, exhibit by exhibit", claims.first_line(main), INTRO.format(scale=scale),
        "## What differs in data\n\n" + data_table(), "## Claims\n\n" + claims.table(main),
    ]  # fmt: skip
    parts += [section(name, rows[name]) for name in sorted(NAMES, key=order) if rows[name]]
    parts += ["## What we could not run\n\n" + not_run(main)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def order(name: str) -> tuple[int, int]:
    """Figures first, by number."""
    digits = "".join(c for c in name.partition("_")[0] if c.isdigit())
    return (name.startswith("table"), int(digits))


def data_table() -> str:
    """What each data set is at small scale."""
    lines = [[c.name, c.recipe, c.stand_in, c.small_recipe or c.recipe] for c in CASES.values()]
    lines.append(["MNIST and SVHN", "resnet18",
                  "500 digits of MNIST and USPS at 16 × 16", "resnet18"])  # fmt: skip
    return markdown(("paper", "its net", "at small scale", "net"), lines)


def label(row: Any, backend: Any, variant: Any) -> str:
    """A row with what tells it from the usual ones."""
    return ", ".join([str(row), *([f"in {backend}"] if backend != "torch" else []),
                      *([str(variant)] if variant else [])])  # fmt: skip


def over_seeds(values: list[float]) -> str:
    """Mean ± standard deviation; the value alone where there is one seed."""
    return spread(values, 1) if len(values) > 1 else f"{values[0]:.1f}"


def section(name: str, rows: list[Row]) -> str:
    """One exhibit: pictures, table, and when it was measured."""
    pictures = [f"![{exhibit(name).TITLE}](paper/{file}.svg)" for file in PICTURES.get(name, ())]
    run = [row for row in usual(rows) if "not_run" not in row]
    parts = [f"## {exhibit(name).TITLE}", told_of(run), *pictures, body(name, rows)]
    return "\n\n".join([*(p for p in parts if p), measured(origins(rows))])


def origins(rows: list[Row]) -> list[Row]:
    """Rows whose origin is the machine without its load, which differs by the minute."""

    def plain(text: str) -> str:
        before, _, after = text.partition(", load average ")
        return f"{before}, {after.partition(', ')[2]}" if after else text

    return [{**row, "method": row.get("row", ""), "measured": plain(row["measured"])}
            for row in rows]  # fmt: skip


def told_of(rows: list[Row]) -> str:
    """What the models of an exhibit are."""
    lines = []
    for (cell,), part in groups(rows, "cell").items():
        known = [row for row in part if "training_passes" in row]
        if not known:
            continue
        seeds = len({row["seed"] for row in part})
        first = known[0]
        told = f"{cell}: {first['samples']:,} samples, {first['wrong']:.0%} wrong"
        fitted = [row["fitted"] for row in known if row["fitted"] is not None]
        told += f", {np.mean(fitted):.0%} of these fitted" if fitted else ""
        cost = np.mean([row["training_seconds"] for row in known])
        told += f"; the training took {first['training_passes']:.0f} passes, {cost:.1f} s"
        lines.append(f"- {told}; {seeds} seed{'s' if seeds > 1 else ''}.")
    return "\n".join(lines)


def body(name: str, rows: list[Row]) -> str:
    """The table of an exhibit, by the kind of its rows."""
    if name in ("figure4", "figure5", "table16"):
        return accuracies(name, rows, "percent")
    if any("accuracy" in row for row in rows):
        return accuracies(name, rows)
    if name == "table6":
        return growth(usual(rows))
    if name == "figure1":
        return shapes(usual(rows))
    if name == "figures2_3":
        from bench.studies.circles_against_retraining import table

        return table(usual(rows))
    return detections(name, rows)


def detections(name: str, rows: list[Row]) -> str:
    """AUC and AP: published and ours, for each cell."""
    tables = []
    for (cell,), part in groups(rows, "cell").items():
        lines = []
        for (row, *how), same in groups(part, "row", "backend", "variant").items():
            done = [r for r in same if "auc" in r]
            told = label(row, *how)
            if not done:
                lines.append([told, *["–"] * 4, f"not run: {short(same)}", "", ""])
                continue
            theirs = [printed(name, str(row), str(cell), metric) for metric in ("auc", "ap")]
            ours = [over_seeds([r[metric] for r in done]) for metric in ("auc", "ap")]
            cost = [f"{np.mean([r[c] for r in done]):.{d}f}" if c in done[0] else "–"
                    for c, d in (("passes", 0), ("seconds", 1))]  # fmt: skip
            lines.append([told, theirs[0], ours[0], theirs[1], ours[1], *cost, str(len(done))])
        head = ("method", "AUC published", "AUC ours", "AP published", "AP ours", "passes",
                "seconds", "seeds")  # fmt: skip
        if all(line[1] == "–" and "not run" in line[5] for line in lines):
            tables.append(f"### {cell}\n\nNot run: {short(part)}")
        else:
            tables.append(f"### {cell}\n\n{markdown(head, lines)}")
    return "\n\n".join(tables)


def accuracies(name: str, rows: list[Row], *keys: str) -> str:
    """Test accuracy: published and ours, what was flagged, for each cell."""
    tables = []
    for (cell,), part in groups(rows, "cell").items():
        lines = []
        for key, same in groups(part, *keys, "row", "backend", "variant").items():
            row, done = str(key[len(keys)]), [r for r in same if "accuracy" in r]
            if not done:
                continue
            theirs = printed(name, row, str(cell), "accuracy")
            line = [label(*key[len(keys) :]), *(f"{k} %" for k in key[: len(keys)]), theirs,
                    over_seeds([r["accuracy"] for r in done])]  # fmt: skip
            if not keys:
                line += flagged(done)
            lines.append([*line, str(len(done))])
        head = ["method", *(["kept"] if keys else []), "published", "ours",
                *([] if keys else ["flagged", "of these wrong"]), "seeds"]  # fmt: skip
        told = f"Not run: {short(part)}" if not lines else markdown(head, lines)
        tables.append(f"### {cell}\n\n{told}")
    return "\n\n".join(tables)


def flagged(rows: list[Row]) -> list[str]:
    """How many samples were flagged, and the share of these that is wrong."""
    if any(row.get("refused") for row in rows):
        count = sum(bool(row.get("refused")) for row in rows)
        return [f"refused in {count} of {len(rows)}", "–"]
    known = [row for row in rows if "suspects" in row]
    if not known:
        return ["–", "–"]
    precision = [row["precision"] for row in known if row.get("precision") is not None]
    return [f"{np.mean([row['suspects'] for row in known]):.0f}",
            f"{np.mean(precision):.0%}" if precision else "–"]  # fmt: skip


def growth(rows: list[Row]) -> str:
    """Cost at the base size, and its factor where one size grows."""
    lines = []
    for (row,), part in groups(rows, "row").items():
        cells: dict[Any, list[Row]] = {key[0]: same for key, same in groups(part, "cell").items()}
        base = cells.get("base", [])
        if not base or "passes" not in base[0]:
            continue
        line = [str(row), f"{base[0]['passes']:.0f}", f"{mean(base, 'seconds'):.3f}",
                f"{base[0]['copies']}", f"{base[0]['megabytes']:.2f}"]  # fmt: skip
        for variant in ("2 N", "4 P", "2 M"):
            same = cells.get(variant, [])
            if same:
                line.append(" · ".join(
                    f"{mean(same, name) * scale / (mean(base, name) or np.nan):.1f}"
                    for name, scale in (("passes", 1), ("seconds", 1), ("megabytes", 1))
                ))  # fmt: skip
        lines.append(line)
    first = next(row for row in rows if row["cell"] == "base")
    head = ("method", "passes", "seconds", "vectors held", "MB", "2 N", "4 P", "2 M")
    told = (
        f"N = {first['samples']} digits, a two-layer net of P = {first['parameters']:,}, M = "
        f"{first['members']} members, draws, directions or eigenvalues. The last three columns "
        "are factors of passes over the data, seconds and megabytes: with twice the samples, four "
        "times the width, twice the M. Megabytes are the vectors of parameters that a method says "
        "it holds. A pass over twice the data is still one pass."
    )
    return f"{told}\n\n{markdown(head, lines)}"


def mean(rows: list[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def shapes(rows: list[Row]) -> str:
    """Normality of gradients, modes of scores."""
    lines = []
    for row in rows:
        seed = str(row["seed"])
        if "distance" in row:
            told = f"{min(row['distance']):.2f} – {max(row['distance']):.2f}"
            tails = f"{min(row['kurtosis']):.0f} – {max(row['kurtosis']):.0f}"
            told += f"; normal samples stay below {row['normal_below']:.2f}"
            lines.append(["gradients g·d", seed, f"KS distance {told}", f"kurtosis {tails}", "–"])
        elif "dip" in row:
            lines.append([row["row"], seed, f"dip {row['dip']:.3f}",
                          f"p of one mode {row['p_one_mode']:.2f}",
                          f"{row['auc']:.1f} / {row['ap']:.1f}"])  # fmt: skip
    told = (
        "The paper reads a low p-value as support for normal gradients. A low p-value rejects "
        "them, so the distance is shown instead. The dip is of the logarithm of the score."
    )
    head = ("what", "seed", "distance or dip", "tails or modes", "AUC / AP")
    return f"{told}\n\n{markdown(head, lines)}"


def short(rows: list[Row]) -> str:
    """Why it was not run."""
    reasons = [row["not_run"] for row in rows if "not_run" in row]
    return reasons[0].split(";")[0] if reasons else "no rows"
