"""A deployment that is open: alerts are planted in it, and people do with them what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from msgspec import structs

from governance.deployment.support import pack_with
from governance.vaults import SECOND_NS
from lfr_kernel.governance.alerts.statements import Closed, Described, Engaged
from lfr_kernel.governance.alerts.states import Case, State, case_of
from lfr_kernel.governance.alerts.steps import assess, close, engage, look
from lfr_kernel.governance.alerts.store import find, is_suspended, steps_of
from lfr_kernel.governance.alerts.vocabulary import Force, Grounds, Known, Outcome, Proof, Reason, Truth, Verdict
from lfr_kernel.testing import InlineLane
from lfr_kernel.testing.fakes import an_alert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.deployment.support import Site
    from lfr_kernel.governance.alerts.store import Kept
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.messages import Alert

NOT_RECORDED = Described(value="not-recorded", known=Known.NOT_RECORDED, by="")
ENGAGED = Engaged(
    power="pace-24", searched=False, force=Force.NONE, minutes=4, explained=True, complaint_route=True, text="a talk"
)
RIGHT = Closed(
    outcome=Outcome.ARREST, truth=Truth.TRUE, proof=Proof.DOCUMENT, grounds=Grounds.VALID, arrests=1, case="C/1"
)
WRONG = Closed(
    outcome=Outcome.NO_FURTHER_ACTION,
    truth=Truth.FALSE,
    proof=Proof.DOCUMENT,
    sex=Described(value="male", known=Known.OBSERVED_IN_PERSON, by="PC 1234"),
    age=NOT_RECORDED,
    ethnicity=Described(value="white", known=Known.SELF_DEFINED, by="PC 1234"),
)
DISMISSED_WRONG = structs.replace(WRONG, outcome=None)
"""Dismissed, and it came out that it would have been the wrong person."""
GONE = Closed(outcome=Outcome.NOT_FOUND, truth=Truth.NOT_ESTABLISHED, proof=Proof.NOT_KNOWN)


class OpenDuty(Protocol):
    """Opens a deployment; `rules` are those of the pack that are to be other than it says."""

    def __call__(self, **rules: Any) -> Duty: ...


class Duty:
    """One deployment of a site that is open and captures, with what its people do. `site.vault` is another process."""

    def __init__(self, site: Site, rules: Mapping[str, Any]) -> None:
        self.site = site
        self.plan = site.plan(loaded=pack_with(**rules))
        self.lives_s = (31 * 86_400.0, 86_400.0)
        """What the profile's retention says: of alerts and of pictures."""
        self.governed: Governed = site.running(self.plan)
        self.raised = 0

    @property
    def serial(self) -> int:
        assert self.governed.deployment is not None
        return self.governed.deployment.serial

    @property
    def is_suspended(self) -> bool:
        """Whether the stop rule lets no alert out, as another process sees it."""
        return is_suspended(self.site.vault.database, self.serial)

    def alert(self, **changes: Any) -> Alert:
        """An alert as the desk makes one now, of a face that was captured a second ago."""
        self.raised += 1
        now_ns = self.site.clocks.now.utc_ns
        made = structs.replace(
            an_alert(self.raised),
            captured_at_ns=now_ns - SECOND_NS,
            decoded_at_ns=now_ns - SECOND_NS // 2,
            alerted_at_ns=now_ns,
            act_by_ns=now_ns - SECOND_NS + int(self.plan.pack.rules.act_within_s * SECOND_NS),
        )
        return structs.replace(made, **changes)

    def plant(self, *, entry: int = 0, sinks: Sequence[str] = (), **changes: Any) -> str:
        """Raise an alert on a row of the list, as the desk does; return its id."""
        alert = self.alert(**changes)
        assert self.keep(alert, entry=entry, sinks=sinks)
        return alert.id

    def keep(self, alert: Alert, *, entry: int = 0, sinks: Sequence[str] = ()) -> bool:
        keeper = self.governed.keeper(InlineLane(), shorter_s=lambda: self.lives_s, sinks=sinks)
        return keeper._keep(alert, keeper._stills.encode(np.full((2, 2, 3), 7, np.uint8)), entry)

    def find(self, alert: str) -> Kept:
        return find(self.site.vault.database, alert)

    def state(self, alert: str) -> State:
        return self.find(alert).state

    def case(self, alert: str) -> Case:
        """What the signed steps have made of an alert."""
        kept = self.find(alert)
        return case_of(steps_of(self.site.vault, kept), self.governed.deployment.authorisation.handling)  # type: ignore[union-attr]

    def look(self, alert: str, by: str = "dee", reason: Reason = Reason.ASSESS) -> None:
        look(self.site.vault, alert, self.site.signers[by], reason=reason)

    def assess(self, alert: str, verdict: Verdict, by: str = "dee", **more: Any) -> None:
        """Look at an alert, and assess it."""
        self.look(alert, by)
        assess(self.site.vault, alert, self.site.signers[by], verdict, **more)

    def engage(self, alert: str, body: Engaged = ENGAGED, by: str = "dee", **more: Any) -> None:
        engage(self.site.vault, alert, self.site.signers[by], body, **more)

    def close(self, alert: str, body: Closed = RIGHT, by: str = "dee", **more: Any) -> None:
        close(self.site.vault, alert, self.site.signers[by], body, **more)
