"""Which role may do what: one table, and the two questions that are asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.statements import Role, written

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from lfr_kernel.governance.people.statements import Member

__all__ = ["ACTS", "MACHINE_ACTS", "combined", "require", "require_good"]

ANYBODY = frozenset(Role)
BUILDERS = frozenset({Role.LIST_BUILDER})
OPERATORS = frozenset({Role.OPERATOR})
AUTHORISERS = frozenset({Role.AUTHORISER})
KEEPERS = frozenset({Role.DATA_PROTECTION, Role.AUTHORISER})

ACTS: Mapping[str, frozenset[Role]] = {
    "list_built": BUILDERS,
    "list_reviewed": frozenset({Role.REVIEWER}),
    "list_sampled": frozenset({Role.REVIEWER, Role.AUDITOR}),
    "list_consulted": frozenset({Role.LIST_BUILDER, Role.REVIEWER, Role.AUDITOR, Role.DATA_PROTECTION}),
    # Whoever works with a list may take somebody off it at once; putting somebody on takes two.
    "entry_recalled": frozenset({Role.LIST_BUILDER, Role.REVIEWER, Role.OPERATOR, Role.DATA_PROTECTION}),
    "authorised": AUTHORISERS,
    "authority_extended": AUTHORISERS,
    # Stopping takes less than starting.
    "authority_closed": frozenset({Role.AUTHORISER, Role.OPERATOR, Role.DATA_PROTECTION}),
    "deployment_opened": OPERATORS,
    "deployment_unlocked": OPERATORS,
    "alert_viewed": OPERATORS,
    "alert_assessed": OPERATORS,
    # The same where two people assess: it does not say of which alert.
    "assessment_committed": OPERATORS,
    "alert_engaged": OPERATORS,
    "alert_closed": OPERATORS,
    # Whoever looks into what was done decides nothing.
    "alert_consulted": ANYBODY - BUILDERS,
    "alert_disclosed": frozenset({Role.OPERATOR, Role.DATA_PROTECTION}),
    "alerts_resumed": KEEPERS,
    "people_counted": frozenset({Role.OPERATOR, Role.AUDITOR, Role.DATA_PROTECTION}),
    "arrests_counted": frozenset({Role.OPERATOR, Role.AUTHORISER}),
    "clock_confirmed": KEEPERS,
    # By two people, one of each role: see `deployment/thresholds.py`.
    "threshold_proposed": KEEPERS,
    "threshold_confirmed": KEEPERS,
    "roster_installed": KEEPERS,
    "packs_installed": KEEPERS,
    "session_started": ANYBODY,
    "session_ended": ANYBODY,
}
"""Which roles may do an act. What is not here nobody may do."""

MACHINE_ACTS = frozenset(
    {
        "founded",
        "recovered",
        "capture_started",
        "capture_stopped",
        "end_is_near",
        "entry_expired",
        "clock_jumped",
        "threshold_in_force",
        "deployment_ended",
        "wiped",
        "alert_raised",
        "alert_delivered",
        "alert_undeliverable",
        "assessments_revealed",
        "alerts_suspended",
        "alerts_expired",
        "alerts_purged",
        "pictures_purged",
        "texts_purged",
        "basis_judged",
        "record_signed",
    }
)
"""What the installation's own key may sign: what happens by itself, and nothing that takes a person."""


def require(act: str, person: Member) -> None:
    """Return if a role of this person allows an act.

    Args:
        act: a key of `ACTS`.
        person: as the roster has them.

    Raises:
        RefusedError: none of their roles does, or it is no act of a person.
    """
    needed = ACTS.get(act)
    if needed is None:
        raise RefusedError(f"{act!r} is no act that a person may do: see the table of acts by role in docs/people.md")
    if not needed & set(person.roles):
        raise RefusedError(
            f"{act} needs the role {' or '.join(_listed(needed))}, and {person.name} is "
            f"{' and '.join(_listed(person.roles))}: ask somebody who has it"
        )


def require_good(person: Member, at: dt.datetime) -> None:
    """Return if the organisation still stands by somebody's keys.

    Args:
        person: as the roster has them.
        at: now, with its offset.

    Raises:
        RefusedError: they were revoked, or have expired.
    """
    if person.revoked is not None and person.revoked <= at:
        raise RefusedError(
            f"the keys of {person.name} were revoked on {written(person.revoked)}: nothing is signed with them again"
        )
    if person.expires <= at:
        raise RefusedError(
            f"the roster's entry of {person.name} expired on {written(person.expires)}: the organisation has to sign a "
            "new roster (lfr-kernel org roster), and the installation to take it in (lfr-kernel installation update)"
        )


def combined(member: Member, pairs: Iterable[tuple[Role, Role]]) -> list[str]:
    """Return which pairs of roles somebody combines that one person may not, as `authoriser and auditor`."""
    held = set(member.roles)
    return [f"{one} and {other}" for one, other in pairs if {one, other} <= held]


def _listed(roles: Iterable[Role]) -> list[str]:
    """Return roles in the order of `Role`, however a set has them."""
    given = set(roles)
    return [str(role) for role in Role if role in given]
