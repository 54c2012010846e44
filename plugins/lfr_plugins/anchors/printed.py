"""The anchor sink `print`: the line on stderr, and as a QR code for whoever photographs the screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lfr_kernel.api import PassingError, qr_of

if TYPE_CHECKING:
    from lfr_plugins.anchors.config import PrintAnchorConfig

__all__ = ["PrintedAnchors"]


class PrintedAnchors:
    """Prints; that somebody wrote it down is for the operator to see to."""

    def __init__(self, config: PrintAnchorConfig) -> None:
        self._qr = config.qr

    def deliver(self, line: str) -> None:
        """Print one anchor.

        Raises:
            PassingError: stderr is closed.
        """
        try:
            sys.stderr.write(f"{line}\n{qr_of(line) if self._qr else ''}")
            sys.stderr.flush()
        except (OSError, ValueError) as error:
            raise PassingError(f"cannot print anchors, stderr is gone ({error}); use the sink file") from error
