"""Pages are in short sentences, their links lead somewhere, and their pictures have words."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [path for path in PAGES if GENERATED not in path.parents and "_build" not in path.parts]
IDS = [str(path.relative_to(ROOT)) for path in PAGES]
LONGEST, MEAN = 40, 18
# tables that a command writes, with the line that says where they were measured
MADE = re.compile(r"<!-- (rows|methods|capabilities|checks)\b.*?<!-- end of \1 -->", re.DOTALL)
COLONS = re.compile(r"^:{3,}.*$|^:[\w-]+:.*$", re.MULTILINE)
MATHS = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
READER = MarkdownIt("commonmark").enable("table")


def tokens(text: str) -> list[Token]:
    """The blocks of a page, without generated tables and layout."""
    return READER.parse(COLONS.sub("", MADE.sub("", text)))


def words_of(token: Token) -> str:
    """The text of a block. Code and formulas are one word each."""
    found = ""
    for child in token.children or []:
        found += {"code_inline": "code", "softbreak": " ", "image": ""}.get(
            child.type, child.content
        )
    return MATHS.sub("formula", found)


def sentences(text: str) -> list[str]:
    """Sentences of the prose of a page: no headings, tables, code and pictures."""
    found: list[str] = []
    skipped = 0
    for token in tokens(text):
        if token.type.removesuffix("_open").removesuffix("_close") in ("table", "heading"):
            skipped += token.nesting
        elif token.type == "inline" and not skipped:
            found += re.split(r"(?<=[.?!…])\)?\s+(?=\S)", words_of(token))
    return [sentence for sentence in found if len(sentence.split()) > 1]


def faults(text: str) -> list[str]:
    """What breaks the rule of readability in a page."""
    counted = [(len(sentence.split()), sentence) for sentence in sentences(text)]
    found = [f"{count} words: {sentence}" for count, sentence in counted if count > LONGEST]
    average = mean(count for count, _ in counted) if counted else 0.0
    return found + ([f"{average:.1f} words a sentence"] if average > MEAN else [])


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_sentences_are_short(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


GOOD = """# Losses

The loss is small. It has [two parts](#parts), and `a b` is one word.

| a table | may be long |
| --- | --- |
| {long} | {long} |

```python
loss = 1  # {long}
```

<!-- rows: a -->
{long}
<!-- end of rows -->

## Parts

- The first part is a mean.

![A curve](curve.svg)
""".replace("{long}", "word " * 50)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("The loss is small.", f"The loss is {'very ' * LONGEST}small."),
        ("The loss is small.", f"The loss is {'very, ' * LONGEST}small; that is *all*."),
        ("The first part is a mean.", f"The first part is a {'long ' * LONGEST}mean."),
    ],
)
def test_a_long_sentence_is_found(right: str, wrong: str) -> None:
    assert not faults(GOOD)
    assert GOOD.count(right) == 1
    assert faults(GOOD.replace(right, wrong))


def test_long_sentences_on_average_are_found() -> None:
    text = GOOD + f"\n\n{'word ' * 19}word. " * 40
    (found,) = faults(text)
    assert found.endswith("words a sentence")


def anchors(text: str) -> set[str]:
    """Names of the headings of a page, as the site and the forge spell them."""
    blocks = READER.parse(text)
    heads = [blocks[i + 1] for i, token in enumerate(blocks) if token.type == "heading_open"]
    plain = ["".join(c.content for c in head.children or []).lower() for head in heads]
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in plain}


def broken(path: Path, text: str) -> list[str]:
    """Links and pictures of a page that lead nowhere, or that have no words."""
    found = []
    inner = [child for token in READER.parse(text) for child in token.children or []]
    for token in inner:
        if token.type == "image":
            source = str(token.attrs["src"])
            far = source.startswith("https://")
            if not token.content.strip() or not (far or (path.parent / source).exists()):
                found.append(f"picture {source}")
        elif token.type == "link_open":
            target = str(token.attrs["href"])
            if re.match(r"\w+:", target):
                if not re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", target):
                    found.append(f"address {target}")
                continue
            file, _, name = target.partition("#")
            other = path.parent / file if file else path
            if GENERATED in other.resolve().parents:
                continue
            if file and not other.exists():
                found.append(f"file {target}")
            elif name and name not in anchors(text if not file else other.read_text("utf-8")):
                found.append(f"heading {target}")
    return found


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_links_lead_somewhere_and_pictures_have_words(path: Path) -> None:
    assert not broken(path, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(#parts)", "(#part)"),
        ("(#parts)", "(nowhere.md)"),
        ("(#parts)", "(http://example.org)"),
        ("(#parts)", "(https://nowhere)"),
        ("![A curve]", "![]"),
        ("(curve.svg)", "(curves.svg)"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    (tmp_path / "curve.svg").write_text("<svg/>")
    page = tmp_path / "page.md"
    assert not broken(page, GOOD)
    assert len(broken(page, GOOD.replace(right, wrong))) == 1


# the test that runs the examples of each page from top to bottom
RUN_BY = {
    "README.md": "tests/docs/test_examples.py",
    "docs/backends.md": "tests/docs/test_tables.py",
    "docs/costs.md": "tests/docs/test_costs.py",
    "docs/custom_backend.md": "tests/backend/test_third_party.py",
    "docs/decisions.md": "tests/decisions/test_docs.py",
    "docs/exports.md": "tests/outputs/test_docs.py",
    "docs/influence.md": "tests/docs/test_influence.py",
    "docs/methods.md": "tests/docs/test_methods.py",
    "docs/recording.md": "tests/callbacks/pages.py",
    "docs/report.md": "tests/report/test_docs.py",
    "docs/running.md": "tests/store/test_docs.py",
    "docs/start.md": "tests/docs/test_site.py",
    "docs/theory.md": "tests/docs/test_theory.py",
    "docs/trust.md": "tests/docs/test_trust.py",
}


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_example_is_run(path: Path) -> None:
    name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    if not re.search(r"^```python", text, re.MULTILINE):
        assert name not in RUN_BY, "this page has no examples"
        return
    if {"tutorials", "how-to"} & set(path.parts):
        return  # tests/docs/test_tutorials.py runs each of them
    assert path.name in (ROOT / RUN_BY[name]).read_text(encoding="utf-8")
