"""Sessions that somebody puts back, lends to another deployment, or makes up: they sign nothing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
import pytest

from governance.vaults import NOON
from lfr_kernel.governance.audit.export import export
from lfr_kernel.governance.audit.verifier import verify as verify_log
from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.installation import update_installation
from lfr_kernel.governance.keys.signing import sign
from lfr_kernel.governance.people.sessions import end_session, hand_over, open_session, show_sessions
from lfr_kernel.governance.people.statements import SessionCertificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from governance.conftest import FoundVault
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.vault import Vault


def do(vault: Vault, act: str, by: Signer, deployment: int | None = None) -> None:
    with vault.database.transaction() as transaction:
        vault.act(transaction, act, by=by, deployment=deployment)


def acts_of(vault: Vault) -> list[str]:
    return [msgspec.json.decode(entry.body)["act"] for entry in vault.database.entries()]


def copied(vault: Vault) -> Callable[[], None]:
    """Copy the sessions; return how the copy is put back."""
    kept = {path: path.read_bytes() for path in (vault.folder / "sessions").iterdir()}
    assert len(kept) == 2

    def put_back() -> None:
        for path, content in kept.items():
            path.write_bytes(content)
            path.chmod(0o600)

    return put_back


PUT_BACK = "the session of dee was ended, and its key put back: lfr-kernel session start --as dee --key FILE"


def test_a_session_that_is_put_back_after_its_end_signs_nothing_and_is_destroyed(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee")
    put_back = copied(vault)
    end_session(vault, "dee")
    put_back()
    # Neither does a process that had opened it before.
    with pytest.raises(RefusedError, match="the session of dee was ended meanwhile: nothing more is signed with it"):
        do(vault, "deployment_opened", dee)
    with pytest.raises(RefusedError, match=PUT_BACK):
        open_session(vault, "dee")
    assert list((vault.folder / "sessions").iterdir()) == []
    assert acts_of(vault) == ["founded", "session_started", "session_ended"]


def test_a_session_that_is_put_back_is_not_ended_again_and_shown_as_what_it_is(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    put_back = copied(vault)
    end_session(vault, "dee")
    put_back()
    (shown,) = show_sessions(vault)
    assert shown.locked == PUT_BACK
    assert vault.shifts.names() == []
    put_back()
    with pytest.raises(RefusedError, match=PUT_BACK):
        end_session(vault, "dee")
    assert acts_of(vault) == ["founded", "session_started", "session_ended"]


def test_so_with_one_that_was_handed_over(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    force.session(vault, "dee")
    put_back = copied(vault)
    hand_over(vault, "dee", force.people["cem"])
    put_back()
    with pytest.raises(RefusedError, match=PUT_BACK):
        open_session(vault, "dee")
    do(vault, "list_reviewed", open_session(vault, "cem"))
    do(vault, "deployment_opened", force.session(vault, "dee"))


@pytest.mark.parametrize(
    ("who", "act"),
    [
        ("ada", "authorised"),
        ("ada", "authority_closed"),
        ("ben", "list_built"),
        ("dee", "deployment_opened"),
        ("dee", "deployment_unlocked"),
        ("eva", "clock_confirmed"),
        ("eva", "list_consulted"),
        ("eva", "packs_installed"),
    ],
)
@pytest.mark.parametrize("deployment", [None, 8])
def test_a_session_for_one_deployment_signs_nothing_else(
    found_vault: FoundVault, who: str, act: str, deployment: int | None
) -> None:
    vault, force = found_vault()
    signer = force.session(vault, who, deployment=7)
    belongs = "no deployment" if deployment is None else "deployment 8"
    with pytest.raises(
        RefusedError, match=f"the session of {who} is good for deployment 7, and {act} belongs to {belongs}: start anot"
    ):
        do(vault, act, signer, deployment=deployment)
    assert acts_of(vault) == ["founded", "session_started"]


def test_a_session_for_one_deployment_signs_for_that_one_and_can_be_ended(
    found_vault: FoundVault, tmp_path: Path
) -> None:
    vault, force = found_vault()
    do(vault, "deployment_opened", force.session(vault, "dee", deployment=7), deployment=7)
    end_session(vault, "dee")
    force.session(vault, "dee", deployment=7)
    hand_over(vault, "dee", force.people["ada"], deployment=7)
    do(vault, "authority_closed", open_session(vault, "ada"), deployment=7)
    assert acts_of(vault)[-3:] == ["session_ended", "session_started", "authority_closed"]
    export(vault.database, tmp_path / "log.jsonl")
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert verify_log(lines, [], force.root.organisation.key).findings == []


def test_a_session_for_one_deployment_installs_no_roster(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    eva = force.session(vault, "eva", deployment=7)
    with pytest.raises(RefusedError, match="good for deployment 7, and roster_installed belongs to no deployment"):
        update_installation(vault, eva, roster=force.roster(2))
    assert vault.roster.number == 1


def test_a_session_for_one_deployment_serves_no_other(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    dee = force.session(vault, "dee", deployment=7)
    do(vault, "deployment_opened", dee, deployment=7)
    with pytest.raises(
        RefusedError, match="the session of dee is good for deployment 7, and deployment_opened belongs to deployment 8"
    ):
        do(vault, "deployment_opened", dee, deployment=8)


def test_a_session_of_another_installation_is_refused(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    certificate = SessionCertificate(
        person="dee",
        key="0" * 64,
        installation="0" * 32,
        deployment=None,
        starts=NOON,
        ends=NOON + dt.timedelta(hours=1),
        idle_s=600,
    )
    envelope = sign("session-certificate", certificate, force.people["dee"].signer)
    vault.shifts.keep(envelope, bytes(32), force.clocks())
    with pytest.raises(
        RefusedError, match=r"the session of dee is certified for dee at installation 0{32}, not for this"
    ):
        open_session(vault, "dee")


def test_a_session_that_somebody_certified_for_another_is_refused(found_vault: FoundVault) -> None:
    vault, force = found_vault()
    certificate = msgspec.structs.replace(force.session(vault, "ben").certificate, person="dee")
    vault.shifts.keep(sign("session-certificate", certificate, force.people["ben"].signer), bytes(32), force.clocks())
    with pytest.raises(SignatureError, match="this session-certificate is not signed by key"):
        open_session(vault, "dee")
