"""The page as a file: what is in it, and when none is written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gexcore.errors import InvalidDataError, InvalidSettingError, OutputExistsError
from gexcore.report import write_report
from gexcore.report.audit import Audit
from gexcore.report.payload import grid

MakeAudit = Callable[..., Audit]
DataOf = Callable[[Path], dict[str, Any]]


def columns_of(data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.frombuffer(base64.b64decode(data[name]), "<u2")
        for name in ("bins", "labels", "suggested")
    }


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, make_audit: MakeAudit) -> Path:
    samples = list(np.random.default_rng(0).random((300, 8, 8)))
    return write_report(
        make_audit(),
        tmp_path_factory.mktemp("page") / "audit.html",
        data=samples,
        title="Two modes",
    )


def test_the_page_asks_nobody_for_anything(page: Path) -> None:
    links = [
        attrs.get(name)
        for _, attrs in Tags(page.read_text()).found
        for name in ("src", "href")
        if name in attrs
    ]
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)


def test_only_its_own_scripts_may_run(page: Path) -> None:
    text = page.read_text()
    policy = next(attrs["content"] for tag, attrs in Tags(text).found if "http-equiv" in attrs)
    scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    hashes = [f"'sha256-{digest}'" for digest in digests]
    assert policy is not None
    assert len(hashes) == 2
    assert "default-src 'none'" in policy
    assert f"script-src {' '.join(hashes)};" in policy


def test_it_has_landmarks_and_headings(page: Path) -> None:
    tags = [tag for tag, _ in Tags(page.read_text()).found]
    assert [tags.count(tag) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert '<h1 dir="auto">Two modes</h1>' in page.read_text()


def test_every_sample_is_counted_and_the_suspects_are_flagged(
    page: Path, make_audit: MakeAudit, data_of: DataOf
) -> None:
    audit, data = make_audit(), data_of(page)
    columns = columns_of(data)
    np.testing.assert_array_equal(columns["bins"] >= data["found"], audit.suspect)
    np.testing.assert_array_equal(columns["labels"], audit.labels)
    np.testing.assert_array_equal(columns["suggested"], audit.suggested)
    assert data["listed"]["position"] == audit.ranking().tolist()
    assert len(data["shown"]) == 300
    assert all(sample["image"].startswith("data:image/png;base64,") for sample in data["shown"])


@given(
    values=st.lists(st.floats(0, 1e3), min_size=1, max_size=50),
    data=st.data(),
)
def test_the_flagged_of_the_page_are_those_above_the_cut(
    values: list[float], data: st.DataObject, make_audit: MakeAudit
) -> None:
    count = data.draw(st.integers(1, len(values)))
    suspicion = np.array(values)
    suspect = np.zeros(len(values), bool)
    suspect[np.argsort(-suspicion, kind="stable")[:count]] = True
    cut = make_audit(suspicion=suspicion, suspect=suspect).cut()
    assert cut is not None
    if not cut > 0:
        return
    edges, found = grid(suspicion, cut)
    assert found is not None
    assert len(edges) < 1000
    assert (np.diff(edges) > 0).all()
    bins = np.searchsorted(edges[1:-1], suspicion, side="left")
    if found < len(edges) - 1:
        np.testing.assert_array_equal(bins >= found, suspicion > cut)
    else:
        assert (suspicion <= cut).all()


def test_equal_runs_give_equal_pages(page: Path, tmp_path: Path, make_audit: MakeAudit) -> None:
    samples = list(np.random.default_rng(0).random((300, 8, 8)))
    again = write_report(make_audit(), tmp_path / "again.html", data=samples, title="Two modes")
    assert again.read_bytes() == page.read_bytes()


def test_a_refusal_is_told(tmp_path: Path, make_audit: MakeAudit, data_of: DataOf) -> None:
    page = write_report(make_audit(refused=True), tmp_path / "audit.html")
    assert "No threshold: no separate mode; use the scores as a ranking." in page.read_text()
    assert "a refusal does not mean that the labels are right" in page.read_text()
    assert data_of(page)["found"] is None


def test_a_longer_list_is_cut_with_its_count_told(
    tmp_path: Path, make_audit: MakeAudit, data_of: DataOf
) -> None:
    page = write_report(make_audit(), tmp_path / "audit.html", limit=20)
    assert (
        "The list has the 20 most suspicious of 300 samples; counts and histogram use all."
        in page.read_text()
    )
    assert len(data_of(page)["listed"]["position"]) == 20
    assert len(columns_of(data_of(page))["bins"]) == 300


def test_what_a_page_cannot_hold_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_audit: MakeAudit, data_of: DataOf
) -> None:
    monkeypatch.setattr("gexcore.report.samples.BUDGET", 2000)
    page = write_report(make_audit(), tmp_path / "audit.html", data=["x" * 100] * 300)
    shown = len(data_of(page)["shown"])
    assert 10 < shown < 20
    assert f"Only the first {shown} of the list are shown with their content" in page.read_text()


def test_targets_that_are_no_classes_are_reported_without_them(
    tmp_path: Path, make_audit: MakeAudit, data_of: DataOf
) -> None:
    page = write_report(make_audit(labels=None, suggested=None, run={}), tmp_path / "audit.html")
    data = data_of(page)
    assert (data["classes"], data["suggests"], data["trace"]) == ([], False, [])
    assert "300 training samples, ranked" in page.read_text()


def test_thresholds_found_on_other_scores_are_told(tmp_path: Path, make_audit: MakeAudit) -> None:
    audit = make_audit()
    suspect = audit.suspect.copy()
    last, next_one = audit.ranking()[suspect.sum() - 1 : suspect.sum() + 1]
    suspect[[last, next_one]] = suspect[[next_one, last]]
    page = write_report(make_audit(suspect=suspect), tmp_path / "audit.html")
    assert "1 samples next to it change sides" in page.read_text()


HOSTILE = "</script><script>document.title='pwned'</script><!-- <script>\u2028 & \"'"


def test_hostile_text_cannot_leave_its_place(
    tmp_path: Path, make_audit: MakeAudit, data_of: DataOf
) -> None:
    plain = write_report(make_audit(), tmp_path / "plain.html", data=["a"] * 300).read_text()
    page = write_report(
        make_audit(run={"method": HOSTILE, "classes": 5}),
        tmp_path / "hostile.html",
        data=[HOSTILE] * 300,
        class_names=[HOSTILE] * 5,
        title=HOSTILE,
        remarks=[HOSTILE],
    )
    text = page.read_text()
    assert [tag for tag, _ in Tags(text).found if tag == "script"] == ["script"] * 3
    assert text.lower().count("</script") == plain.lower().count("</script")
    assert data_of(page)["shown"][0]["text"] == HOSTILE
    assert data_of(page)["classes"][0].startswith(HOSTILE[:60])


def test_long_and_unprintable_text_is_shown_cut_and_visible(
    tmp_path: Path, make_audit: MakeAudit, data_of: DataOf
) -> None:
    page = write_report(
        make_audit(),
        tmp_path / "audit.html",
        data=["é" * 10_000_000, "a\0b"] * 150,
        class_names=["c" * 5000, *"bcde"],
    )
    assert page.stat().st_size < 5_000_000
    shown = {len(sample["text"]): sample for sample in data_of(page)["shown"]}
    assert shown[2000]["length"] == 10_000_000
    assert shown[3]["text"] == "a␀b"
    assert data_of(page)["classes"][0] == f"{'c' * 60}… (5,000 characters)"


def test_a_renderer_that_raises_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, make_audit: MakeAudit
) -> None:
    audit = make_audit()
    bad = int(audit.ranking()[7])

    def render(sample: int) -> str:
        if sample == bad:
            raise KeyError("no\npicture")
        return str(sample)

    (tmp_path / "audit.html").write_text("the report of yesterday")
    with pytest.raises(
        InvalidDataError,
        match=f"^sample {bad} cannot be rendered .KeyError: .*; nothing was written$",
    ):
        write_report(
            audit, tmp_path / "audit.html", data=list(range(300)), renderer=render, force=True
        )
    assert [path.name for path in tmp_path.iterdir()] == ["audit.html"]
    assert (tmp_path / "audit.html").read_text() == "the report of yesterday"


def test_a_page_that_exists_is_kept_unless_forced(tmp_path: Path, make_audit: MakeAudit) -> None:
    path = tmp_path / "audit.html"
    path.write_text("mine")
    with pytest.raises(
        OutputExistsError, match=r"audit.html exists; name another file, or overwrite it with force"
    ):
        write_report(make_audit(), path)
    assert path.read_text() == "mine"
    write_report(make_audit(), path, force=True)
    assert path.read_text().startswith("<!doctype html>")
    with pytest.raises(OutputExistsError, match="is a folder; name a file"):
        write_report(make_audit(), tmp_path)
    with pytest.raises(
        InvalidSettingError,
        match=r"nowhere is no folder; name a file in a folder that can be written",
    ):
        write_report(make_audit(), tmp_path / "nowhere" / "audit.html")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"data": ["a"] * 299}, "the data has 299 samples and the scores 300"),
        (
            {"class_names": ["a", "b"]},
            "2 class names for 5 classes; give one per class, in their order",
        ),
        ({"limit": 0}, "limit is 0, and must be at least 1"),
    ],
)
def test_options_that_do_not_fit(
    tmp_path: Path, options: dict[str, Any], told: str, make_audit: MakeAudit
) -> None:
    with pytest.raises(ValueError, match=told):
        write_report(make_audit(), tmp_path / "audit.html", **options)
    assert list(tmp_path.iterdir()) == []
