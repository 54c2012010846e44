"""The command line: one file per command; plugins add more through the command stage."""

from lfr_kernel.cli.app import main

__all__ = ["main"]
