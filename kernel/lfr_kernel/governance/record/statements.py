"""What is signed about a deployment as a whole: who, where, on what grounds, what was counted, and what came of it.

A record holds what was counted and nothing that follows from it: rates, intervals and tests are made from a `Counted`
whenever somebody reads it (`figures.py`), so that whoever has the signed file can make them again, and the `Counted` of
several deployments can be added.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from lfr_kernel.governance.alerts.handling import Titles  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.deployment.statements import Head  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.keys.signing import Envelope  # noqa: TC001

__all__ = [
    "RECORD",
    "Calibration",
    "Counted",
    "Evidence",
    "Grounds",
    "ListPart",
    "Record",
    "Sampled",
    "SignedRecord",
    "Span",
    "Suspension",
    "ThresholdSpan",
]

RECORD = "deployment-record"
"""The kind of envelope that a `Record` comes in."""

Time = Annotated[str, Meta(title="ISO 8601, UTC")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="a SHA-256, hexadecimal")]
Tally = dict[str, int]
"""How many, by code."""


class Grounds(Struct, frozen=True, kw_only=True):
    """The authority, as it was signed."""

    id: str
    purpose: str
    legal_basis: str
    """A code of the pack; `legal_basis_title` is its wording."""
    legal_basis_title: str
    place: str
    place_grounds: str
    criteria: str
    categories: tuple[str, ...]
    cameras: tuple[str, ...]
    contact: str
    is_assembly: bool
    authorising_officer: str
    higher_authority: str | None
    starts: Time
    ends: Time
    """With its extensions."""
    extensions: int
    signed_by: str
    signed_at: Time
    missing: tuple[str, ...]
    """In words: references that the authority does not give, such as `refers to no equality assessment`."""


class Sampled(Struct, frozen=True, kw_only=True):
    """A dip sample of the list before it was opened."""

    n: int
    findings: Tally
    """`ok`, and whatever was wrong."""


class ListPart(Struct, frozen=True, kw_only=True):
    """The watchlist, by counts."""

    entries: int
    people: int | None
    """None, as of the other two: the list was never opened, so that nobody counted."""
    withdrawn: int
    """Entries recalled or expired before the end."""
    categories: Tally
    sources: Tally
    conviction_status: Tally
    under_18: int | None
    vulnerable: int | None
    samples: tuple[Sampled, ...]


class Span(Struct, frozen=True, kw_only=True):
    """A time during which cameras were looked at."""

    starts: Time
    ends: Time | None
    """None: nothing says when it ended, as after a loss of power."""
    why: str
    """How it ended: a code; empty while it lasts."""


class ThresholdSpan(Struct, frozen=True, kw_only=True):
    """How long one threshold was in force while cameras were looked at."""

    threshold: float
    seconds: float
    since: Time
    by: tuple[str, ...]
    """Who set it: nobody, where it is the profile's; otherwise two roles by two people."""
    reason: str | None
    """A code."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What the threshold rested on, as each run under the authority found it."""

    state: Literal["none", "covered", "outside"]
    report: str | None
    """SHA-256 of the evaluation report."""
    report_class: str | None
    reasons: tuple[str, ...]
    """A sentence for each departure from what was tested; conditions of camera and light among them."""


class Suspension(Struct, frozen=True, kw_only=True):
    """The stop rule let no more alerts out."""

    at: Time
    false: int
    seen: int


class Calibration(Struct, frozen=True, kw_only=True):
    """Somebody counted people by hand for a while: how many passages one person makes."""

    people: Annotated[int, Meta(ge=1)]
    passages: Annotated[int, Meta(ge=0)]
    """That the system counted meanwhile."""
    by: str
    how: str
    """In a few words: where and how long was counted."""


class Counted(Struct, frozen=True, kw_only=True):
    """What was counted. Everything in here adds up over deployments."""

    seen: int = 0
    """Passages: what is called faces seen elsewhere."""
    lost: Tally = field(default_factory=dict)
    """Passages of which nothing could be searched, by reason."""
    raised: int = 0
    """Alerts."""
    not_actionable: int = 0
    """Of those, delivered after the time by which anybody could act."""
    unread: int = 0
    """Of those, whose keys were destroyed before what was decided on them could be counted."""
    states: Tally = field(default_factory=dict)
    """Alerts by the state they are in, or expired in: open, viewed, assessed, dismissed, engage, engaged, outcome."""
    expired_open: int = 0
    """Alerts that expired before anybody had decided."""
    truth: Tally = field(default_factory=dict)
    """Alerts by whether the right person was recognised: true, false, not-established."""
    truth_known_by: Tally = field(default_factory=dict)
    grounds: Tally = field(default_factory=dict)
    """True recognitions by whether the grounds still stood: valid, expired, none, not-recorded."""
    disagreements: int = 0
    """Alerts that two people assessed differently."""
    corrections: int = 0
    decision_s: tuple[int, ...] = ()
    """Seconds from an alert to the decision on it, in ascending order."""
    looked_s: tuple[float, ...] = ()
    """Seconds, to a tenth, from when whoever's assessment decided first saw the alert to the decision, in ascending
    order."""
    engagement_min: tuple[float, ...] = ()
    """Minutes that people were held up, in ascending order."""
    powers: Tally = field(default_factory=dict)
    searched: int = 0
    force: Tally = field(default_factory=dict)
    """Engagements by the force used: none, handcuffs …"""
    explained: int = 0
    """Engagements of which it was explained why."""
    complaint_route: int = 0
    """Engagements in which it was said where to complain."""
    outcomes: Tally = field(default_factory=dict)
    arrests_from_alerts: int = 0
    causes: Tally = field(default_factory=dict)
    """False alerts by cause."""
    false_by_sex: Tally = field(default_factory=dict)
    false_by_age: Tally = field(default_factory=dict)
    false_by_ethnicity: Tally = field(default_factory=dict)
    """False alerts by what a person recorded of whom they engaged; `not-recorded` where nobody did."""
    false_known_by: Tally = field(default_factory=dict)
    """… by how the ethnicity is known: self-defined, observed-in-person, observed-from-image, not-recorded."""
    outcomes_under_18: Tally = field(default_factory=dict)
    outcomes_vulnerable: Tally = field(default_factory=dict)
    """Outcomes of alerts on entries of under-18s and of vulnerable people, apart; `none` where there is none yet."""

    @property
    def true(self) -> int:
        """Alerts that recognised the right person."""
        return self.truth.get("true", 0)

    @property
    def false(self) -> int:
        """Alerts that did not."""
        return self.truth.get("false", 0)

    @property
    def not_established(self) -> int:
        """Alerts of which nobody established it: what is neither true nor false."""
        return self.raised - self.true - self.false


class Record(Struct, frozen=True, kw_only=True):
    """What an installation signs of one deployment."""

    format: Literal["lfr-record-1"] = "lfr-record-1"
    organisation: str
    installation: str
    installation_name: str
    serial: int
    after: Head
    """The entry of the audit that closed the deployment before."""
    head: Head
    """The last entry that was counted."""
    made: Time
    is_final: bool
    """Whether the deployment is closed and nothing of it can change any more."""
    pack: str
    pack_digest: Digest
    mark: str
    """Text that the pack has printed on every output; empty for most."""
    group_ratio: float
    """The ratio between groups that the pack asks about."""
    titles: Titles
    """Codes of the pack's categories, sources, powers and ethnic groups, in words."""
    grounds: Grounds
    stage: str
    ending: str | None
    """completed, revoked, abandoned, failed, saw nobody; None while it is open."""
    why: str
    opened: Time | None
    ended: Time | None
    captured: tuple[Span, ...]
    model: str | None
    """SHA-256 of the embedder's weights; None if it was never opened."""
    watchlist: ListPart
    thresholds: tuple[ThresholdSpan, ...]
    evidence: tuple[Evidence, ...]
    """Each different one; empty if it was never opened."""
    suspensions: tuple[Suspension, ...]
    calibrations: tuple[Calibration, ...]
    arrests_in_operation: int | None
    """All arrests during the operation, whatever they came from; None if nobody said."""
    counted: Counted


class SignedRecord(Struct, frozen=True, kw_only=True):
    """A file of `lfr-kernel record --format json`: whoever has the organisation's public key can verify it."""

    certificate: Envelope
    """The organisation's, of the installation."""
    record: Envelope
    """Kind `deployment-record`, signed by the installation."""
    read: dict[str, object] = field(default_factory=dict)
    """What the envelope states and what follows from it, for people and programs: signed is only the envelope."""
