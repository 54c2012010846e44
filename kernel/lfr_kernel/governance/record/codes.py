"""What the codes in a record mean, for whoever does not know them. Those of a pack have their titles in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AGES", "CAUSES", "CONVICTION", "ENDINGS", "FINDINGS", "FORCE", "GROUNDS", "KNOWN", "OUTCOMES",
    "PROOFS", "SEXES", "STAGES", "STATES", "TRUTHS", "WHYS", "lost",
]  # fmt: skip

NOT_RECORDED = "Not recorded"

STATES: Mapping[str, str] = {
    "open": "Open: nobody looked",
    "viewed": "Looked at, not decided",
    "assessed": "Two people disagreed, and no third decided",
    "dismissed": "Dismissed: nobody was to be engaged",
    "engage": "Decided to engage; no engagement recorded",
    "engaged": "Somebody was engaged; no outcome recorded",
    "outcome": "Closed with an outcome",
}
TRUTHS: Mapping[str, str] = {
    "true": "True: the right person",
    "false": "False: somebody else",
    "not-established": "Not established",
}
PROOFS: Mapping[str, str] = {
    "document": "By a document",
    "biometric": "By fingerprints or the like",
    "known-person": "Somebody there knew the person",
    "said-so": "The person said so",
    "compared-images": "Only the pictures were compared again",
    "not-known": "Not known",
}
GROUNDS: Mapping[str, str] = {
    "valid": "The grounds still stood",
    "expired": "The grounds had expired",
    "none": "There were no grounds",
    "not-recorded": NOT_RECORDED,
}
OUTCOMES: Mapping[str, str] = {
    "arrest": "Arrest",
    "other-lawful-outcome": "Another lawful outcome",
    "no-power-to-act": "No power to act",
    "no-further-action": "No further action",
    "not-found": "Not found: the person had gone",
    "none": "No outcome recorded",
}
CAUSES: Mapping[str, str] = {
    "light": "Light",
    "angle": "Angle of the face",
    "occlusion": "Face partly covered",
    "low-quality": "Poor picture",
    "look-alike": "Look-alike",
    "twin-or-kin": "Twin or kin",
    "list-error": "Error in the watchlist",
    "not-known": "Not known",
}
FORCE: Mapping[str, str] = {
    "none": "No force",
    "handcuffs": "Handcuffs",
    "physical": "Physical force",
    "equipment": "Equipment",
}
SEXES: Mapping[str, str] = {"female": "Female", "male": "Male"}
AGES: Mapping[str, str] = {
    "under-18": "Under 18",
    "18-24": "18 to 24",
    "25-34": "25 to 34",
    "35-49": "35 to 49",
    "50-64": "50 to 64",
    "65-and-over": "65 and over",
}
KNOWN: Mapping[str, str] = {
    "self-defined": "The person said so",
    "observed-in-person": "Observed in person",
    "observed-from-image": "Observed from a picture",
    "not-recorded": NOT_RECORDED,
}
CONVICTION: Mapping[str, str] = {
    "convicted": "Convicted",
    "not-convicted": "Not convicted",
    "unknown": "Unknown",
    "not-applicable": "Does not apply to the source",
}
FINDINGS: Mapping[str, str] = {
    "ok": "Right in every respect",
    "wrong-person": "The photograph shows somebody else",
    "grounds-lapsed": "The reason to list the person held no more",
    "poor-photograph": "Nobody could be recognised by the photograph",
    "wrong-category": "The category is another one",
    "not-lawfully-held": "Nobody can say by what right the photograph is held",
    "skipped": "Drawn, but not checked",
}
ENDINGS: Mapping[str, str] = {
    "completed": "Completed",
    "revoked": "Revoked: the authority was withdrawn",
    "abandoned": "Abandoned: it was never opened",
    "failed": "Failed: its last run broke off",
    "saw nobody": "Empty: it was opened, and no face passed",
}
STAGES: Mapping[str, str] = {
    "authorised": "Authorised, not opened yet",
    "open": "Open",
    "ending": "Ending: its list is about to be wiped",
    "closed": "Closed: its list is wiped",
}
WHYS: Mapping[str, str] = {
    "clock": "the authorised end came",
    "boot-clock": "the authorised end came, by the clock that nobody sets",
    "closed": "somebody closed it",
    "revoked": "the authority was withdrawn",
    "stopped": "the run was ended",
    "failed": "the run failed",
    "cut-off": "nothing says when: a crash, or a loss of power",
    "clock_jumped": "the clock was set forward",
    "unopened": "its time passed before anybody opened it",
}
_GATES: Mapping[str, str] = {
    "low_confidence": "no face found with enough confidence",
    "too_small": "face too small",
    "turned_away": "face turned away",
    "too_dark": "too dark",
    "overexposed": "too bright",
    "blurred": "blurred",
    "occluded": "face covered",
}
_LOST: Mapping[str, str] = {
    "nobody_listed": "Nobody was on the list",
    "no_face_wanted": "No face could be used",
    "restart": "Cut short by a restart",
    "stopped": "Cut short by the end of a run",
    "late": "The search came too late",
}


def lost(code: str) -> str:
    """Return why nothing could be searched of a passage."""
    for prefix, text in (("gated_", "No face good enough"), ("probe_", "The search was lost")):
        if code.startswith(prefix):
            rest = code.removeprefix(prefix)
            return f"{text}: {_GATES.get(rest, rest.replace('_', ' '))}"
    return _LOST.get(code, code.replace("_", " ").capitalize())
