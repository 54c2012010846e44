"""How a run takes up a change of threshold: found in the chain, held against what was tested, and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.governance.deployment.rethreshold import below_allowed
from lfr_kernel.governance.deployment.thresholds import threshold_of, thresholds_of
from lfr_kernel.governance.tested import outside_tested

if TYPE_CHECKING:
    from lfr_kernel.governance.deployment.opening import Loaded
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.deployment.thresholds import Changed
    from lfr_kernel.governance.lists.opened import OpenedList
    from lfr_kernel.governance.vault import Vault

__all__ = ["News", "Takeup"]


class News(Struct, frozen=True, kw_only=True):
    """A change of threshold that the index does not have yet."""

    change: Changed
    was: float
    """The threshold that it has."""
    refused: tuple[str, ...]
    """Why this run does not take it up; empty: it does."""


class Takeup:
    """The threshold of one run. Every method blocks and is called on one lane."""

    def __init__(self, vault: Vault, plan: Plan) -> None:
        """Begin with the threshold of the profile."""
        self.threshold = plan.threshold
        """That the index has, or is to start with."""
        self.loaded: Loaded | None = None
        """What the run has loaded; None before its list is opened."""
        self.news: News | None = None
        """What is to be taken up."""
        self._vault = vault
        self._plan = plan
        self._known = 0
        """Number of the entry that confirmed the last change that was taken up, or refused."""

    def start(self, deployment: Deployment) -> float:
        """Return the threshold to start with. Raises as `thresholds_of` and `threshold_of` do."""
        changes = thresholds_of(self._vault, deployment)
        self.threshold = threshold_of(changes, self._plan.threshold)
        self._known = changes[-1].entry if changes else 0
        return self.threshold

    def look(self, deployment: Deployment, listed: OpenedList | None) -> None:
        """See whether somebody has changed the threshold. Raises as `start` does: what is forged stops the run."""
        changes = thresholds_of(self._vault, deployment)
        threshold_of(changes, self._plan.threshold)
        if changes and changes[-1].entry != self._known:
            change = changes[-1]
            self.news = News(
                change=change, was=self.threshold, refused=tuple(self._reasons(deployment, change.threshold, listed))
            )

    def _reasons(self, deployment: Deployment, threshold: float, listed: OpenedList | None) -> list[str]:
        """Return why a threshold that two people signed may not run all the same: they had a program of their own."""
        loaded = self.loaded
        return [
            *below_allowed(self._vault, self._plan, deployment, threshold),
            *outside_tested(
                None if loaded is None else loaded.cited,
                self._plan.pack,
                threshold=threshold,
                detector=None if loaded is None else loaded.detector,
                embedder=None if listed is None else listed.digest,
                listed=None if listed is None else len(listed),
            ),
        ]

    def took_up(self, deployment: Deployment, news: News) -> None:
        """Note that news are dealt with, and write it down if the index has the new threshold.

        Raises:
            AuditError: it cannot be written.
        """
        change = news.change
        if not news.refused:
            facts = {"deployment": deployment.serial, "threshold": change.threshold, "since": change.entry}
            with self._vault.database.transaction() as transaction:
                self._vault.act(transaction, "threshold_in_force", by=self._vault.signer, facts=facts)
            self.threshold = change.threshold
        self._known = change.entry
        if self.news == news:
            self.news = None
