"""What a terminal gets: help of one method, colours, completion, and lines of progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gexcore.progress
from gexcore.cli import COMMANDS, main
from gexcore.progress import progress_bar

GEXCORE = [sys.executable, "-m", "gexcore"]


def in_terminal(*args: str, **env: str) -> str:
    """What a command shows in a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*GEXCORE, *args], stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **env}
    ):
        os.close(theirs)
        found = b""
        try:
            while part := os.read(ours, 4096):
                found += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return found.decode()


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit):
        main([*args, "--help"])
    return capsys.readouterr().out


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out == shown(capsys)
    assert [name for name in COMMANDS if name not in out] == []


def test_the_help_of_score_shows_the_settings_of_the_method_only(capsys):
    flags = {
        method: set(re.findall(r"--[\w-]+", shown(capsys, "score", "--method", method)))
        for method in ("GEX", "IF", "AUM")
    }
    assert flags["GEX"] >= {"--chains", "--snapshots", "--lr", "--last-layer", "--label"}
    assert flags["IF"] >= {"--damping", "--last-layer", "--label"}
    assert not flags["IF"] & {"--chains", "--recorder", "--k", "--indices"}
    assert not flags["GEX"] & {"--damping", "--recorder", "--checkpoints", "--k"}
    assert flags["AUM"] >= {"--recorder", "--label"}
    assert not flags["AUM"] & {"--damping", "--chains", "--last-layer"}
    assert "--chains" in shown(capsys, "score")
    assert "--damping" in shown(capsys, "score", "--method=IF")


def test_a_terminal_gets_colours_unless_it_says_no():
    assert "\033[1mcommands\033[0m:" in in_terminal("--help")
    assert "\033[31;1mgexcore:\033[0m argument COMMAND" in in_terminal("scroe")
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\033" not in in_terminal("--help", **plain)
        assert "\033" not in in_terminal("scroe", **plain)


def test_a_file_gets_no_colours():
    done = subprocess.run([*GEXCORE, "scroe"], capture_output=True, text=True)
    assert done.stderr.startswith("gexcore: argument")


COMPLETE = """
source {script}
COMP_WORDS=(gexcore {words}) COMP_CWORD={at}
_shtab_gexcore
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sc",), "score"),
        (("score", "--snap"), "--snapshots"),
        (("score", "--damp"), "--damping"),
        (("clean", "--rel"), "--relabel"),
        (("backends", "--nothing"), ""),
    ],
)
def test_bash_completes(tmp_path: Path, capsys, words, told):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    command = COMPLETE.format(script=script, words=" ".join(words), at=len(words))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script(capsys, shell):
    assert main(["completion", shell]) == 0
    assert "snapshots" in capsys.readouterr().out


def test_a_file_gets_lines_of_progress(capsys, monkeypatch):
    monkeypatch.setattr(gexcore.progress, "SECONDS", 0.0)
    with progress_bar(3, title="GEX", show=True) as bar:
        bar.advance("skill 0.9")
        bar.advance("", 2)
    assert capsys.readouterr().err == "GEX: snapshot 1 of 3, skill 0.9\nGEX: snapshot 3 of 3\n"


def test_lines_of_progress_are_few(capsys):
    with progress_bar(1000, title="GEX", show=True) as bar:
        for _ in range(1000):
            bar.advance("")
    with progress_bar(1000, title="GEX", show=False) as bar:
        bar.advance("")
    assert capsys.readouterr().err == ""


def loaded_by(*args: str) -> set[str]:
    script = (
        "import atexit, sys; from gexcore.cli import main; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, *args]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())


@pytest.mark.parametrize("args", [(), ("--help",), ("--version",)])
def test_help_loads_neither_a_framework_nor_numpy(args):
    heavy = {"numpy", "torch", "jax", "tensorflow", "sklearn", "pandas", "matplotlib"}
    assert not loaded_by(*args) & heavy


def test_the_list_of_methods_loads_numpy():  # so what the test above looks for can be found
    assert "numpy" in loaded_by("methods")
