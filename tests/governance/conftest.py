"""What the tests of governance share."""

from __future__ import annotations

import pytest

from lfr_kernel.governance.keys import sealing

CHEAP_N = 2**4


@pytest.fixture
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make passphrases cheap: the product's cost is a third of a second each."""
    monkeypatch.setattr(sealing, "SCRYPT_N", CHEAP_N)
