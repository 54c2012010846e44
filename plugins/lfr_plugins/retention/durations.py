"""The built-in retention: one fixed duration a record class."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from lfr_kernel.api import RecordClass
    from lfr_plugins.retention.config import DurationsConfig

__all__ = ["Durations"]


class Durations:
    """Answers from its settings; the contract is `lfr_kernel.api.Retention`. Ceilings are the host's to hold."""

    def __init__(self, config: DurationsConfig) -> None:
        self._config = config

    def seconds(self, record_class: RecordClass) -> float:
        """Return how many seconds a record of this class lives."""
        match record_class:
            case "alert":
                return self._config.alert_s
            case "evidence":
                return self._config.evidence_s
            case _:
                assert_never(record_class)
