"""docs/watchlists.md names every column, every verdict and every finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from lfr_kernel.governance.lists.manifest import COLUMNS
from lfr_kernel.governance.lists.sampling import ANSWERS
from lfr_kernel.stages.quality import GATES

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "watchlists.md").read_text(encoding="utf-8")
CODES = ("excluded", "invalid", "too_old", "unreadable", "no_face", "several_faces", "duplicate", "self_outlier")


@pytest.mark.parametrize(
    "name", [*COLUMNS, *CODES, *GATES, "clash", "questioned", *(code for code, _ in ANSWERS.values())]
)
def test_it_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT
