"""Opening a deployment: the permit first, then the list, with its key under a key of this deployment alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.audit.anchors import anchor
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.authority import verify_authority
from lfr_kernel.governance.deployment.binding import verify_signed
from lfr_kernel.governance.deployment.clockwork import hold_purges, is_held, known_time, note_time
from lfr_kernel.governance.deployment.custody import Taken, expect_unlocking, keep_key, take_key
from lfr_kernel.governance.deployment.plan import refuse, verify_list, verify_pack
from lfr_kernel.governance.deployment.register import deployments, document_of, find, save, withdrawn
from lfr_kernel.governance.deployment.thresholds import threshold_of, thresholds_of
from lfr_kernel.governance.deployment.wiping import commitments_of, folder_of, remove_source
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.instant import remember
from lfr_kernel.governance.keys.files import sync_folder
from lfr_kernel.governance.keys.sealing import KEY_BYTES, unwrap, wrap
from lfr_kernel.governance.lists.acts import recorded, verify_people
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.lists.opened import OpenedList, open_rows
from lfr_kernel.governance.people.statements import moment
from lfr_kernel.governance.permit import Permit, PermitRefusedError
from lfr_kernel.governance.standing import Event, Stage, Standing, advance, stand, tied
from lfr_kernel.governance.tested import outside_tested
from lfr_kernel.memory import swap_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lfr_kernel.governance.basis import Coverage
    from lfr_kernel.governance.deployment.custody import Unlock
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.people.signer import SessionSigner
    from lfr_kernel.governance.vault import Vault
    from lfr_kernel.stages.camera import StillCodec

__all__ = ["Loaded", "Opener", "expect_opener", "list_of", "open_deployment", "permit_of", "permitted", "working_copy"]

WORKING_COPY = "list.lfrlist"
WITHDRAWALS = """SELECT json_extract(body, '$.facts.entry') FROM entries
WHERE act IN ('entry_recalled', 'entry_expired')
AND json_extract(body, '$.facts.deployment') IN (SELECT value FROM json_each(?))"""


class Opener(Struct, frozen=True, kw_only=True):
    """Who is there to open a deployment."""

    operator: Callable[[], SessionSigner]
    """Returns the session of an operator, or refuses: asked to open it first, and to go on where the key waits for one;
    both before models are loaded and after."""
    unlock: Unlock | None
    """Needed to go on with one whose key waits for an operator."""


class Loaded(Struct, frozen=True, kw_only=True):
    """What was loaded for a run, and what it is to be held against."""

    threshold: float
    """In force."""
    detector: str | None
    """SHA-256 of the detector's weights."""
    cited: Coverage | None
    """What the cited report covers."""


def permitted(vault: Vault, plan: Plan, paces: Mapping[str, str], *, swap: tuple[str, ...] | None = None) -> Deployment:
    """Return the deployment that may capture now, with exactly this profile and these cameras.

    Args:
        vault: the installation's; what is over in it was settled before.
        plan: what would run.
        paces: `live`, `realtime` or `unpaced` for each camera, by name.
        swap: what is wrong with the machine's swap; looked up if not given.

    Raises:
        PermitRefusedError: none may; the text says why, in words an operator can act on.
        PackError, RefusedError: the pack may not be used, or the profile breaks it.
    """
    verify_pack(vault, plan)
    refuse(f"profile {plan.profile}", [*_of_media(plan, paces), *_of_machine(plan, swap)])
    candidates = [one for one in deployments(vault.database) if one.stage in {Stage.AUTHORISED, Stage.OPEN}]
    fitting = [one for one in candidates if one.authorisation.profile_digest == plan.profile_digest]
    if not fitting:
        known = "; ".join(
            f"deployment {one.serial} (authority {one.authority}) is for profile {one.authorisation.profile} as it was "
            f"with SHA-256 {one.authorisation.profile_digest[:12]}…"
            for one in candidates
        )
        raise PermitRefusedError(
            f"no authority for this profile, SHA-256 {plan.profile_digest[:12]}…: {known or 'nothing is authorised'}; "
            "lfr-kernel authorise signs one, and a profile that was changed since takes another"
        )
    # One that is open goes before one that is yet to come.
    deployment = min(fitting, key=lambda one: (one.stage is not Stage.OPEN, one.term.starts_ns))
    _require_time(vault, plan, deployment)
    if deployment.authorisation.pack_digest != plan.loaded.digest:
        raise PermitRefusedError(
            f"authority {deployment.authority} was signed with rule pack {deployment.authorisation.pack_digest[:8]}…, "
            f"the profile's is {plan.loaded.digest[:8]}…: have it authorised again"
        )
    verify_signed(vault, deployment)
    document = document_of(vault, deployment)
    # Whether its time has come was judged above; an extension is not in the document.
    threshold = threshold_of(thresholds_of(vault, deployment), plan.threshold)
    problems = verify_authority(
        document, plan.pack, threshold=threshold, cameras=plan.cameras, now_ns=document.starts_ns
    )
    refuse(f"authority {deployment.authority}", problems)
    return deployment


def expect_opener(vault: Vault, deployment: Deployment, opener: Opener) -> None:
    """See that somebody is there who may open a deployment, or go on with it, before anything is loaded for it.

    Raises:
        KeyFileError, SealError: the key of one that is open is gone, or cannot be read.
        RefusedError: nobody is there, or they may not.
    """
    if deployment.stage is Stage.OPEN:
        expect_unlocking(vault, deployment, opener.operator, opener.unlock)
    else:
        _operator(vault, deployment, opener)


def _operator(vault: Vault, deployment: Deployment, opener: Opener) -> SessionSigner:
    operator = opener.operator()
    vault.may("deployment_opened", operator, deployment=deployment.serial)
    return operator


def _require_time(vault: Vault, plan: Plan, deployment: Deployment) -> None:
    now, last = vault.clocks(), known_time(vault.database)
    tolerance_s = plan.pack.rules.clock_tolerance_s
    standing = stand(deployment.term, now, last, tolerance_s=tolerance_s)
    if is_held(vault.database) and standing is Standing.IN_FORCE:
        standing = Standing.CLOCK_JUMPED
    if standing is Standing.CLOCK_JUMPED:
        with vault.database.transaction() as transaction:
            if hold_purges(transaction):
                vault.act(transaction, "clock_jumped", by=vault.signer, facts={"deployment": deployment.serial})
    texts = {
        Standing.NOT_YET: f"authority {deployment.authority} begins at {iso_of(deployment.term.starts_ns)[:16]}Z, and "
        f"it is {iso_of(now.utc_ns)[:16]}Z",
        Standing.ENDED: f"authority {deployment.authority} has ended",
        Standing.CLOCK_BEHIND: f"the clock says {iso_of(now.utc_ns)[:19]}Z, which is before the last audited time, "
        f"{iso_of(last.utc_ns if last else 0)[:19]}Z: set the clock right; if it is right, lfr-kernel authority "
        "confirm-clock",
        Standing.CLOCK_JUMPED: "the clock was set forward and nothing keeps it in step: capture and purges wait until "
        "somebody confirms it: lfr-kernel authority confirm-clock",
    }
    if standing is not Standing.IN_FORCE:
        raise PermitRefusedError(texts[standing])


def _of_media(plan: Plan, paces: Mapping[str, str]) -> list[str]:
    media = plan.pack.rules.media
    wrong = sorted(name for name, pace in paces.items() if (pace == "live") != (media == "live"))
    if not wrong:
        return []
    if media == "live":
        text = (
            f"{', '.join(wrong)} would play a recording, and pack {plan.pack.name} opens a list with live cameras "
            "only: searching recordings is another act, with an authority of its own, and this does not do it"
        )
        return [text]
    return [f"{', '.join(wrong)} would open a live camera, and pack {plan.pack.name} plays files only"]


def _of_machine(plan: Plan, swap: tuple[str, ...] | None) -> list[str]:
    rules, problems = plan.pack.rules, list[str]()
    if rules.refuse_unencrypted_swap:
        problems += swap_problems() if swap is None else swap
    if rules.require_report and not plan.has_report:
        problems.append(
            f"pack {plan.pack.name} asks for an evaluation report (require_report), and the profile cites none: see "
            "[basis]"
        )
    return problems


def working_copy(vault: Vault, deployment: Deployment) -> Path:
    """Return where the list of an open deployment lies, without its seal."""
    return folder_of(vault, deployment) / WORKING_COPY


def permit_of(deployment: Deployment, plan: Plan) -> Permit:
    """Return what every output says of this run."""
    # First, since a line that is too long is cut at its end.
    mark = f"{plan.pack.rules.mark}; " if plan.pack.rules.mark else ""
    return Permit(
        kind="authority",
        statement=f"{mark}{deployment.authority}, deployment {deployment.serial}, pack {plan.pack.name}",
    )


def list_of(vault: Vault, plan: Plan, deployment: Deployment) -> ListFile:
    """Return the list of a deployment as it lies there, sealed or not, its signatures verified.

    Raises:
        RefusedError: it is another list than the one that was authorised.
        ListFileError, SignatureError: it is not there, or not whole.
    """
    listed = ListFile.open(working_copy(vault, deployment) if deployment.stage is Stage.OPEN else plan.list)
    listed.verify_public()
    _require_cited(listed, deployment)
    return listed


def open_deployment(
    vault: Vault, plan: Plan, serial: int, opener: Opener, *, model: str, loaded: Loaded, stills: StillCodec
) -> OpenedList:
    """Open the list of a deployment, or go on with it.

    At the first opening the data key is unsealed with the installation's key and wrapped under a random key of this
    deployment; a working copy without the seal is made, and the sealed list is removed: from then on the list can be
    read for as long as the deployment's key is there, and not a moment longer.

    Args:
        vault: the installation's.
        plan: what runs.
        serial: of a deployment that `permitted` returned.
        opener: who is there.
        model: SHA-256 of the embedder's weights.
        loaded: what else was loaded.
        stills: packs and unpacks portraits.

    Raises:
        RefusedError: the list breaks the pack, is not the one that was authorised, or nobody is there who may open it;
            or the pack demands a report, and this is outside of what was tested.
        PermitRefusedError, AuthorityError: it was ended meanwhile.
        ListFileError, SealError, SignatureError: the list is not whole, or not for this installation.
        AuditError: the database cannot be written.
    """
    deployment = find(vault.database, serial)
    _require_time(vault, plan, deployment)  # again: models were loaded meanwhile
    if deployment.stage is Stage.AUTHORISED:
        taken = Taken(key=_first_opening(vault, plan, deployment, opener, model=model, loaded=loaded), by=None)
    elif deployment.stage is Stage.OPEN:
        taken = take_key(vault, deployment, opener.operator, opener.unlock)
    else:
        raise PermitRefusedError(f"authority {deployment.authority} was ended meanwhile: its list is gone, or going")
    listed = ListFile.open(working_copy(vault, deployment))
    listed.verify_public()
    _require_cited(listed, deployment)
    listed.expect_model(model)
    _expect_tested(listed, plan, loaded, model)
    ((wrapped,),) = vault.database.query("SELECT key FROM deployments WHERE serial = ?", (serial,))
    data_key = unwrap(taken.key, wrapped, _purpose(deployment))
    remove_source(deployment)
    last, tolerance_s = known_time(vault.database), plan.pack.rules.clock_tolerance_s
    opened = open_rows(
        listed,
        data_key,
        model=model,
        # A clock that was set back makes no entry live longer.
        now=moment(remember(last, vault.clocks(), tolerance_s=tolerance_s).utc_ns),
        recalled=_withdrawn(vault, deployment),
        stills=stills,
    )
    try:
        _note_start(vault, plan, deployment, taken.by, loaded)
    except BaseException:
        opened.erase()
        raise
    return opened


def _expect_tested(listed: ListFile, plan: Plan, loaded: Loaded, model: str) -> None:
    """Refuse what leaves the tested range, where the pack demands a report."""
    reasons = outside_tested(
        loaded.cited,
        plan.pack,
        threshold=loaded.threshold,
        detector=loaded.detector,
        embedder=model,
        listed=listed.header.counts.people,
    )
    refuse(f"profile {plan.profile} leaves what was tested", list(reasons))


def _withdrawn(vault: Vault, deployment: Deployment) -> set[str]:
    """Return the entries that were ever taken off a list: who is deleted from the register stays off by the chain."""
    serials = [one.serial for one in deployments(vault.database) if one.list == deployment.list]
    acts = vault.database.query(WITHDRAWALS, (msgspec.json.encode(serials).decode(),))
    return {*withdrawn(vault.database, deployment.list), *(entry for (entry,) in acts)}


def _first_opening(
    vault: Vault, plan: Plan, deployment: Deployment, opener: Opener, *, model: str, loaded: Loaded
) -> bytes:
    operator, now = _operator(vault, deployment, opener), vault.clocks()
    sealed = ListFile.open(plan.list)
    sealed.verify_public()
    verify_people(vault, sealed)
    _require_cited(sealed, deployment)
    sealed.expect_model(model)
    _expect_tested(sealed, plan, loaded, model)  # before it is unsealed, and its file removed
    refuse(
        f"watchlist {plan.list}",
        list(verify_list(sealed, recorded(vault, sealed), plan.pack, plan.loaded.digest, now.utc_ns)),
    )
    data_key = sealed.open_key(vault.open_sealed_key())
    key = os.urandom(KEY_BYTES)
    keep_key(vault, deployment, key, plan.start)
    folder = folder_of(vault, deployment)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sealed.without_seal(working_copy(vault, deployment))
    sync_folder(folder.parent)
    commitments = msgspec.json.encode(commitments_of(key, sealed.leaves))
    with vault.database.transaction() as transaction:
        # Read anew: somebody may have closed it while the list was verified.
        found = find(vault.database, deployment.serial)
        stage = advance(found.stage, Event.OPEN, authority=found.authority)
        opened = structs.replace(found, stage=stage, opened_ns=now.utc_ns, source=str(plan.list.absolute()))
        save(transaction, opened)
        transaction.execute(
            "UPDATE deployments SET key = ?, commitments = ? WHERE serial = ?",
            (wrap(key, data_key, _purpose(deployment)), commitments, deployment.serial),
        )
        facts = {
            "deployment": deployment.serial,
            "list": deployment.list,
            "root": deployment.root,
            "start": plan.start,
            "model": model,
            # What the record says of the list once nothing is left of it.
            "counts": msgspec.to_builtins(sealed.header.counts),
        }
        vault.act(transaction, "deployment_opened", by=operator, facts=facts, deployment=deployment.serial)
        anchor(transaction, vault.keyring, vault.installation.installation)
    # What was saved knows where the list came from; so does the removal that follows it.
    remove_source(opened)
    return key


def _note_start(
    vault: Vault, plan: Plan, deployment: Deployment, unlocked_by: SessionSigner | None, loaded: Loaded
) -> None:
    now = vault.clocks()
    with vault.database.transaction() as transaction:
        found = find(vault.database, deployment.serial)
        if found.stage is not Stage.OPEN:
            raise PermitRefusedError(f"authority {found.authority} was ended meanwhile: its list is gone, or going")
        save(transaction, structs.replace(found, is_capturing=True, term=tied(found.term, now)))
        note_time(transaction, known_time(vault.database), now, tolerance_s=plan.pack.rules.clock_tolerance_s)
        facts = {
            "deployment": deployment.serial,
            "cameras": plan.cameras,
            "threshold": loaded.threshold,
            "detector": loaded.detector,
            "after_crash": found.is_capturing,
        }
        if unlocked_by is not None:
            of = {"deployment": deployment.serial}
            vault.act(transaction, "deployment_unlocked", by=unlocked_by, facts=of, deployment=deployment.serial)
        vault.act(transaction, "capture_started", by=vault.signer, facts=facts)


def _require_cited(listed: ListFile, deployment: Deployment) -> None:
    found = (listed.header.id, listed.header.root)
    if found != (deployment.list, deployment.root):
        raise RefusedError(
            f"watchlist {listed.path} is list {found[0]}, and authority {deployment.authority} was signed for list "
            f"{deployment.list}: put that one there, or have this one authorised"
        )


def _purpose(deployment: Deployment) -> bytes:
    return f"lfr-deployment-1 data key of {deployment.list} in {deployment.serial}".encode()
