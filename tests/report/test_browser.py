"""The page in a real browser: what a reader sees and does.

Whatever it complains about fails the test (`visit`).
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from gexcore.decisions.clean import clean
from gexcore.decisions.marks import read_marks
from gexcore.report import write_report
from gexcore.report.audit import Audit

MakeAudit = Callable[..., Audit]
DataOf = Callable[[Path], dict[str, Any]]
Open = Callable[..., Page]

PHONE = {"width": 390, "height": 844}
NAMES = ["ant", "bee", "cat", "dog", "=1+1"]


@pytest.fixture(scope="session")
def audit(make_audit: MakeAudit) -> Audit:
    return make_audit(300)


@pytest.fixture(scope="session")
def pictures(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = list(np.random.default_rng(0).random((300, 8, 8)))
    path = tmp_path_factory.mktemp("pictures") / "audit.html"
    return write_report(audit, path, data=samples, class_names=NAMES)


@pytest.fixture(scope="session")
def texts(make_audit: MakeAudit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [f"Sentence number {i} " + "and so on " * (i % 50) for i in range(300)]
    path = tmp_path_factory.mktemp("texts") / "audit.html"
    return write_report(make_audit(300, classes=30), path, data=samples)


def cards(page: Page) -> Locator:
    return page.locator(".card")


def choice(page: Page, name: str) -> Locator:
    return page.get_by_role("combobox", name=name, exact=True)


def positions(page: Page) -> list[int]:
    found = cards(page).evaluate_all("cards => cards.map(card => Number(card.dataset.position))")
    return [int(position) for position in found]


def flagged(page: Page) -> int:
    return int(page.locator("#flagged").inner_text().replace(",", ""))


def marks(page: Page) -> dict[int, str]:
    found = cards(page).evaluate_all(
        "cards => cards.map(card => [card.dataset.position, card.dataset.mark])"
    )
    return {int(position): mark for position, mark in found if mark}


def exported(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text()


# ── what is there ──────────────────────────────────────────────────────────────


def test_the_gallery_is_ranked_and_tells_everything_of_a_sample(
    visit: Open, pictures: Path, audit: Audit
) -> None:
    page = visit(pictures)
    assert positions(page) == audit.ranking()[:100].tolist()
    first = int(audit.ranking()[0])
    assert audit.labels is not None
    assert audit.suggested is not None
    card = cards(page).first
    expect(card.locator("img")).to_be_visible()
    assert card.locator("img").evaluate("image => image.naturalWidth") == 8
    expect(card.locator(".given")).to_have_text(NAMES[audit.labels[first]])
    expect(card.locator(".suggested")).to_have_text(NAMES[audit.suggested[first]])
    score, error = audit.suspicion[first], audit.standard_error[first]
    expect(card.locator(".scores")).to_contain_text(f"{score:.2f} ± {error:.2f}")
    expect(card.locator(".scores")).to_contain_text(
        f"self-influence {audit.self_influence[first]:.3g}"
    )


def test_more_samples_come_when_asked_for(visit: Open, pictures: Path, audit: Audit) -> None:
    page = visit(pictures)
    page.get_by_role("button", name="Show 100 more of 200").click()
    assert positions(page) == audit.ranking()[:200].tolist()
    expect(cards(page).nth(100)).to_be_focused()
    page.get_by_role("button", name="Show 100 more of 100").click()
    assert len(positions(page)) == 300
    expect(page.locator("#more")).to_be_hidden()


def test_the_histogram_draws_every_bin(visit: Open, pictures: Path, data_of: DataOf) -> None:
    page = visit(pictures)
    bars = page.locator("#histogram .mark-rect path")
    expect(bars).to_have_count(len(data_of(pictures)["edges"]) - 1)
    expect(page.locator("#trace-lr .mark-line path")).to_have_count(1)
    expect(page.locator("#trace-skill .mark-symbol path")).to_have_count(3)


# ── threshold ──────────────────────────────────────────────────────────────────


def test_the_slider_moves_the_threshold_and_all_counts_follow(
    visit: Open, pictures: Path, audit: Audit, data_of: DataOf
) -> None:
    page, edges = visit(pictures), data_of(pictures)["edges"]
    slider = page.get_by_role("slider", name="Threshold of suspicion")
    assert flagged(page) == audit.suspect.sum() == 30
    expect(page.locator("#reset")).to_be_hidden()

    slider.focus()
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
        cut = edges[int(slider.input_value())]
        expect(page.locator("#flagged")).to_have_text(str((audit.suspicion > cut).sum()))
    above = audit.suspicion > cut
    expect(page.locator("#flagged")).to_have_text(str(above.sum()))
    assert flagged(page) > 30
    expect(slider).to_have_attribute(
        "aria-valuetext", f"suspicion above {cut:.3g}: {above.sum()} flagged"
    )
    rows = page.locator("table.classes tbody tr")
    told = [int(rows.nth(i).locator("td").nth(1).inner_text()) for i in range(5)]
    assert told == np.bincount(audit.labels[above], minlength=5).tolist()  # type: ignore[index]
    expect(page.locator(".card.flagged")).to_have_count(min(100, int(above.sum())))
    fills = page.locator("#histogram .mark-rect path").evaluate_all(
        "bars => bars.map(bar => bar.getAttribute('fill'))"
    )
    assert fills.count("var(--accent)") == len(edges) - 1 - int(slider.input_value())

    page.get_by_role("button", name="Back to the threshold found").click()
    expect(page.locator("#flagged")).to_have_text("30")
    slider.press("End")
    expect(page.locator("#flagged")).to_have_text("0")
    slider.press("Home")
    expect(page.locator("#flagged")).to_have_text("300")


def test_the_line_can_be_drawn_in_the_chart(
    visit: Open, pictures: Path, audit: Audit, data_of: DataOf
) -> None:
    page, edges = visit(pictures), data_of(pictures)["edges"]
    box = page.locator("#histogram .background").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    at = int(page.locator("#cut").input_value())
    assert abs(at / (len(edges) - 1) - 0.5) < 0.02
    expect(page.locator("#flagged")).to_have_text(str((audit.suspicion > edges[at]).sum()))


def test_a_refusal_flags_nothing_until_the_reader_does(
    visit: Open, make_audit: MakeAudit, tmp_path: Path
) -> None:
    page = visit(write_report(make_audit(refused=True), tmp_path / "audit.html"))
    expect(page.locator("#flagged")).to_have_text("No clear cut")
    expect(page.locator("#share")).to_have_text("Look at the top of the ranking.")
    expect(page.locator("#breakdown")).to_be_hidden()
    expect(page.get_by_label("Notes")).to_contain_text(
        "No threshold: no separate mode; use the scores as a ranking."
    )
    expect(page.locator("#reason")).to_have_text("No threshold was found.")
    page.locator("#cut").press("Home")
    expect(page.locator("#flagged")).to_have_text("300")
    expect(page.locator("#reset")).to_be_hidden()


# ── filters ────────────────────────────────────────────────────────────────────


def test_filters_by_class(visit: Open, pictures: Path, audit: Audit) -> None:
    page = visit(pictures)
    choice(page, "Given").select_option("bee")
    ranking = audit.ranking()
    assert audit.labels is not None
    wanted = ranking[audit.labels[ranking] == 1]
    expect(page.locator("#found")).to_have_text(f"{len(wanted)} of 300 samples")
    assert positions(page) == wanted[:100].tolist()
    choice(page, "Show").select_option("flagged")
    assert positions(page) == [i for i in wanted if audit.suspect[i]]
    choice(page, "Suggested").select_option("bee")
    expect(page.locator("#found")).to_have_text("No sample fits these filters.")


def test_a_cell_of_the_confusion_shows_its_samples(
    visit: Open, pictures: Path, audit: Audit
) -> None:
    page = visit(pictures)
    assert audit.labels is not None
    count = int((audit.suspect & (audit.labels == 2)).sum())
    page.get_by_role("button", name=f"given cat, suggested dog: {count}").click()
    expect(page.locator("#found")).to_have_text(f"{count} of 300 samples")
    expect(page.locator("#samples")).to_be_focused()
    assert set(page.locator(".card .suggested").all_inner_texts()) == {"dog"}


def test_many_classes_are_pairs_and_the_worst_first(visit: Open, texts: Path) -> None:
    page = visit(texts)
    shares = page.locator("table.classes tbody td.share").all_inner_texts()
    assert len(shares) == 16
    values = [float(share.split()[0]) for share in shares]
    assert values == sorted(values, reverse=True)
    page.get_by_role("button", name="Show all 30 classes").click()
    expect(page.locator("table.classes tbody tr")).to_have_count(30)
    expect(page.get_by_role("button", name="Show the first 16")).to_be_focused()
    first = page.locator(".pairs li").first
    count = first.locator(".number").inner_text()
    first.get_by_role("button").click()
    expect(page.locator("#found")).to_have_text(f"{count} of 300 samples")


def test_order_and_text_search(visit: Open, texts: Path, make_audit: MakeAudit) -> None:
    page = visit(texts)
    choice(page, "Order").select_option("position in the data")
    assert positions(page) == list(range(100))
    choice(page, "Order").select_option("self-influence")
    by_self_influence = np.argsort(-make_audit(300, classes=30).self_influence, kind="stable")
    assert positions(page) == by_self_influence[:100].tolist()
    page.get_by_role("searchbox", name="Text").fill("NUMBER 12 ")
    assert positions(page) == [12]
    page.get_by_role("searchbox", name="Text").fill("sentence number 29")
    assert set(positions(page)) == {29, *range(290, 300)}


def test_long_texts_unfold(visit: Open, texts: Path) -> None:
    page = visit(texts)
    page.get_by_role("searchbox", name="Text").fill("number 49 ")
    text = cards(page).locator(".text")
    folded = text.bounding_box()
    page.get_by_role("button", name="Show more", exact=True).click()
    unfolded = text.bounding_box()
    assert folded is not None
    assert unfolded is not None
    assert unfolded["height"] > folded["height"]


# ── review ─────────────────────────────────────────────────────────────────────


def test_marks_by_mouse_stay_over_a_reload_and_can_be_taken_back(
    visit: Open, pictures: Path
) -> None:
    page = visit(pictures)
    expect(page.get_by_role("button", name="Export CSV")).to_be_disabled()
    order = positions(page)
    wrong = cards(page).nth(2).get_by_role("button", name="wrong")
    wrong.click()
    cards(page).nth(3).get_by_role("button", name="unsure").click()
    expect(wrong).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#marked")).to_have_text("Marked: 1 wrong, 1 unsure")
    assert marks(page) == {order[2]: "wrong", order[3]: "unsure"}

    page.reload()
    expect(page.locator("#marked")).to_have_text("Marked: 1 wrong, 1 unsure")
    assert marks(page) == {order[2]: "wrong", order[3]: "unsure"}
    choice(page, "Show").select_option("marked wrong")
    assert positions(page) == [order[2]]
    cards(page).first.get_by_role("button", name="wrong").click()
    expect(page.locator("#marked")).to_have_text("Marked: 1 unsure")


def test_the_whole_review_works_from_the_keyboard(visit: Open, pictures: Path) -> None:
    page = visit(pictures)
    order = positions(page)
    page.locator("#import").focus()
    page.keyboard.press("Tab")
    expect(cards(page).first).to_be_focused()
    for key in ("w", "F", "u"):
        page.keyboard.press(key)
    expect(cards(page).nth(3)).to_be_focused()
    assert marks(page) == {order[0]: "wrong", order[1]: "fine", order[2]: "unsure"}
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")
    expect(cards(page).nth(2)).to_be_focused()
    assert marks(page) == {order[0]: "wrong", order[1]: "fine"}
    page.keyboard.press("ArrowRight")
    expect(cards(page).nth(3)).to_be_focused()
    page.keyboard.press("Control+f")
    assert len(marks(page)) == 2
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert marks(page)[order[3]] == "wrong"


def test_the_arrow_loads_what_it_moves_to(visit: Open, pictures: Path) -> None:
    page = visit(pictures)
    cards(page).nth(99).focus()
    page.keyboard.press("ArrowRight")
    expect(cards(page).nth(100)).to_be_focused()


def test_marks_are_exported_and_no_cell_is_a_formula(
    visit: Open, pictures: Path, audit: Audit
) -> None:
    page = visit(pictures)
    choice(page, "Given").select_option("=1+1")
    order = positions(page)
    cards(page).nth(0).get_by_role("button", name="wrong").click()
    cards(page).nth(1).get_by_role("button", name="fine").click()
    rows = list(csv.DictReader(io.StringIO(exported(page, "Export CSV"))))
    assert list(rows[0]) == [
        "index", "label", "label_name", "suggested_label", "suggested_label_name", "suspicion",
        "mark", "new_label", "new_label_name",
    ]  # fmt: skip
    assert [(int(row["index"]), row["mark"]) for row in rows] == sorted(
        [(order[0], "wrong"), (order[1], "fine")]
    )
    assert {row["label_name"] for row in rows} == {"'=1+1"}
    assert {row["label"] for row in rows} == {"4"}

    found = json.loads(exported(page, "Export JSON"))
    assert (found["report"], found["samples"]) == ("Label audit", 300)
    assert {row["label_name"] for row in found["marks"]} == {"=1+1"}
    for row in found["marks"]:
        assert row["suspicion"] == pytest.approx(audit.suspicion[row["index"]], rel=1e-3)


def test_a_label_is_corrected_by_mouse_and_stays(visit: Open, pictures: Path, audit: Audit) -> None:
    page = visit(pictures)
    assert audit.labels is not None
    card, position = cards(page).nth(1), positions(page)[1]
    right = (int(audit.labels[position]) + 2) % 5
    chooser = card.get_by_role("combobox", name=f"The right label of sample {position}")
    chooser.focus()
    expect(chooser.locator("option").nth(1)).to_have_text(NAMES[audit.suggested[position]])  # type: ignore[index]
    chooser.select_option(NAMES[right])
    assert marks(page) == {position: "wrong"}
    page.reload()
    expect(cards(page).nth(1).locator(".correct")).to_have_value(str(right))
    rows = list(csv.DictReader(io.StringIO(exported(page, "Export CSV"))))
    assert [(row["mark"], row["new_label"]) for row in rows] == [("wrong", str(right))]
    cards(page).nth(1).get_by_role("button", name="fine").click()
    expect(cards(page).nth(1).locator(".correct")).to_have_value("")


def test_a_number_chooses_a_label_and_undo_takes_it_back(
    visit: Open, pictures: Path, audit: Audit
) -> None:
    page = visit(pictures)
    order = positions(page)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    cards(page).first.focus()
    page.keyboard.press("1")
    expect(cards(page).nth(1)).to_be_focused()
    assert audit.suggested is not None
    expect(cards(page).first.locator(".correct")).to_have_value(str(audit.suggested[order[0]]))
    page.keyboard.press("w")
    expect(page.locator("#reviewed")).to_have_text("2 of 30 flagged samples reviewed")
    page.get_by_role("button", name="Undo").click()
    assert marks(page) == {order[0]: "wrong"}
    page.get_by_role("button", name="Undo").click()
    assert marks(page) == {}


def test_marks_in_bulk_leave_single_ones_alone(visit: Open, pictures: Path) -> None:
    page = visit(pictures)
    order = positions(page)
    cards(page).nth(1).get_by_role("button", name="wrong").click()
    choice(page, "Show").select_option("flagged")
    choice(page, "Mark all shown that have no mark").select_option("as fine")
    expect(page.locator("#marked")).to_have_text("Marked: 1 wrong, 29 fine")
    assert marks(page)[order[1]] == "wrong"
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#marked")).to_have_text("Marked: 1 wrong")


def test_marks_of_a_colleague_come_in_and_those_of_other_data_do_not(
    visit: Open, pictures: Path, tmp_path: Path
) -> None:
    page = visit(pictures)
    order = positions(page)
    cards(page).first.focus()
    page.keyboard.press("1")
    told = json.loads(exported(page, "Export JSON"))
    page.get_by_role("button", name="Undo").click()
    assert marks(page) == {}
    (tmp_path / "marks.json").write_text(json.dumps(told))
    page.get_by_label("Take in marks.json").set_input_files(tmp_path / "marks.json")
    expect(page.locator("#taken")).to_have_text("Took in 1 mark.")
    assert marks(page) == {order[0]: "wrong"}
    for bad, said in (
        ("{", "The file is no marks.json."),
        (json.dumps({**told, "samples": 7}), "The marks are of 7 samples, and this page has 300."),
        (
            json.dumps({**told, "marks": [{**told["marks"][0], "label": 99}]}),
            "The marks are of other data.",
        ),
    ):
        (tmp_path / "bad.json").write_text(bad)
        page.get_by_label("Take in marks.json").set_input_files(tmp_path / "bad.json")
        expect(page.locator("#taken")).to_have_text(said)
    assert marks(page) == {order[0]: "wrong"}


def test_the_arrows_move_up_and_down(visit: Open, pictures: Path) -> None:
    page = visit(pictures)
    cards(page).first.focus()
    page.keyboard.press("ArrowDown")
    below = page.locator(".card:focus")
    here = cards(page).first.bounding_box()
    there = below.bounding_box()
    assert here is not None
    assert there is not None
    assert there["y"] > here["y"]
    assert abs(there["x"] - here["x"]) < 1
    page.keyboard.press("ArrowUp")
    expect(cards(page).first).to_be_focused()


def test_the_marks_of_the_page_clean_the_data(
    visit: Open, pictures: Path, audit: Audit, tmp_path: Path
) -> None:
    page = visit(pictures)
    order = positions(page)
    cards(page).nth(0).get_by_role("button", name="fine").click()
    cards(page).nth(1).focus()
    page.keyboard.press("1")
    (tmp_path / "marks.csv").write_text(exported(page, "Export CSV"))
    assert audit.labels is not None
    assert audit.suggested is not None
    found = read_marks(tmp_path / "marks.csv", audit.labels, classes=5)
    cleaned = found.applied(
        clean(audit.labels, found.chosen(np.array(order[:3])), "drop"), audit.labels
    )
    after = dict(zip(cleaned.indices.tolist(), cleaned.targets.tolist(), strict=True))
    assert after[order[0]] == audit.labels[order[0]]
    assert after[order[1]] == audit.suggested[order[1]]
    assert order[2] not in after


# ── for everyone ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "viewport", "scheme"),
    [
        ("pictures", None, "light"),
        ("pictures", PHONE, "dark"),
        ("texts", PHONE, "light"),
        ("texts", None, "dark"),
    ],
    ids=["pictures-laptop-light", "pictures-phone-dark", "texts-phone-light", "texts-laptop-dark"],
)
def test_it_is_accessible(
    visit: Open, make_audit: MakeAudit, tmp_path: Path, kind: str, viewport: Any, scheme: str
) -> None:
    samples: list[Any] = (
        [np.zeros((8, 8))] * 300
        if kind == "pictures"
        else ["a sentence " * (i % 60) for i in range(300)]
    )
    audit = make_audit(300, classes=5 if kind == "pictures" else 30, refused=kind == "texts")
    path = write_report(audit, tmp_path / "audit.html", data=samples, limit=12)
    page = visit(path, **({"viewport": viewport} if viewport else {}), scheme=scheme)
    if kind == "texts":
        page.locator("#cut").press("Home")
    cards(page).first.get_by_role("button", name="wrong").click()
    cards(page).nth(1).get_by_role("button", name="fine").click()
    cards(page).nth(2).get_by_role("button", name="unsure").click()
    found = Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()


def test_it_fits_a_phone(visit: Open, pictures: Path, texts: Path) -> None:
    for path in (pictures, texts):
        page = visit(path, viewport=PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        chart = page.locator("#histogram svg").bounding_box()
        assert chart is not None
        assert chart["x"] >= 0
        assert chart["x"] + chart["width"] <= 390
        button = cards(page).first.get_by_role("button", name="fine").bounding_box()
        assert button is not None
        assert button["height"] >= 40


def test_charts_follow_the_window(visit: Open, pictures: Path) -> None:
    page = visit(pictures)
    page.set_viewport_size({"width": 700, "height": 800})
    page.wait_for_function(
        "document.querySelector('#histogram svg').getBoundingClientRect().width < 700"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 700


def test_it_is_dark_where_the_reader_wants_it(visit: Open, pictures: Path) -> None:
    brightness = (
        "element => getComputedStyle(element).backgroundColor.match(/\\d+/g).reduce((a, b) => a "
        "+ Number(b), 0)"
    )
    light, dark = visit(pictures), visit(pictures, scheme="dark")
    assert light.locator("body").evaluate(brightness) > 700
    assert dark.locator("body").evaluate(brightness) < 100
    colour = "page => getComputedStyle(document.querySelector('#histogram .mark-rect path')).fill"
    before = light.evaluate(colour)
    assert before != dark.evaluate(colour)
    light.emulate_media(color_scheme="dark")
    assert light.evaluate(colour) == dark.evaluate(colour) != before


def test_no_foreign_script_runs_and_nothing_is_fetched(browser: Browser, pictures: Path) -> None:
    page = browser.new_page()
    page.goto(pictures.as_uri())
    page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.pwned "
        "= true'; document.body.append(script)"
    )
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = "
        "true\">')"
    )
    fetched = page.evaluate(
        "fetch('https://example.invalid/').then(() => 'fetched', error => error.name)"
    )
    page.wait_for_timeout(100)
    assert fetched == "TypeError"
    assert page.evaluate("window.pwned") is None
    page.close()


HOSTILE = [
    "<script>document.title = 'pwned'</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "nul\0 and escape\x1b[31m",
    "<!-- <script> --> \u2028\u2029 &lt;b&gt;",
    "x" * 10_000_000,
]


def test_hostile_text_is_shown_as_text(visit: Open, make_audit: MakeAudit, tmp_path: Path) -> None:
    audit = make_audit(60, classes=6)
    path = tmp_path / "audit.html"
    samples = [HOSTILE[i % 6] for i in range(60)]
    page = visit(
        write_report(
            audit, path, data=samples, class_names=HOSTILE, title=HOSTILE[0], remarks=HOSTILE[:2]
        )
    )
    assert page.title() == HOSTILE[0]
    expect(page.locator("h1")).to_have_text(HOSTILE[0])
    assert page.locator(".card script, .card b, .card img, table img, h1 *").count() == 0
    assert page.get_by_label("Notes").locator("li").all_text_contents()[:2] == HOSTILE[:2]
    shown = {int(card.get_attribute("data-position") or -1): card for card in cards(page).all()}
    for position, card in list(shown.items())[:12]:
        wanted = samples[position][:2000].replace("\0", "␀").replace("\x1b", "␛")
        assert card.locator(".text").text_content() == wanted
    expect(page.get_by_text("the first 2,000 of 10,000,000 characters").first).to_be_visible()
    names = choice(page, "Given").locator("option").all_text_contents()[1:]
    assert names[0] == HOSTILE[0]
    assert names[5] == f"{'x' * 60}… (10,000,000 characters)"
    cards(page).first.get_by_role("button", name="wrong").click()
    assert "mark" in exported(page, "Export CSV")


def test_a_large_run_is_drawn_as_a_small_one(
    visit: Open, make_audit: MakeAudit, tmp_path: Path
) -> None:
    """What a page draws at first, and the file, do not grow with the run: so it opens as fast."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
    drawn, size = [], []
    for samples in (10_000, 100_000):
        shown = [pixels[i % 100] for i in range(samples)]
        path = write_report(make_audit(samples), tmp_path / f"{samples}.html", data=shown)
        page = visit(path)
        drawn.append(page.evaluate("document.querySelectorAll('*').length"))
        size.append(path.stat().st_size)
        page.close()
    assert "The list has the 10,000 most suspicious of 100,000 samples" in path.read_text()
    print(f"elements: {drawn}, megabytes: {[n / 1e6 for n in size]}")
    assert drawn[1] < 1.2 * drawn[0] < 6_000
    assert size[1] < 1.5 * size[0]


def test_a_column_of_all_samples_is_read_whole(
    visit: Open, make_audit: MakeAudit, tmp_path: Path
) -> None:
    audit = make_audit(70_000, classes=300)
    page = visit(write_report(audit, tmp_path / "audit.html"))
    assert flagged(page) == audit.suspect.sum()
    read = page.evaluate("document.getElementById('data').textContent.length")
    assert read > len(base64.b64encode(bytes(70_000 * 6)))
