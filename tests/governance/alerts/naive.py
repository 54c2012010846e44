"""What may be done with an alert, and what it counts for, in a model as plain as can be.

It keeps everything that was ever said and works all of it out again from there, and shares no code with the product:
what the two disagree about, one of them has wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfr_kernel.governance.alerts.statements import Closed, Engaged

SECOND_NS = 10**9
OPERATORS = frozenset({"dee", "dan", "dot"})
CONSULTS = frozenset({"ada", "cem", "eva", "fay"})
"""Who may look besides, which changes nothing."""

Mode: TypeAlias = tuple[int, Literal["dismiss", "third-person"]]
"""How many people assess, and what becomes of it if they disagree."""


@dataclass
class Told:
    """One alert, with everything that was said of it."""

    id: str
    serial: int
    mode: Mode
    group: str | None
    """`under_18`, `vulnerable` or neither (empty), as its entry says; None: that was withdrawn before."""
    raised_ns: int
    act_by_ns: int
    first_had_ns: int | None = None
    said: list[tuple[str, str, Any]] = field(default_factory=list)
    """Each step: who, what kind (looked, assessed, engaged, closed), and with what words."""
    corrections: list[str] = field(default_factory=list)
    """Whose."""
    decided_ns: int | None = None
    had_ns: list[tuple[str, int]] = field(default_factory=list)
    """Who looked, and when."""
    decider_took_ns: int = 0
    """From the first look of whoever's word decided it to that word."""
    is_gone: bool = False

    def of(self, kind: str) -> list[Any]:
        return [words for _, one, words in self.said if one == kind]

    @property
    def closings(self) -> list[Any]:
        """What was said of how it ended: that somebody was not found counts no more once they were."""
        kinds = [kind for _, kind, _ in self.said]
        engaged = kinds.index("engaged") if "engaged" in kinds else -1
        return [
            words
            for place, (_, kind, words) in enumerate(self.said)
            if kind == "closed" and not (place < engaged and words.outcome == "not-found")
        ]

    @property
    def viewers(self) -> set[str]:
        return {who for who, kind, _ in self.said if kind == "looked"}

    @property
    def witnesses(self) -> set[str]:
        """Who was shown both pictures."""
        return {who for who, kind, saw in self.said if kind == "looked" and saw}

    @property
    def verdicts(self) -> dict[str, str]:
        """What everybody who assessed it says now, in the order in which they first did."""
        return {who: verdict for who, kind, verdict in self.said if kind == "assessed"}

    @property
    def decision(self) -> str:
        """`dismiss`, `engage`, `tie` while a third person is waited for, or empty."""
        said = self.of("assessed")[-1:] if self.mode[0] == 1 else list(self.verdicts.values())
        if len(said) < self.mode[0]:
            return ""
        if self.mode[0] == 1 or said[0] == said[1]:
            return str(said[0])
        if self.mode[1] == "dismiss":
            return "dismiss"
        return str(said[2]) if len(said) == 3 else "tie"

    @property
    def has_disagreed(self) -> bool:
        """Whether the two differed when what both had said was revealed; what they say later is another matter."""
        first: dict[str, str] = {}
        for who, kind, verdict in self.said:
            if kind == "assessed" and len(first) < 2:
                first[who] = verdict
        return self.mode[0] == 2 and len(set(first.values())) == 2

    @property
    def is_over(self) -> bool:
        """Whether what came of a decision to engage is known."""
        return self.decision == "engage" and any(one.outcome is not None for one in self.closings[-1:])

    @property
    def state(self) -> str:
        if not self.viewers:
            return "open"
        if self.decision in {"", "tie", "dismiss"}:
            return {"": "viewed", "tie": "assessed", "dismiss": "dismissed"}[self.decision]
        if self.is_over:
            return "outcome"
        return "engaged" if self.of("engaged") else "engage"

    @property
    def is_secret(self) -> bool:
        return self.mode[0] == 2 and self.state == "viewed"

    def seen_by(self, who: str) -> list[tuple[str, str, Any]]:
        """The steps that somebody may see."""
        return [one for one in self.said if not self.is_secret or one[1] != "assessed" or one[0] == who]

    def may_look(self, who: str) -> bool:
        return not self.is_gone and who in OPERATORS | CONSULTS

    def may_assess(self, who: str, verdict: str, now_ns: int, *, corrects: bool) -> bool:
        if self.is_gone or who not in OPERATORS or who not in self.viewers:
            return False
        is_late = (self.first_had_ns or now_ns) > self.act_by_ns
        if verdict == "engage" and (is_late or who not in self.witnesses):
            return False
        has_spoken = who in {one for one, kind, _ in self.said if kind == "assessed"}
        if not corrects:
            return self.decision in {"", "tie"} and not has_spoken
        joins = self.mode[0] == 2 and verdict == "engage" and not self.is_secret
        if self.of("engaged") or self.is_over or joins:
            return False
        return has_spoken if self.mode[0] == 2 else bool(self.of("assessed"))

    def may_engage(self, who: str, *, is_fit: bool, corrects: bool) -> bool:
        if self.is_gone or who not in OPERATORS or not is_fit:
            return False
        if corrects:
            return bool(self.of("engaged"))
        is_missing = any(one.outcome == "not-found" for one in self.closings[-1:])
        return not self.of("engaged") and (self.state == "engage" or (self.state == "outcome" and is_missing))

    def may_close(self, who: str, body: Closed, *, is_fit: bool, corrects: bool) -> bool:
        if self.is_gone or who not in OPERATORS or not is_fit:
            return False
        is_reopened = self.decision == "engage" and any(one.outcome is None for one in self.closings[-1:])
        if corrects != bool(self.closings) and not (is_reopened and not corrects):
            return False
        if self.decision == "dismiss":
            return body.outcome is None
        if self.decision != "engage":
            return False
        return body.outcome not in {None, "not-found"} if self.of("engaged") else body.outcome == "not-found"

    def take(self, who: str, kind: str, words: Any, now_ns: int, *, corrects: bool = False) -> None:
        """Believe that a step was taken."""
        self.said.append((who, kind, words))
        self.corrections += [who] * corrects
        self.first_had_ns = self.first_had_ns or now_ns
        if kind == "looked":
            self.had_ns.append((who, now_ns))
        if self.decided_ns is None and self.decision in {"dismiss", "engage"}:
            self.decided_ns = now_ns
            self.decider_took_ns = now_ns - next(at_ns for name, at_ns in self.had_ns if name == who)

    @property
    def is_false(self) -> bool:
        return any(one.truth == "false" for one in self.closings[-1:])


def counted(alerts: Iterable[Told]) -> dict[str, Any]:
    """Count alerts anew: what a record has to say of them, without what is 0 or empty."""
    total: Counter[str] = Counter()
    by: dict[str, Counter[str]] = {}
    decision_s: list[int] = []
    looked_s: list[float] = []
    engagement_min: list[float] = []

    def add(table: str, code: object) -> None:
        by.setdefault(table, Counter())[str(code)] += 1

    for one in alerts:
        total["raised"] += 1
        total["not_actionable"] += one.first_had_ns is not None and one.first_had_ns > one.act_by_ns
        total["expired_open"] += one.is_gone and one.state in {"open", "viewed", "assessed"}
        total["disagreements"] += one.has_disagreed
        total["corrections"] += 0 if one.is_secret and not one.is_gone else len(one.corrections)
        add("states", one.state)
        if one.decided_ns is not None and one.state not in {"open", "viewed", "assessed"}:
            decision_s.append(max(0, (one.decided_ns - one.raised_ns) // SECOND_NS))
            looked_s.append(max(0.0, round(one.decider_took_ns / SECOND_NS, 1)))
        for body in one.of("engaged")[-1:]:
            _engaged(body, total, add)
            engagement_min.append(body.minutes)
        outcome = "none"
        for body in one.closings[-1:]:
            _closed(body, total, add)
            outcome = body.outcome or "none"
        if one.group:
            add(f"outcomes_{one.group}", outcome)
    tables = {name: dict(counter) for name, counter in by.items()}
    spread = {
        "decision_s": tuple(sorted(decision_s)),
        "looked_s": tuple(sorted(looked_s)),
        "engagement_min": tuple(sorted(engagement_min)),
    }
    return {name: value for name, value in {**total, **tables, **spread}.items() if value}


def _engaged(body: Engaged, total: Counter[str], add: Any) -> None:
    add("powers", body.power)
    add("force", body.force)
    total["searched"] += body.searched
    total["explained"] += body.explained
    total["complaint_route"] += body.complaint_route


def _closed(body: Closed, total: Counter[str], add: Any) -> None:
    add("truth", body.truth)
    add("truth_known_by", body.proof)
    total["arrests_from_alerts"] += body.arrests
    if body.outcome is not None:
        add("outcomes", body.outcome)
    if body.truth == "true":
        add("grounds", body.grounds)
    if body.truth == "false":
        assert body.sex
        assert body.age
        assert body.ethnicity
        add("causes", body.cause or "not-known")
        add("false_by_sex", body.sex.value)
        add("false_by_age", body.age.value)
        add("false_by_ethnicity", body.ethnicity.value)
        add("false_known_by", body.ethnicity.known)
