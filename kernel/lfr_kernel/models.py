"""The models of a session: which plugin, which weights, on what they run; made once, and handed over to their hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from lfr_kernel.plugins import PluginError
from lfr_kernel.runtime import LfrError, PermanentError
from lfr_kernel.stages.detector import LOAD_S
from lfr_kernel.telemetry.summary import ModelSummary

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.plugins import Installed, Registry
    from lfr_kernel.runtime import Lane

__all__ = ["SHOWN_DIGITS", "Models", "describe_model", "expect_same_model"]

T = TypeVar("T")

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


class Models:
    """Detector and embedder of one session. What was made and has not been handed over is closed with this."""

    def __init__(self, create: Callable[[str, Any], Any], registry: Registry, log: Callable[..., None]) -> None:
        """Hold nothing yet.

        Args:
            create: makes the plugin of a stage by its section of the profile; blocks.
            registry: the plugins that are installed.
            log: told of each model that was loaded.
        """
        self.loaded: dict[str, ModelSummary] = {}
        """By stage."""
        self._create = create
        self._registry = registry
        self._log = log
        self._held: list[Any] = []

    async def load(self, lane: Lane, stage: str, section: Any) -> Any:
        """Create the model of a stage on a lane.

        Raises:
            PluginError: it does not say what its contract asks for.
        """
        model = await lane.run(self._create, stage, section, deadline_s=LOAD_S, discard=_close)
        self._held.append(model)
        self._loaded(stage, describe_model(model, self._registry.origin(stage, section.plugin)))
        return model

    def _loaded(self, stage: str, model: ModelSummary) -> None:
        self.loaded[stage] = model
        self._log(
            "model_loaded", stage=stage, plugin=model.plugin, model=model.digest[:SHOWN_DIGITS], device=model.device
        )

    def handed_over(self, model: T, stage: str, section: Any) -> Callable[[], T]:
        """Return what creates a model for its host: the first time, the one that made the watchlist."""

        def create() -> T:
            if model in self._held:
                self._held.remove(model)
                return model
            anew = self._create(stage, section)
            try:
                described = describe_model(anew, self._registry.origin(stage, section.plugin))
                expect_same_model(self.loaded[stage], described, stage)
            except LfrError:
                anew.close()
                raise
            self._loaded(stage, described)
            return cast("T", anew)

        return create

    def close(self) -> None:
        """Close what no host has taken over."""
        for model in self._held:
            model.close()


def _close(model: Any) -> None:
    model.close()
