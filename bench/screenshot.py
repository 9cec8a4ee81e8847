"""Draws docs/_static/page.png: the page of the demo in a browser.

    python -m bench.screenshot

It needs the packages playwright and pillow, and Chromium.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from gexcore.cli import main

PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "page.png"
WIDTH, HEIGHT, COLORS = 1280, 1700, 48


def picture(folder: Path) -> bytes:
    """The page of a finished folder, as a PNG of few colours."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    page = folder / "report.html"
    if main(["report", str(folder), "--title", "Digits", "--out", str(page)]):
        raise SystemExit(1)
    with sync_playwright() as browsers:
        chromium = browsers.chromium.launch(executable_path="/usr/bin/chromium")
        tab = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(page.as_uri())
        tab.wait_for_selector("#gallery img, .card img")
        content = tab.screenshot()
        chromium.close()
    found = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("P", palette=1, colors=COLORS).save(
        found, "PNG", optimize=True
    )
    return found.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if main(["demo", "--out", folder, "--quiet"]):
            raise SystemExit(1)
        PICTURE.write_bytes(picture(Path(folder)))
