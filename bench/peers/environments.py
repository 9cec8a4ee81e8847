"""Builds one environment for each peer, since their requirements exclude each other.

    python -m bench.peers.environments FOLDER

What cannot be installed is left out, with a message; the study then says so in its table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

TORCH = "torch==2.13.0"
REQUIREMENTS = Path(__file__).with_name("requirements")


def build(name: str, folder: Path) -> None:
    """The environment of one peer."""
    python = folder / name / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    listed = REQUIREMENTS / f"{name}.txt"
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", TORCH, "-r", str(listed)], check=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for listed in sorted(REQUIREMENTS.glob("*.txt")):
        try:
            build(listed.stem, folder)
        except subprocess.CalledProcessError as error:
            print(f"{listed.stem} cannot be installed: {error}", file=sys.stderr)
        else:
            print(f"{listed.stem} is there", file=sys.stderr)


if __name__ == "__main__":
    main()
