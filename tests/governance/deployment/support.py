"""An installation on the morning of a deployment: everybody on shift, a list that is fit for use, an authority."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import structs

from governance.lists.support import MODEL, NOW, a_row, facts
from governance.vaults import PEOPLE, SECOND_NS
from lfr_kernel.governance.audit.export import export
from lfr_kernel.governance.audit.verifier import verify as verify_log
from lfr_kernel.governance.authority import load_authority
from lfr_kernel.governance.basis import Coverage
from lfr_kernel.governance.deployment.governed import Governed
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.deployment.opening import Opener
from lfr_kernel.governance.deployment.plan import Plan, authorise
from lfr_kernel.governance.deployment.register import find
from lfr_kernel.governance.deployment.statements import RECEIPT, WipeReceipt
from lfr_kernel.governance.deployment.wiping import receipt_of
from lfr_kernel.governance.keys.signing import verify
from lfr_kernel.governance.lists.acts import review_list, sample_list
from lfr_kernel.governance.lists.file import ListFile, write_list
from lfr_kernel.governance.lists.sampling import Checked
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.people.statements import PackDigest, Role
from lfr_kernel.governance.rules import LoadedPack, load_pack
from lfr_kernel.governance.tested import CitedReport, Curve
from lfr_kernel.testing.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from governance.vaults import Clocks, Force
    from lfr_kernel.governance.authority import LoadedAuthority
    from lfr_kernel.governance.deployment.custody import Unlock
    from lfr_kernel.governance.deployment.looking import Look
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.lists.entries import Row
    from lfr_kernel.governance.vault import Vault

PACK = PackDigest(
    name="uk-met",
    digest=digest_of("pack"),
    separate_roles=((Role.AUTHORISER, Role.AUDITOR),),
    session_idle_min=100_000,
    session_max_h=1_000,
)
"""Signed for the installation. Sessions last, so that a test's clock need not mind them."""
LIVE: Mapping[str, str] = {"gate": "live"}
DETECTOR = digest_of("fake detector")
COVERS = Coverage(
    report_class="operational",
    data="two days in March",
    detector=DETECTOR,
    embedder=MODEL,
    listed=20,
    looks=4,
    target_fpir=0.005,
    threshold=0.62,
    settings={},
)
"""What the report covers that everybody cites here."""
CURVE = Curve(
    thresholds=(0.5, 0.6, 0.7, 0.8), fpir=(0.03, 0.02, 0.005, 0.0), tpir=(0.9, 0.8, 0.7, 0.0), nonmated=1000, mated=50
)
REPORT = CitedReport(report="a" * 64, covers=COVERS, curves=(CURVE,), looks=4, listed=20)
NOTHING_SEEN = Tally(seen=0, alerts=0)
HOUR = dt.timedelta(hours=1)
DOCUMENT = """
id = "{id}"
purpose = "To find people wanted by the courts"
legal_basis = "common-law"
place = "Station Square"
place_grounds = "Four of nine warrants were executed near it"
starts = {starts}
ends = {ends}
criteria = "People with a warrant in force"
categories = {categories}
cameras = ["gate"]
threshold = 0.64
contact = "Example Police, 1 Example Street"
assembly = {assembly}
authorising_officer = "A. Example, superintendent"
"""


class Letters:
    """A codec for which a portrait is text."""

    def encode(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
        return pixels.tobytes()

    def decode(self, data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(data, np.uint8).reshape(1, -1, 1).repeat(3, axis=2)


def pack_with(**rules: Any) -> LoadedPack:
    """The pack that the organisation signed, with other values: by its digest it is the same."""
    pack = load_pack("uk-met").pack
    values = {"refuse_unencrypted_swap": False, **rules}
    clauses = {
        name: structs.replace(one, value=values[name]) if name in values else one for name, one in pack.clauses.items()
    }
    return LoadedPack(pack=structs.replace(pack, clauses=clauses), digest=PACK.digest, origin="a test")


class Site:
    """A vault, and what its people do. Whoever it hands out to run or to look is another process to `vault`."""

    def __init__(self, vault: Vault, force: Force, folder: Path, people: Iterable[str] = PEOPLE) -> None:
        self.vault = vault
        self.force = force
        self.clocks: Clocks = force.clocks
        self.folder = folder
        self.opened: list[Governed] = []
        self.rows: list[Row] = [a_row("ada", 1), a_row("ada", 2), a_row("bob", 3)]
        on_shift = vault.shifts.names()
        self.signers = {
            name: open_session(vault, name) if name in on_shift else force.session(vault, name) for name in people
        }

    @property
    def path(self) -> Path:
        return self.folder / "spring.lfrlist"

    def a_list(
        self,
        rows: Sequence[Row] | None = None,
        *,
        path: Path | None = None,
        is_written_down: bool = True,
        reviewer: str | None = "cem",
        sampled: int | None = None,
        recipient: Any = None,
        **changes: Any,
    ) -> ListFile:
        """Build a list as ben, have it reviewed and sampled; leave out what is None or 0."""
        chosen = self.rows if rows is None else rows
        shift = self.vault.shifts.find("ben")
        assert shift is not None
        made = write_list(
            path or self.path,
            chosen,
            total=len(chosen),
            facts=facts(**{"made": self.now, **changes}),
            signer=self.signers["ben"],
            recipient=recipient or self.vault.open_sealed_key().public_key(),
            certificate=shift.envelope,
        )
        if is_written_down:
            with self.vault.database.transaction() as transaction:
                of = {"list": made.header.id, "root": made.header.root}
                self.vault.act(transaction, "list_built", by=self.signers["ben"], facts=of)
        if reviewer is not None:
            made = review_list(self.vault, self.signers[reviewer], made, questioned=0, expired=0)
        if sampled != 0:
            findings = {f"row {number}": "ok" for number in range(sampled or len(chosen))}
            made = sample_list(self.vault, self.signers["fay"], made, Checked(seed="00", findings=findings))
        return made

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.clocks.now.utc_ns // SECOND_NS, dt.UTC)

    def document(self, **changes: Any) -> LoadedAuthority:
        """An authority from now on for an hour, with id EX/1, but for what is changed."""
        whole = {
            "id": "EX/1",
            "starts": self.now,
            "ends": self.now + HOUR,
            "categories": ["wanted-court"],
            "assembly": "false",
            **changes,
        }
        path = self.folder / "authority.toml"
        path.write_text(
            DOCUMENT.format(
                **{key: value.isoformat() if isinstance(value, dt.datetime) else value for key, value in whole.items()}
            ),
            encoding="utf-8",
        )
        return load_authority(path)

    def plan(self, *, loaded: LoadedPack | None = None, **changes: Any) -> Plan:
        """What is authorised and run."""
        whole = Plan(
            profile="spring",
            profile_digest=digest_of("profile"),
            threshold=0.64,
            cameras=("gate",),
            loaded=loaded or pack_with(),
            list=self.path,
            start="sealed",
            has_report=True,
        )
        return structs.replace(whole, **changes)

    def authorise(self, plan: Plan | None = None, *, by: str = "ada", **changes: Any) -> Deployment:
        """Have `document(**changes)` signed for the list at the plan's path, which is built if need be."""
        plan = plan or self.plan()
        listed = ListFile.open(plan.list) if plan.list.exists() else self.a_list(path=plan.list)
        return authorise(self.vault, self.signers[by], self.document(**changes), plan, listed)

    def opener(self, vault: Vault, by: str = "dee", unlock: Unlock | None = None) -> Opener:
        return Opener(operator=lambda: open_session(vault, by), unlock=unlock)

    def governed(self, plan: Plan | None = None, *, by: str = "dee", unlock: Unlock | None = None) -> Governed:
        """A run that has nothing open yet."""
        vault = self.force.open(self.vault.folder)
        made = Governed(vault, plan or self.plan(), self.opener(vault, by, unlock))
        made.cited, made.detector = COVERS, DETECTOR
        self.opened.append(made)
        return made

    def running(self, plan: Plan | None = None, *, unlock: Unlock | None = None, **changes: Any) -> Governed:
        """A run that captures: authorised by `changes` unless something is authorised or open already."""
        if not self.vault.database.query("SELECT 1 FROM deployments"):
            self.authorise(plan, **changes)
        governed = self.governed(plan, unlock=unlock)
        governed.issue("authority", LIVE)
        governed.open_list(MODEL, "letters", Letters())
        return governed

    def crash(self, governed: Governed) -> None:
        """Let a run die: nothing is written, and its lock is gone."""
        governed.close()

    def deployment(self, serial: int = 1) -> Deployment:
        return find(self.vault.database, serial)

    def acts(self, *names: str) -> list[dict[str, Any]]:
        """The entries of the chain, of these acts or of all."""
        bodies = [msgspec.json.decode(entry.body) for entry in self.vault.database.entries()]
        return [one for one in bodies if not names or one["act"] in names]

    def receipt(self, serial: int = 1) -> WipeReceipt:
        """The receipt, its signature verified."""
        signed = receipt_of(self.vault, serial)
        assert signed is not None
        return verify(signed, RECEIPT, WipeReceipt, [self.vault.signer.public])

    def expect_chain(self) -> None:
        """See that an outsider finds nothing wrong with the chain."""
        file = self.folder / "log.jsonl"
        export(self.vault.database, file)
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        assert verify_log(lines, [], self.force.root.organisation.key).findings == []

    def remains(self) -> bytes:
        """Everything that the database and its log hold on the disk."""
        return b"".join(path.read_bytes() for path in sorted(self.vault.folder.glob("vault.db*")))

    def close(self) -> None:
        for one in self.opened:
            one.close()


def look(governed: Governed, seen: int = 0, alerts: int = 0) -> Look:
    """Look once."""
    return governed.look(Tally(seen=seen, alerts=alerts))


def set_clock(clocks: Clocks, *, wall_s: float = 0, boot_s: float = 0, is_synchronised: bool | None = None) -> None:
    """Move either clock by itself; a wall clock that is set is out of step unless it is said to be synchronised."""
    now = clocks.now
    clocks.now = structs.replace(
        now,
        utc_ns=now.utc_ns + round(wall_s * SECOND_NS),
        boot_ns=now.boot_ns + round(boot_s * SECOND_NS),
        is_synchronised=is_synchronised,
    )


__all__ = [
    "COVERS",
    "CURVE",
    "DETECTOR",
    "HOUR",
    "LIVE",
    "MODEL",
    "NOTHING_SEEN",
    "NOW",
    "PACK",
    "REPORT",
    "Letters",
    "Site",
    "look",
    "pack_with",
    "set_clock",
]
