"""What the paper claims, and whether the rows bear it out: computed, not written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bench.paper.detectors import PAPER
from bench.studies.rows import Row
from bench.studies.tables import groups, markdown

Rows = Mapping[str, list[Row]]
NAMES = tuple(d.row for d in PAPER)


class Verdict(NamedTuple):
    """Whether a claim holds at this scale, with the numbers."""

    holds: bool
    numbers: str


class Claim(NamedTuple):
    """One claim, and how it is looked at."""

    where: str
    text: str
    look: Callable[[Rows], Verdict | None]


def means(rows: list[Row], metric: str, **only: Any) -> dict[str, float]:
    """The mean of a metric by row, over seeds; of the rows that have it."""
    chosen = [r for r in rows if metric in r and all(r[k] == v for k, v in only.items())]
    return {
        str(row): float(np.mean([r[metric] for r in same]))
        for (row,), same in groups(chosen, "row").items()
    }


def best(
    names: tuple[str, ...], metric: str, of: tuple[str, ...] = NAMES
) -> Callable[[Rows], Verdict | None]:
    """Whether GEX by the paper's recipe is first in every cell of these tables."""

    def look(all_rows: Rows) -> Verdict | None:
        first, cells, own, top = 0, 0, [], []
        for name in names:
            for cell in dict.fromkeys(r["cell"] for r in all_rows[name]):
                found = means(all_rows[name], metric, cell=cell)
                found = {row: value for row, value in found.items() if row in of}
                if "GEX" not in found or len(found) < 2:
                    continue
                cells += 1
                first += found["GEX"] >= max(found.values())
                own.append(found["GEX"])
                top.append(max(found.values()))
        if not cells:
            return None
        unit = {"ap": "AP", "auc": "AUC", "accuracy": "accuracy"}[metric]
        told = (
            f"GEX is first in {first} of {cells} cells; its mean {unit} is {np.mean(own):.1f}, "
            f"that of the best row {np.mean(top):.1f}"
        )
        return Verdict(first == cells, told)

    return look


COMPARED = ("GEX(), our default", "Loss()", "GEX")


def of_shared_seeds(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Rows of these names, of the seeds that all of them have."""
    chosen = [row for row in rows if "ap" in row and row["row"] in names]
    seeds = [{row["seed"] for row in chosen if row["row"] == name} for name in names]
    return [row for row in chosen if all(row["seed"] in own for own in seeds)]


def ours(names: tuple[str, ...]) -> Callable[[Rows], Verdict | None]:
    """Whether our default is above plain loss in every cell, on the seeds that both have."""

    def look(all_rows: Rows) -> Verdict | None:
        above, cells, own, plain, paper = 0, 0, [], [], []
        for name in names:
            for cell in dict.fromkeys(r["cell"] for r in all_rows[name]):
                rows = [row for row in all_rows[name] if row["cell"] == cell]
                found = means(of_shared_seeds(rows, COMPARED), "ap")
                if not set(COMPARED) <= found.keys():
                    continue
                cells += 1
                above += found["GEX(), our default"] > found["Loss()"]
                own.append(found["GEX(), our default"])
                plain.append(found["Loss()"])
                paper.append(found["GEX"])
        if not cells:
            return None
        told = (
            f"above plain loss in {above} of {cells} cells; mean AP {np.mean(own):.1f}, plain loss "
            f"{np.mean(plain):.1f}, GEX by the paper's recipe {np.mean(paper):.1f}"
        )
        return Verdict(above == cells, told)

    return look


def prunes(rows: Rows) -> Verdict | None:
    """Whether what GEX keeps trains no worse than random samples, at the smallest share."""
    above, cells, own, random = 0, 0, [], []
    for name in ("figure4", "figure5", "table16"):
        for cell in dict.fromkeys(r["cell"] for r in rows[name]):
            shares = [r["percent"] for r in rows[name] if r["cell"] == cell]
            found = means(rows[name], "accuracy", cell=cell, percent=min(shares))
            if not {"GEX", "random"} <= found.keys():
                continue
            cells += 1
            above += found["GEX"] >= found["random"]
            own.append(found["GEX"])
            random.append(found["random"])
    if not cells:
        return None
    told = (
        f"at the smallest share GEX is at least random in {above} of {cells} cells; mean accuracy "
        f"{np.mean(own):.1f}, random {np.mean(random):.1f}"
    )
    return Verdict(above == cells, told)


def more_members(rows: Rows) -> Verdict | None:
    """Whether AP rises with the number of members."""
    told, holds = [], True
    for cell in dict.fromkeys(r["cell"] for r in rows["table7"]):
        found = means(rows["table7"], "ap", cell=cell)
        if not {"4", "32"} <= found.keys():
            continue
        holds &= found["32"] > found["4"]
        told.append(f"{cell}: AP {found['4']:.1f} with 4 members, {found['32']:.1f} with 32")
    return Verdict(holds, "; ".join(told)) if told else None


def two_modes(rows: Rows) -> Verdict | None:
    """Whether GEX has two modes where bilinear scores have one (Hartigan's dip)."""
    found = means(rows["figure1"], "p_one_mode")
    if not {"GEX", "Arnoldi", "TracInRP"} <= found.keys():
        return None
    told = ", ".join(f"{row} {found[row]:.2f}" for row in ("Arnoldi", "TracInRP", "GEX"))
    holds = found["GEX"] < 0.05 <= min(found["Arnoldi"], found["TracInRP"])
    return Verdict(holds, f"p of one mode: {told}")


def circles(rows: Rows) -> Verdict | None:
    """Whether GEX separates the memorised points better than the influence function."""
    found = means(rows["figures2_3"], "auc")
    pair = ("GEX.paper() self_influence", "IF(damping=0.01) self_influence")
    if not set(pair) <= found.keys():
        return None
    gex, bilinear = (found[name] for name in pair)
    loo = found.get('LOO(start="cold") self_influence', float("nan"))
    told = f"AUC of the centre: GEX {gex:.2f}, IF {bilinear:.2f}, LOO {loo:.2f}"
    return Verdict(gex > bilinear, told)


FOUND = ("table1", "table8", "table10", "table11", "table2")
CLAIMS = (
    Claim("Tables 1, 2, 8, 10, 11", "GEX finds wrong labels best", best(FOUND, "ap")),
    Claim("Table 13", "GEX finds them best by influence on a test set", best(("table13",), "ap")),
    Claim("Table 14", "GEX beats TracInRP on the members of its ensemble",
          best(("table14",), "ap", (*NAMES, "TracInRP with GE"))),
    Claim("Tables 3, 9, 12, 15", "relabelling what GEX finds gives the best accuracy",
          best(("table3", "table9", "table12", "table15"), "accuracy")),
    Claim("Table 4", "GEX tells two sources apart best", best(("table4",), "auc")),
    Claim("Figures 4 and 5, Table 16", "GEX finds samples that can go", prunes),
    Claim("Table 7", "more members find more", more_members),
    Claim("Figure 1", "GEX has two modes, bilinear scores have one", two_modes),
    Claim("Figures 2 and 3", "GEX tells memorised points better than IF", circles),
)  # fmt: skip
OWN = Claim("Tables 1, 2, 8, 10, 11", "our default is above plain loss", ours(FOUND))


def verdicts(rows: Rows) -> list[tuple[Claim, Verdict]]:
    """What can be told from the rows that are there."""
    return [(c, found) for c in CLAIMS if (found := c.look(rows)) is not None]


def first_line(rows: Rows) -> str:
    """The page's first line: the claims that do not hold at this scale, with their numbers."""
    found = verdicts(rows)
    failed = [(claim, told) for claim, told in found if not told.holds]
    if not found:
        return "No exhibit has rows yet."
    told = " ".join(f"“{claim.text}”: {verdict.numbers}." for claim, verdict in failed)
    head = f"**At small scale {len(failed)} of {len(found)} claims of the paper do not hold"
    own = OWN.look(rows)
    tail = f" Our default, GEX(): {own.numbers}." if own is not None else ""
    return f"{head}.**{' ' if failed else ''}{told}{tail}"


def table(rows: Rows) -> str:
    """All claims."""
    found = verdicts(rows)
    own = OWN.look(rows)
    found += [(OWN, own)] if own is not None else []
    lines = [[c.where, c.text, "yes" if v.holds else "**no**", v.numbers] for c, v in found]
    return markdown(("where", "claim", "holds here", "numbers"), lines)
