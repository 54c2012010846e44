"""Retention by fixed durations."""

from __future__ import annotations

import msgspec
import pytest

from lfr_kernel.stages.retention import CEILINGS_S
from lfr_plugins.retention.config import DurationsConfig
from lfr_plugins.retention.durations import Durations


def test_each_class_has_its_own_duration() -> None:
    durations = Durations(DurationsConfig(alert_s=7_200.0, evidence_s=600.0))
    assert durations.seconds("alert") == 7_200.0
    assert durations.seconds("evidence") == 600.0


def test_an_unknown_class_is_never_given_a_duration() -> None:
    with pytest.raises(AssertionError, match="unmatched"):
        Durations(DurationsConfig()).seconds("unmatched")  # type: ignore[arg-type]


@pytest.mark.parametrize(("setting", "record_class"), [("alert_s", "alert"), ("evidence_s", "evidence")])
def test_the_bounds_are_the_kernels_ceilings(setting: str, record_class: str) -> None:
    ceiling = CEILINGS_S[record_class]  # type: ignore[index]
    longest = msgspec.convert({setting: ceiling}, DurationsConfig)
    assert getattr(longest, setting) == ceiling
    for outside in (59.9, ceiling + 1):
        with pytest.raises(msgspec.ValidationError, match=rf"\$\.{setting}"):
            msgspec.convert({setting: outside}, DurationsConfig)


def test_the_defaults_are_shorter_than_the_ceilings() -> None:
    default = Durations(DurationsConfig())
    assert default.seconds("alert") == 24 * 3_600
    assert default.seconds("evidence") == 3_600


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unmatched_s"):
        msgspec.convert({"unmatched_s": 60}, DurationsConfig)
