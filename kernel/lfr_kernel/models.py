"""What a session knows of its models: which plugin, which weights, on what they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfr_kernel.plugins import PluginError
from lfr_kernel.runtime import PermanentError
from lfr_kernel.telemetry.summary import ModelSummary

if TYPE_CHECKING:
    from lfr_kernel.plugins import Installed

__all__ = ["SHOWN_DIGITS", "describe_model", "expect_same_model"]

SHOWN_DIGITS = 12
"""Of a model's digest, in log lines and messages."""


def describe_model(model: Any, installed: Installed) -> ModelSummary:
    """Return what a detector or an embedder says of itself.

    Raises:
        PluginError: it does not say what its contract asks for.
    """
    plugin = installed.plugin
    try:
        return ModelSummary(plugin=plugin.name, digest=model.digest, device=model.device)
    except AttributeError as error:
        raise PluginError(
            f"{plugin.stage} plugin {plugin.name!r} of {installed.origin} does not keep its contract: {error}; install "
            "a version of it that does (lfr_kernel.testing.conformance checks it)"
        ) from error


def expect_same_model(before: ModelSummary, now: ModelSummary, stage: str) -> None:
    """See that a restart came back with the model that the watchlist was made with.

    Raises:
        PermanentError: it is another one.
    """
    if now.digest != before.digest:
        raise PermanentError(
            f"the {stage}'s model changed during the run: it was {before.digest[:SHOWN_DIGITS]}… and is "
            f"{now.digest[:SHOWN_DIGITS]}… after a restart; run again, so that the watchlist is made with the new one"
        )
