"""Sphinx builds the site from these pages and from the docstrings; nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import gexcore
from gexcore.cli import COMMANDS

HERE = Path(__file__).parent

project, author = "gexcore", "the gexcore authors"
version = release = gexcore.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "rows", "generated"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
# pages name files of the repository, which the site does not hold
suppress_warnings = ["myst.xref_missing", "myst.header"]
autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": False}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_theme = "pydata_sphinx_theme"
html_title = "gexcore"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
}
MODULES = [
    "gexcore.plots",
    "gexcore.decisions.retrain",
    "gexcore.decisions.prune",
    "gexcore.decisions.curve",
    "gexcore.decisions.slices",
    "gexcore.decisions.separate",
    "gexcore.decisions.noise_rate",
    "gexcore.decisions.marks",
    "gexcore.decisions.metrics",
    "gexcore.outputs",
    "gexcore.retraining",
    "gexcore.theory",
]
"""Modules with public functions that are not names of `gexcore`."""


def write_command_line(app: Any) -> None:
    """Write the page of the command line from what its parsers print."""
    pages = [
        "# Command line",
        "The pages below are printed by the commands themselves.",
        _help(),
    ]
    pages += [f"## gexcore {name}\n\n{_help(name)}" for name in COMMANDS]
    (HERE / "reference" / "command_line.md").write_text("\n\n".join(pages) + "\n", encoding="utf-8")


def write_names(app: Any) -> None:
    """Write the page of the public names."""
    lines = ["# Public names", "", "```{eval-rst}", ".. currentmodule:: gexcore", ""]
    for name in sorted(set(gexcore.__all__)):
        if isinstance(getattr(gexcore, name), type):
            lines += [f".. autoclass:: {name}", "   :members:", "   :inherited-members:", ""]
        else:
            lines += [f".. autofunction:: {name}", ""]
    (HERE / "reference" / "names.md").write_text("\n".join([*lines, "```", ""]), encoding="utf-8")


def write_functions(app: Any) -> None:
    """Write the page of the functions that live in modules of their own."""
    lines = ["# Functions and plots", ""]
    for name in MODULES:
        lines += [f"## {name}", "", "```{eval-rst}", f".. automodule:: {name}"]
        lines += ["   :members:"]
        lines += ["   :imported-members:"] * hasattr(import_module(name), "__all__")
        lines += ["", "```", ""]
    page = HERE / "reference" / "functions.md"
    page.write_text("\n".join(lines), encoding="utf-8")


def _help(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gexcore", *command, "--help"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    return f"```text\n{done.stdout.rstrip()}\n```"


def setup(app: Any) -> None:
    """Generate the pages of the reference before the others are read."""
    (HERE / "reference").mkdir(exist_ok=True)
    app.connect("builder-inited", write_command_line)
    app.connect("builder-inited", write_names)
    app.connect("builder-inited", write_functions)
