"""What the organisation signs of a rule pack: its digest, and what it says of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.people.statements import PackDigest
from lfr_kernel.governance.rules import load_pack, verify_runnable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_pack"]


def read_pack(reference: str, *, here: Path | None = None) -> PackDigest:
    """Read a rule pack that is fit to be signed. Blocks on the file.

    Args:
        reference: name of a built-in pack, or the path of a TOML file.
        here: the folder that a relative path starts from; the current one if not given.

    Raises:
        PackError: there is no such pack, it has mistakes, or it is a template that nobody has completed.
    """
    loaded = load_pack(reference, here=here)
    verify_runnable(loaded)
    rules = loaded.pack.rules
    return PackDigest(
        name=loaded.pack.name,
        digest=loaded.digest,
        separate_roles=rules.separate_roles,
        session_idle_min=rules.session_idle_min,
        session_max_h=rules.session_max_h,
    )
