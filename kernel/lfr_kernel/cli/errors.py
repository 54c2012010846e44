"""How the command line reports an error: one clear text on stderr, and an exit code."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from lfr_kernel.citation import CitationError
from lfr_kernel.governance.document import DocumentError
from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError, SignatureError
from lfr_kernel.governance.lists.framing import ListFileError
from lfr_kernel.governance.lists.manifest import ManifestError
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.plugins import PluginError
from lfr_kernel.profile import ProfileError
from lfr_kernel.redaction import Redactor
from lfr_kernel.runtime import LfrError, describe
from lfr_kernel.wiring import WiringError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["exit_code", "report", "text_of"]

WRONG_OR_REFUSED = (
    CitationError,
    DocumentError,
    KeyFileError,
    ListFileError,
    ManifestError,
    PermitRefusedError,
    PluginError,
    ProfileError,
    RefusedError,
    SealError,
    SignatureError,
    WiringError,
)


def report(error: Exception, redact: Callable[[str], str] | None = None, *, debug: bool = False) -> int:
    """Print `error` on stderr without its secrets and return the exit code it deserves.

    Args:
        error: what went wrong.
        redact: masks secrets; without one, those that URLs show by themselves are masked.
        debug: whether to print the traceback, too.
    """
    redact = redact or Redactor()
    console = Console(stderr=True, highlight=False)
    if debug:
        console.print(Text(redact("".join(traceback.format_exception(error)))), soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), redact(text_of(error))), soft_wrap=True)
    if not isinstance(error, LfrError) and not debug:
        console.print("this is not an error we expected: run again with --debug and report what it prints")
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """Return 2 for a mistake in what was asked for, 1 for a failure."""
    return 2 if isinstance(error, WRONG_OR_REFUSED) else 1


def text_of(error: Exception) -> str:
    """Return what a person reads of `error`: our own texts as they are, others with the type in front."""
    return str(error) if isinstance(error, LfrError) and str(error) else describe(error)
