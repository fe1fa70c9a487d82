"""The console that commands print tables to; it knows no table."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 160


def open_console() -> Console:
    """A terminal's own width; 160 columns when piped, where rich would cut tables at 80. `COLUMNS` overrides both."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(highlight=False, markup=False, width=wide)
