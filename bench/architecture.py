"""Draws docs/architecture.svg from the imports of the code.

    python -m bench.architecture [--check]

A box is a folder or a module at the root of gexcore, a line an import. The floors are the layers of
the import contract in pyproject.toml; an import goes down. An import is left out where a chain of
other imports leads to the same box.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
WIDTH, FLOOR, BOX, HIGH = 760, 74, 132, 34


def floors() -> list[list[str]]:
    """The layers of the contract, the highest first, without their package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    return [
        [name.strip().removeprefix("gexcore.") for name in layer.split("|")] for layer in layers
    ]


def imports(names: set[str]) -> list[tuple[str, str]]:
    """Who imports whom, by the names of the boxes."""
    graph = grimp.build_graph("gexcore", cache_dir=None)
    found = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = tuple(name.split(".")[1] for name in (importer, imported) if "." in name)
            if len(pair) == 2 and pair[0] != pair[1] and names.issuperset(pair):
                found.add(pair)
    return sorted(found)


def needed(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The imports that no chain of other imports implies."""
    direct: dict[str, set[str]] = {}
    for importer, imported in pairs:
        direct.setdefault(importer, set()).add(imported)

    def below(name: str) -> set[str]:
        near = direct.get(name, set())
        return near.union(*map(below, near))

    return [
        (importer, imported)
        for importer, imported in pairs
        if not any(imported in below(other) for other in direct[importer])
    ]


def drawn() -> str:
    """The picture."""
    layers = floors()
    places = {
        name: (WIDTH * (place + 1) / (len(layer) + 1), FLOOR * number + FLOOR / 2)
        for number, layer in enumerate(layers)
        for place, name in enumerate(layer)
    }
    height = FLOOR * len(layers)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Folders of gexcore, by floor, and their imports">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for importer, imported in needed(imports(set(places))):
        (x1, y1), (x2, y2) = places[importer], places[imported]
        lines.append(
            f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#7a8794">'
            f"<title>{importer} imports {imported}</title></line>"
        )
    for name, (x, y) in places.items():
        lines += [
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX}" height="{HIGH}" '
            'rx="6" fill="#eef3f8" stroke="#34495e"/>',
            f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" font-family="sans-serif" '
            f'font-size="14" fill="#1b2631">{escape(name)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--check", action="store_true", help="fail where the picture is stale")
    picture = drawn()
    if not arguments.parse_args().check:
        PICTURE.write_text(picture, encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != picture:
        print(f"{PICTURE.name} is stale; run: python -m bench.architecture")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
