"""What the tests of governance share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from governance.vaults import PACK, PEOPLE, Clocks, Force
from lfr_kernel.governance.keys import sealing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from lfr_kernel.governance.people.statements import PackDigest
    from lfr_kernel.governance.vault import Vault

CHEAP_N = 2**4


@pytest.fixture
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make passphrases cheap: the product's cost is a third of a second each."""
    monkeypatch.setattr(sealing, "SCRYPT_N", CHEAP_N)


class FoundVault(Protocol):
    """Founds a vault in a folder of its own, and returns it open, with the force that it is of."""

    def __call__(
        self,
        people: Mapping[str, Iterable[str]] = PEOPLE,
        *,
        packs: Iterable[PackDigest] = (PACK,),
        clocks: Clocks | None = None,
    ) -> tuple[Vault, Force]: ...


@pytest.fixture
def found_vault(tmp_path: Path) -> Iterator[FoundVault]:
    """Return how vaults are founded; they are closed after the test."""
    made: list[Vault] = []

    def found(
        people: Mapping[str, Iterable[str]] = PEOPLE,
        *,
        packs: Iterable[PackDigest] = (PACK,),
        clocks: Clocks | None = None,
    ) -> tuple[Vault, Force]:
        force = Force(people, packs, clocks or Clocks())
        made.append(force.open(force.found(tmp_path / f"vault-{len(made)}")))
        return made[-1], force

    yield found
    for vault in made:
        vault.close()
