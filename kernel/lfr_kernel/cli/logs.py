"""Log lines: structlog on stderr, for people on a terminal and as JSON elsewhere, with secrets masked."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.redaction import Redactor

__all__ = ["configure_logs"]

DEBUG, INFO = 10, 20
GOOD_NEWS = frozenset({"conditions_inside", "model_loaded", "records_destroyed", "started", "stopping"})


def configure_logs(redactor: Redactor, *, debug: bool) -> Callable[..., None]:
    """Set structlog up for this process and return `log(event, **facts)`.

    Facts named `exc` are exceptions: their tracebacks are shown with --debug only.
    """
    is_terminal = sys.stderr.isatty()
    renderer: Any = structlog.processors.JSONRenderer()
    if is_terminal:
        renderer = structlog.dev.ConsoleRenderer(
            colors=not os.environ.get("NO_COLOR"), exception_formatter=structlog.dev.plain_traceback
        )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_terminal else "iso", utc=not is_terminal),
        structlog.processors.format_exc_info,
        redactor.processor,
        renderer,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG if debug else INFO),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=False,
    )
    logger = structlog.get_logger()

    def log(event: str, *, exc: BaseException | None = None, **facts: Any) -> None:
        is_good_news = event in GOOD_NEWS or (event == "threshold_basis" and facts["state"] == "covered")
        write = logger.info if is_good_news else logger.warning
        write(event, **facts, **({"exc_info": exc} if debug and exc is not None else {}))

    return log


def _stderr_logger(*_: Any) -> structlog.PrintLogger:
    # Looked up at each line: a live status line takes stderr over while it is shown.
    return structlog.PrintLogger(sys.stderr)
