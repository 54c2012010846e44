"""The command line: one file per command; plugins add more through the command stage."""

from lfr_kernel.cli.app import main
from lfr_kernel.cli.script import script

__all__ = ["main", "script"]
