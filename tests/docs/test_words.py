"""Docstrings are in plain words: the noun first, short sentences, and a first line of one line."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("gexcore/**/*.py"), *ROOT.glob("backends/**/*.py")])
LONGEST, MEAN = 40, 18
RIDDLE = re.compile(r"(Of|That of|Those|That|As) ")
PARAMETER = re.compile(r"^\S.*\n((?: {4}.*\n?)+)", re.MULTILINE)
Docstring = tuple[str, str, bool]


def docstrings(source: str) -> Iterator[Docstring]:
    """Place, text and publicity of each docstring: of modules, classes, functions and constants."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for i, child in enumerate(body):
            owner = node if i == 0 else body[i - 1]
            named = (
                ast.Module | ast.ClassDef | ast.FunctionDef
                if i == 0
                else ast.Assign | ast.AnnAssign
            )
            if not (isinstance(child, ast.Expr) and isinstance(owner, named)):
                continue
            if isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
                public = not getattr(owner, "name", "").startswith("_")
                yield f"line {child.lineno}", inspect.cleandoc(child.value.value), public


def sentences(text: str) -> list[str]:
    """Sentences of the prose of a docstring: no examples, code, lists or headings."""
    prose = re.split(r"\n(?:Examples|Attributes)\n-+\n", text)[0]
    blocks = [
        block
        for block in re.split(r"\n\s*\n|\n(?=\S.*\n {4})|\n(?= {4,})(?<=:\n)", prose)
        if not block.startswith((" ", "*"))
    ]
    found = []
    for block in blocks:
        lines = [line for line in block.split("\n") if not re.fullmatch(r"-+|[A-Z]\w+", line)]
        if len(lines) > 1 and lines[1].startswith("    "):
            lines = lines[1:]
        found += re.split(r"(?<=[.?!])\s+", " ".join(line.strip() for line in lines))
    return [sentence for sentence in found if " " in sentence]


def faults(source: str) -> list[str]:
    """What breaks the rule in the docstrings of a module."""
    found = []
    for where, text, public in docstrings(source):
        first, _, rest = text.partition("\n")
        if rest and not rest.startswith("\n"):
            found.append(f"{where}: the first sentence has two lines: {first}")
        if RIDDLE.match(text):
            found.append(f"{where}: {first}")
        meanings = [meaning.strip() for meaning in PARAMETER.findall(text)]
        found += [f"{where}: {meaning}" for meaning in meanings if RIDDLE.match(meaning)]
        long = [s for s in sentences(text) if public and len(s.split()) > LONGEST]
        found += [f"{where}: {len(sentence.split())} words: {sentence}" for sentence in long]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_are_in_plain_words(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


def test_sentences_are_short_on_average() -> None:
    words = [
        len(sentence.split())
        for path in MODULES
        for _, text, public in docstrings(path.read_text(encoding="utf-8"))
        for sentence in (sentences(text) if public else [])
    ]
    assert len(words) > 2_000
    assert mean(words) <= MEAN


GOOD = '''
"""Losses of samples."""

CLIP = 3.0
"""Clip of losses."""


def loss(scores, labels):
    """Loss of each sample.

    It is the cross-entropy.

    Parameters
    ----------
    labels : array
        Given classes.
    """
'''


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Losses of samples.", "Of samples, the losses."),
        ("Clip of losses.", "Those above it are clipped."),
        ("Clip of losses.", "Clip of\nlosses."),
        ("Loss of each sample.", "As `losses`."),
        ("Given classes.", "Of the samples."),
        ("Given classes.", "That of\n        the samples."),
        ("It is the cross-entropy.", f"It is {'very ' * LONGEST}small."),
        ("Given classes.", f"Classes {'very ' * LONGEST}small."),
    ],
)
def test_a_docstring_that_breaks_the_rule_is_found(right: str, wrong: str) -> None:
    assert not faults(GOOD)
    assert len(faults(GOOD.replace(right, wrong))) == 1
