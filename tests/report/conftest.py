"""Audits to report, and a real browser to read the reports with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from gexcore.decisions.cuts import Threshold
from gexcore.report.audit import Audit

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP, PHONE = {"width": 1366, "height": 860}, {"width": 390, "height": 844}

Open = Callable[..., Page]


def build_audit(n: int = 300, *, classes: int = 5, refused: bool = False, **changes: Any) -> Audit:
    """Scores of two modes, the upper tenth of which is suspect."""
    rng = np.random.default_rng(n)
    suspicion = np.concatenate([rng.gamma(2.0, 0.1, n - n // 10), rng.normal(3.0, 0.2, n // 10)])
    suspicion = rng.permutation(suspicion)
    suspect = np.zeros(n, bool) if refused else suspicion > 2.0
    labels = rng.integers(0, classes, n)
    reason = (
        "no separate mode; use the scores as a ranking" if refused else "valley between two modes"
    )
    found = {
        "suspicion": suspicion,
        "standard_error": suspicion / 10,
        "self_influence": suspicion**2,
        "suspect": suspect,
        "labels": labels,
        "suggested": np.where(suspicion > 2.0, (labels + 1) % classes, labels),
        "threshold": Threshold(None, "refused", reason)
        if refused
        else Threshold(2.0, "valley", reason),
        "run": {
            "method": "GEX",
            "classes": classes,
            "snapshots": {
                "member": 2,
                "all": [
                    {
                        "chain": 0,
                        "number": i,
                        "lr": 0.01 * 2**i,
                        "skill": 1 - i / 4,
                        "status": "member",
                    }
                    for i in range(3)
                ],
            },
        },
    }
    return Audit(**{**found, **changes})


def read_data(page: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(
        r'<script type="application/json" id="data"[^>]*>(.*?)</script>',
        page.read_text(),
        re.DOTALL,
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture(scope="session")
def make_audit() -> Callable[..., Audit]:
    return build_audit


@pytest.fixture(scope="session")
def data_of() -> Callable[[Path], dict[str, Any]]:
    return read_data


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens a page and waits until it is drawn; whatever it complains about or asks the network for
    fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: Path, *, viewport: Any = LAPTOP, scheme: Any = "light") -> Page:
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # a busy machine is not the page's fault
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:"))
                or complaints.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_function("performance.getEntriesByName('ready').length")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
