"""From a profile with a permit of `authority` to the plan that an authority is signed for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from lfr_kernel.governance.deployment.plan import Plan
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.rules import load_pack, tightened
from lfr_kernel.profile import decode_profile, parse_profile

if TYPE_CHECKING:
    from lfr_kernel.governance.rules import LoadedPack
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import Profile
    from lfr_kernel.sections import GovernanceSection

__all__ = ["governance_of", "pack_of", "plan_of", "vault_of"]


def governance_of(profile: Profile) -> GovernanceSection:
    """Return the section `[governance]`.

    Raises:
        RefusedError: the profile has another permit.
    """
    if profile.governance is None:
        raise RefusedError(
            f'profile {profile.name} has permit = "{profile.permit}": expected one with permit = "authority" and a '
            "section [governance]"
        )
    return profile.governance


def vault_of(profile: Profile) -> Path:
    """Return the folder of the vault that a profile names. Raises as `governance_of` does."""
    return Path(governance_of(profile).vault).expanduser()


def pack_of(profile: Profile) -> LoadedPack:
    """Return the pack that a profile names, with the profile's stricter values, under the digest of the pack's file.

    Raises:
        PackError: there is no such pack, it has mistakes, or the profile is less strict.
        RefusedError: the profile names none.
    """
    section = governance_of(profile)
    loaded = load_pack(section.pack)
    return structs.replace(loaded, pack=tightened(loaded.pack, section.stricter)) if section.stricter else loaded


def plan_of(profile: Profile, path: Path, registry: Registry) -> Plan:
    """Return what a profile would run.

    Args:
        profile: as it was loaded.
        path: of its file, whose digest is signed. What `${env:NAME}` puts into it is not part of that.
        registry: the plugins that it was loaded with.

    Raises:
        PackError, RefusedError: see `pack_of`; or the file is not what was loaded any more.
        ProfileError: it is no profile any more.
    """
    section = governance_of(profile)
    content = path.read_bytes()
    # What runs has to be what is digested, so these very bytes are read again.
    data = decode_profile(content, str(path))
    again, _ = parse_profile(data, registry, source=str(path), here=path.resolve().parent)
    if again != profile:
        raise RefusedError(f"{path} was changed while it was read: start again")
    return Plan(
        profile=profile.name,
        profile_digest=hashlib.sha256(content).hexdigest(),
        threshold=profile.watchlist.threshold,
        cameras=tuple(camera.name for camera in profile.cameras),
        loaded=pack_of(profile),
        list=Path(profile.watchlist.file or "").expanduser(),
        start=section.start,
        has_report=profile.basis.report is not None,
    )
