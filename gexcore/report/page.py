"""The page itself: template, style, scripts and data in one file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gexcore._version import __version__
from gexcore.backend.files import write_whole
from gexcore.backend.protocols import Backend
from gexcore.errors import InvalidDataError, InvalidSettingError
from gexcore.report import LIMIT, check_target
from gexcore.report.audit import Audit
from gexcore.report.payload import near, payload
from gexcore.report.related import NEAREST, WHY, Related
from gexcore.report.runcard import facts, notes
from gexcore.report.samples import Renderer, as_source, shown_samples

ASSETS = files("gexcore.report") / "assets"
SCRIPTS = ("data.js", "charts.js", "tables.js", "marks.js", "why.js", "gallery.js", "main.js")


def write_page(
    audit: Audit,
    path: str | Path,
    *,
    data: Any = None,
    backend: Backend[Any, Any] | None = None,
    renderer: Renderer | None = None,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    limit: int = LIMIT,
    force: bool = False,
    remarks: Sequence[str] = (),
    related: Related | None = None,
) -> Path:
    """Write the page, whole or not at all.

    Parameters
    ----------
    audit : Audit
    path : str or Path
    data : data, or a list or array of samples, optional
        Samples in the order of the scores. Without data the page shows no samples.
    backend : Backend, optional
        Backend that may know its framework's own datasets.
    renderer : callable, optional
        Function from a sample to a text, a picture (array or PIL) or a dict of values.
    class_names : sequence of str, optional
    title : str, optional
    limit : int
        The most samples to list, most suspicious first. Counts and histogram use all samples.
    force : bool
        Whether to overwrite an existing file.
    remarks : sequence of str
        Sentences to print on the page.
    related : callable, optional
        Function from positions and a number k to the k training samples most related to each, a
        `Top`, or to None.

    Returns
    -------
    Path
        Path of the page.

    Raises
    ------
    OutputExistsError, InvalidDataError, InvalidSettingError
    """
    path = Path(path)
    check_target(path, force=force)
    if limit < 1:
        raise InvalidSettingError(
            f"limit is {limit}, and must be at least 1: so many samples are listed"
        )
    source = None if data is None else as_source(data, backend)
    if source is not None and len(source) != len(audit):
        msg = (
            f"the data has {len(source)} samples and the scores {len(audit)}; give the data that "
            "was scored"
        )
        raise InvalidDataError(msg)
    listed = audit.ranking()[:limit]
    samples = [] if source is None else shown_samples(source, listed, renderer)
    told = [
        *remarks,
        *notes(audit, listed=len(listed), shown=None if source is None else len(samples)),
    ]
    top = None if related is None else related(listed[:WHY], NEAREST + 1)
    values = payload(audit, listed, samples, class_names) | {"related": near(listed, top)}
    content = page(values, title or "Label audit", facts(audit), told)
    write_whole(path, content.encode(errors="replace"))  # a title may hold half a surrogate pair
    return path


def page(
    data: Mapping[str, Any], title: str, run_facts: Sequence[tuple[str, str]], told: Sequence[str]
) -> str:
    """The HTML text. Equal arguments give equal pages."""
    charts, script = chart_library(), "\n".join(_asset(name) for name in SCRIPTS)
    encoded = json.dumps({**data, "title": title}, allow_nan=False, separators=(",", ":"))
    key = hashlib.sha256(encoded.encode()).hexdigest()[:16]
    template = _templates().get_template("page.html")
    return template.render(
        title=title,
        version=__version__,
        key=key,
        data=Markup(_inert(encoded)),
        counts={
            "samples": data["samples"],
            "classes": len(data["classes"]),
            "listed": len(data["listed"]["position"]),
        },
        style=Markup(_asset("page.css")),
        charts=Markup(charts),
        script=Markup(script),
        hashes=[_hash(charts), _hash(script)],
        facts=run_facts,
        notes=told,
    )


@cache
def chart_library() -> str:
    """Vega with its embedding, as a script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("gexcore.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _inert(encoded: str) -> str:
    # JSON inside <script>: without "<" there is no </script> and no <!--; ASCII has no U+2028
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
