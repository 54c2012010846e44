"""Counts alerts anew, from the exported chain and from the options of the commands that were given: no code shared."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from governance.alerts.playing import Done

__all__ = ["recounted"]

UNDECIDED = {"open", "viewed", "assessed"}


def recounted(chain: Sequence[dict[str, Any]], done: Iterable[Done]) -> dict[str, Any]:
    """Return what one deployment comes to, by the names that its record has for it.

    Args:
        chain: the bodies of its entries, in order.
        done: the steps that its people took, in order.
    """
    steps = list(done)
    return {**_by_chain(chain), **_by_commands(steps), "disagreements": _disagreements(steps)}


def _by_chain(chain: Sequence[dict[str, Any]]) -> dict[str, Any]:
    raised = {one["facts"]["alert"]: _second(one) for one in chain if one["act"] == "alert_raised"}
    states = dict.fromkeys(raised, "open")
    decided: dict[str, float] = {}
    whose = {one["n"]: one["by"] for one in chain}
    looked: dict[tuple[str, str], float] = {}
    took: dict[str, float] = {}
    late = set()
    for one in chain:
        facts = one["facts"]
        if "state" not in facts or "alert" not in facts:
            continue
        alert = facts["alert"]
        states[alert] = facts["state"]
        if one["act"] == "alert_viewed":
            looked.setdefault((alert, one["by"]), _second(one))
        if facts["state"] not in UNDECIDED and alert not in decided:
            # Where two assess, the installation reveals at once what both have said: the last of them decided.
            decider = whose[max(facts.get("of", [one["n"]]))]
            decided[alert], took[alert] = _second(one) - raised[alert], _second(one) - looked[alert, decider]
        if facts.get("actionable") is False:
            late.add(alert)
    return {
        "raised": len(raised),
        "states": dict(Counter(states.values())),
        "expired_open": sum(state in UNDECIDED for state in states.values()),
        "not_actionable": len(late),
        "decision_s": tuple(sorted(decided.values())),
        "looked_s": tuple(sorted(took.values())),
    }


def _second(entry: dict[str, Any]) -> float:
    return dt.datetime.fromisoformat(entry["at"][:19]).timestamp()


def _by_commands(steps: Sequence[Done]) -> dict[str, Any]:
    # Of each alert the last one counts.
    engaged = {one.alert: one.options for one in steps if one.command == "engage"}.values()
    closed = {one.alert: one.options for one in steps if one.command == "outcome"}.values()
    false = [one for one in closed if one["truth"] == "false"]
    return {
        "corrections": sum("correct" in one.options for one in steps),
        "powers": _tally(one["power"] for one in engaged),
        "force": _tally(one["force"] for one in engaged),
        "engagement_min": tuple(sorted(float(one["minutes"]) for one in engaged)),
        "searched": sum("searched" in one for one in engaged),
        "explained": sum("explained" in one for one in engaged),
        "complaint_route": sum("complaint-route" in one for one in engaged),
        "truth": _tally(one["truth"] for one in closed),
        "truth_known_by": _tally(one.get("proof", "not-known") for one in closed),
        "grounds": _tally(one.get("grounds", "not-recorded") for one in closed if one["truth"] == "true"),
        "outcomes": _tally(one["outcome"] for one in closed if "outcome" in one),
        "arrests_from_alerts": sum(int(one.get("arrests", 0)) for one in closed),
        "causes": _tally(one.get("cause", "not-known") for one in false),
        "false_by_sex": _tally(one["sex"].split(",")[0] for one in false),
        "false_by_age": _tally(one["age"].split(",")[0] for one in false),
        "false_by_ethnicity": _tally(one["ethnicity"].split(",")[0] for one in false),
        "false_known_by": _tally((*one["ethnicity"].split(","), "not-recorded")[1] for one in false),
    }


def _disagreements(steps: Sequence[Done]) -> int:
    """Count alerts of which two people had said different things when both had."""
    verdicts: dict[str, dict[str, str]] = {}
    for one in steps:
        if one.command == "assess":
            of = verdicts.setdefault(one.alert, {})
            if "correct" in one.options and one.who not in of:
                of.clear()  # where one person assesses, anybody's correction takes the place of what was said
            if len(of) < 2:
                of[one.who] = "engage" if "engage" in one.options else "dismiss"
    return sum(len(set(by.values())) > 1 for by in verdicts.values())


def _tally(codes: Iterable[str]) -> dict[str, int]:
    return dict(Counter(codes))
