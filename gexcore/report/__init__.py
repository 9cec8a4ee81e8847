"""Reports: one self-contained HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gexcore.backend.files import check_folder
from gexcore.errors import MissingExtraError, OutputExistsError

if TYPE_CHECKING:
    from gexcore.report.audit import Audit

LIMIT = 10_000
"""Samples that a page lists by default."""


def write_report(audit: Audit, path: str | Path, **options: Any) -> Path:
    """Write the page. `gexcore.report.page.write_page` describes the options.

    Raises
    ------
    MissingExtraError
        If packages of the extra ``report`` are not installed.
    """
    try:
        from gexcore.report.page import write_page
    except ImportError as error:
        msg = (
            f"a report needs jinja2, pillow and vl-convert-python ({error}); try: pip install "
            "'gexcore[report]'"
        )
        raise MissingExtraError(msg) from error
    return write_page(audit, path, **options)


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a path where no page may be written.

    Raises
    ------
    OutputExistsError, InvalidSettingError
    """
    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise OutputExistsError(
            f"{path} exists; name another file, or overwrite it with force (--force)"
        )
    check_folder(path.absolute().parent)
