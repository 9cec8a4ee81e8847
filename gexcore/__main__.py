"""`python -m gexcore` is the command `gexcore`."""

from __future__ import annotations

import sys

from gexcore.cli import main

sys.exit(main())
