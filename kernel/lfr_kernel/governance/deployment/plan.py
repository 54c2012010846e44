"""What a profile would run, as far as an authority has to say yes to it, and every way in which it may not."""

from __future__ import annotations

import hashlib
from pathlib import Path  # noqa: TC003  (msgspec resolves the annotations)
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from lfr_kernel.governance.alerts.handling import handling_of
from lfr_kernel.governance.authority import verify_authority, verify_extension
from lfr_kernel.governance.deployment.register import authorised, document_of, extended, find
from lfr_kernel.governance.deployment.statements import Authorisation, Head
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.instant import nanoseconds
from lfr_kernel.governance.lists.acts import expect_signed_pack, recorded
from lfr_kernel.governance.rules import LoadedPack, verify_runnable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.authority import Authority, LoadedAuthority
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.lists.acts import Recorded
    from lfr_kernel.governance.lists.file import ListFile
    from lfr_kernel.governance.rules import Pack
    from lfr_kernel.governance.vault import Vault

__all__ = ["Plan", "StartMode", "authorise", "expect_authorised", "extend", "refuse", "verify_list", "verify_pack"]

StartMode = Literal["sealed", "operator-unlock"]
HOUR_NS = 3_600 * 10**9


class Plan(Struct, frozen=True, kw_only=True):
    """What would run."""

    profile: str
    profile_digest: str
    """SHA-256 of the file: what is authorised is every setting in it."""
    threshold: float
    cameras: tuple[str, ...]
    loaded: LoadedPack
    """With its digest as signed, and the profile's stricter values in it."""
    list: Path
    start: StartMode
    has_report: bool
    """Whether the profile cites an evaluation report."""

    @property
    def pack(self) -> Pack:
        """The rules."""
        return self.loaded.pack


def refuse(what: str, problems: list[str]) -> None:
    """Raise RefusedError with all problems, if there are any."""
    if len(problems) == 1:
        raise RefusedError(f"{what}: {problems[0]}")
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise RefusedError(f"{what}: {len(problems)} reasons\n{lines}")


def verify_pack(vault: Vault, plan: Plan) -> None:
    """Refuse a pack that is to be completed, or that the organisation of this vault has not signed.

    Raises:
        PackError: it is to be completed.
        RefusedError: it was not signed, or was changed since.
    """
    verify_runnable(plan.loaded)
    expect_signed_pack(vault, plan.loaded)


def verify_list(listed: ListFile, done: Recorded, pack: Pack, pack_digest: str, now_ns: int) -> Iterator[str]:
    """Yield every way in which a sealed list breaks the pack now. Its signatures were verified before.

    Args:
        listed: the list.
        done: which of its reviews and samples count, and what these found.
        pack: of the profile.
        pack_digest: of the pack's file.
        now_ns: UTC.
    """
    header, rules = listed.header, pack.rules
    facts, counts = header.facts, header.counts
    if facts.pack_digest != pack_digest:
        built = f"{facts.pack} ({facts.pack_digest[:8]}…)"
        yield f"it was built by pack {built}, the profile's is {pack.name} ({pack_digest[:8]}…): build it again"
    if header.rows > rules.max_entries:
        yield f"expected {rules.max_entries} entries at most (max_entries of pack {pack.name}), got {header.rows}"
    age_h = (now_ns - nanoseconds(facts.made)) / HOUR_NS
    if age_h > rules.build_max_age_h:
        yield (
            f"it was built {age_h:.1f} h ago, expected {rules.build_max_age_h:.6g} h at most (build_max_age_h of pack "
            f"{pack.name}): build it again"
        )
    reviews = [nanoseconds(one.at) for one in done.reviews]
    if not reviews:
        yield "nobody has reviewed it: another person than its builder has to (lfr-kernel watchlist review)"
    elif (age_h := (now_ns - max(reviews)) / HOUR_NS) > rules.review_max_age_h:
        yield (
            f"it was reviewed {age_h:.1f} h ago, expected {rules.review_max_age_h:.6g} h at most (review_max_age_h of "
            f"pack {pack.name}): review it again"
        )
    checked, needed = max((one.n for one in done.samples), default=0), min(rules.min_sample, header.rows)
    if checked < needed:
        yield (
            f"expected a dip sample of {needed} entries (min_sample of pack {pack.name}), got {checked}: "
            f"lfr-kernel watchlist sample --n {needed}"
        )
    if done.wrong:
        found = ", ".join(f"{entry} {code}" for entry, code in done.wrong.items())
        yield (
            f"a dip sample found something wrong with {len(done.wrong)} of its entries ({found}): build it again "
            "without them, or with what was wrong put right, and have that one sampled and reviewed"
        )
    if counts.latest_expiry is not None and nanoseconds(counts.latest_expiry) <= now_ns:
        yield "all of its entries have expired: build it again"


def authorise(vault: Vault, signer: Signer, loaded: LoadedAuthority, plan: Plan, listed: ListFile) -> Deployment:
    """Sign an authority together with the digests of pack, profile and watchlist, and give the deployment its number.

    Raises:
        PackError: the pack is to be completed.
        RefusedError: the authority, the list or the signer breaks the pack, or the list does not fit the authority; the
            text has every reason.
        AuthorityError: an authority of this id was there before.
    """
    vault.may("authorised", signer)
    verify_pack(vault, plan)
    authority, now = loaded.authority, vault.clocks()
    problems = verify_authority(authority, plan.pack, threshold=plan.threshold, cameras=plan.cameras, now_ns=now.utc_ns)
    refuse(f"authority {authority.id}", problems)
    problems = [
        *verify_list(listed, recorded(vault, listed), plan.pack, plan.loaded.digest, now.utc_ns),
        *_of_categories(authority, listed),
    ]
    refuse(f"watchlist {plan.list}", problems)
    draft = Authorisation(
        serial=0,
        installation="",
        authority=authority.id,
        document=hashlib.sha256(loaded.text.encode()).hexdigest(),
        pack=plan.pack.name,
        pack_digest=plan.loaded.digest,
        profile=plan.profile,
        profile_digest=plan.profile_digest,
        list=listed.header.id,
        root=listed.header.root,
        entries=listed.header.rows,
        handling=handling_of(plan.pack.rules),
        after=Head(number=0, digest="0" * 64),
        by=signer.name,
        at="",
    )
    return authorised(vault, signer, draft, authority, loaded.text)


def extend(
    vault: Vault, signer: Signer, plan: Plan, serial: int, *, until_ns: int, reason: str, text: str
) -> Deployment:
    """Give an open deployment a later end, within what the pack allows.

    Raises:
        PackError: the pack is to be completed.
        RefusedError: the pack allows less, the profile is not the one that was authorised, or the signer may not.
        AuthorityError: it is not open, or would end earlier.
    """
    verify_pack(vault, plan)
    before = find(vault.database, serial)
    expect_authorised(plan, before)
    document = document_of(vault, before)
    problems = verify_extension(document, plan.pack, ends_ns=before.term.ends_ns, until_ns=until_ns)
    refuse(f"authority {before.authority}", problems)
    return extended(vault, signer, serial, ends_ns=until_ns, reason=reason, text=text)


def expect_authorised(plan: Plan, deployment: Deployment) -> None:
    """See that profile and pack are those that an authority was signed for.

    Raises:
        RefusedError: they are others.
    """
    signed = deployment.authorisation
    if (signed.profile_digest, signed.pack_digest) != (plan.profile_digest, plan.loaded.digest):
        raise RefusedError(
            f"profile {plan.profile} with pack {plan.pack.name} is not what authority {deployment.authority} is for: "
            f"expected SHA-256 {signed.profile_digest} and {signed.pack_digest}, got {plan.profile_digest} and "
            f"{plan.loaded.digest}"
        )


def _of_categories(authority: Authority, listed: ListFile) -> Iterator[str]:
    for category, count in listed.header.counts.categories.items():
        if category not in authority.categories:
            yield (
                f"{count} of its entries are of category {category}, which authority {authority.id} does not name "
                f"(it names {', '.join(authority.categories)})"
            )
