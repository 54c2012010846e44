"""A list to try things with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from governance.lists.support import a_list, a_row

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.lists.file import ListFile


@pytest.fixture
def made(tmp_path: Path) -> ListFile:
    """A list of four rows."""
    rows = [a_row("ada", 1), a_row("ada", 2), a_row("bob", 3, under_18=True, category="missing"), a_row("cy", 4)]
    return a_list(tmp_path / "spring.lfrlist", rows)
