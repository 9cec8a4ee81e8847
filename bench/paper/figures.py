"""The pictures of the page, by `gexcore.plots`, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bench.paper.harness import rows_of, usual
from bench.studies.circles_against_retraining import PER_CIRCLE
from bench.studies.rows import Row
from bench.studies.tables import groups
from gexcore.decisions.curve import CurvePoint
from gexcore.plots import plot_histogram, plot_pruning_curve
from gexcore.plots.palette import ACCENT, QUIET, new_axes
from gexcore.theory.plots import plot_normality


def draw(rows: Path, folder: Path) -> None:
    """Every picture for which there are rows."""
    matplotlib.rcParams["svg.hashsalt"] = "gexcore"  # the same rows give the same bytes
    matplotlib.rcParams["svg.fonttype"] = "none"
    made = {
        "distributions": distributions(usual(rows_of(rows, "figure1"))),
        "circles": circles(usual(rows_of(rows, "figures2_3"))),
        "pruning-4": pruning(usual(rows_of(rows, "figure4"))),
        "pruning-5": pruning(usual(rows_of(rows, "figure5"))),
        "members": members(usual(rows_of(rows, "table7"))),
        "detection": detection(usual(rows_of(rows, "table8"))),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in made.items():
        if figure is not None:
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def panels(count: int, *, columns: int = 4) -> tuple[Figure, list[Any]]:
    """A figure with so many axes."""
    columns = min(columns, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 2.9 * lines), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(lines, columns)).ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


def distributions(rows: list[Row]) -> Figure | None:
    """Figure 1: gradients, and histograms of scores on a logarithmic scale; the first seed."""
    first = [row for row in rows if row["seed"] == 0 and "not_run" not in row]
    if not first:
        return None
    figure, axes = panels(len(first), columns=5)
    for ax, row in zip(axes, first, strict=True):
        if "components" in row:
            plot_normality(np.array(row["components"]), ax=ax)
            ax.set_title("gradients along a direction", fontsize=9)
            continue
        logs = np.log10(np.maximum(row["scores"], 1e-12))
        wrong = np.isin(np.arange(len(logs)), row["mislabelled"])
        plot_histogram(logs - logs.min(), wrong=wrong, ax=ax)
        ax.set_xlabel("log10 of the score, from its least")
        ax.set_title(f"{row['row']}: AP {row['ap']:.0f}", fontsize=9)
    return figure


PANELS = (
    'LOO(start="cold") self_influence', "IF(damping=0.01) self_influence",
    "GEX.paper() self_influence", "GEX.paper(lr=0.5) self_influence",
    "Laplace(damping=0.01) self_influence", "Laplace(damping=100) self_influence",
    "Laplace(rank=50) self_influence", "GEX() suspicion",
)  # fmt: skip
"""Figures 2 b–d and 3 a–c, and ours."""


def circles(rows: list[Row]) -> Figure | None:
    """Figures 2 and 3: histograms with the memorised points apart; the first seed."""
    found = {row["row"]: row for row in rows if row["seed"] == 0 and row.get("scores")}
    names = [name for name in PANELS if name in found]
    if not names:
        return None
    figure, axes = panels(len(names))
    for ax, name in zip(axes, names, strict=True):
        values = np.array(found[name]["scores"])
        plot_histogram(values, wrong=np.arange(len(values)) >= 2 * PER_CIRCLE, ax=ax)
        ax.get_legend().get_texts()[0].set_text("on a circle")
        ax.get_legend().get_texts()[1].set_text("at the centre")
        ax.set_xlabel("")
        ax.set_title(f"{name.split()[0]}: AUC {found[name]['auc']:.2f}", fontsize=9)
    return figure


def pruning(rows: list[Row]) -> Figure | None:
    """Figures 4 and 5: accuracy by the share that is kept."""
    cells = groups([row for row in rows if "accuracy" in row], "cell")
    if not cells:
        return None
    figure, axes = panels(len(cells))
    for ax, ((cell,), part) in zip(axes, cells.items(), strict=True):
        curves = curves_of(part)
        own = curves.pop("GEX", [])
        if own:
            plot_pruning_curve(*own, others=curves, ax=ax)
            ax.get_legend().get_texts()[0].set_text("GEX")
            for text in ax.get_legend().get_texts():
                text.set_fontsize(6)
        ax.set_title(str(cell), fontsize=9)
    return figure


def curves_of(rows: list[Row]) -> dict[str, list[list[CurvePoint]]]:
    """The curves of each score, one per seed, in percent."""
    known = {(r["seed"], r["row"], r["percent"]): r["accuracy"] for r in rows}
    shares = sorted({percent for _, _, percent in known}, reverse=True)
    names = dict.fromkeys(row for _, row, _ in known if row not in ("all samples", "random"))
    made: dict[str, list[list[CurvePoint]]] = {}
    for name in names:
        for seed in sorted({seed for seed, _, _ in known}):
            whole = known.get((seed, "all samples", 100))
            points = []
            for percent in shares:
                own = whole if percent == 100 else known.get((seed, name, percent))
                drawn = whole if percent == 100 else known.get((seed, "random", percent))
                if own is not None and drawn is not None:
                    points.append(CurvePoint(percent / 100, 0, own, drawn))
            if len(points) == len(shares):
                made.setdefault(name, []).append(points)
    return made


def members(rows: list[Row]) -> Figure | None:
    """Table 7: AP by members, the mean over seeds and their range."""
    sized = [row for row in rows if row.get("row", "").isdigit()]
    cells = groups(sized, "cell")
    if not cells:
        return None
    figure, axes = panels(len(cells))
    for ax, ((cell,), part) in zip(axes, cells.items(), strict=True):
        new_axes(ax, (6.0, 4.0))
        found = {int(str(size)): [r["ap"] for r in same]
                 for (size,), same in groups(part, "row").items()}  # fmt: skip
        sizes = sorted(found)
        ax.plot(sizes, [np.mean(found[m]) for m in sizes], color=ACCENT, marker="o", markersize=3)
        low, high = ([end(found[m]) for m in sizes] for end in (min, max))
        ax.fill_between(sizes, low, high, color=ACCENT, alpha=0.2, linewidth=0)
        ax.set(xlabel="members", ylabel="AP, %", title=str(cell))
    return figure


def detection(rows: list[Row]) -> Figure | None:
    """Table 8: AP of every method."""
    cells = groups([row for row in rows if "ap" in row], "cell")
    if not cells:
        return None
    figure, axes = panels(len(cells), columns=2)
    for ax, ((cell,), part) in zip(axes, cells.items(), strict=True):
        new_axes(ax, (6.0, 4.0))
        found = {str(name): float(np.mean([r["ap"] for r in same]))
                 for (name,), same in groups(part, "row").items()}  # fmt: skip
        names = sorted(found, key=found.__getitem__)
        colors = [ACCENT if name.startswith("GEX") else QUIET for name in names]
        ax.barh(names, [found[name] for name in names], color=colors)
        ax.set(xlabel="AP, %", title=str(cell))
        ax.tick_params(axis="y", labelsize=7)
    return figure
