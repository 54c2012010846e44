"""Forty alerts of one morning, as data: what people do with each of them, line by line, as they type it.

A line is WHO COMMAND OPTIONS: `dee assess --engage` is `lfr-kernel alerts assess ALERT --engage --as dee`, and `dee
show` is for the reason `assess` unless it says another. `wait 5` lets five seconds pass. `Refused` is a line that is to
fail, with what is said of it. Two people assess, dee and dan, and dot decides where they disagree.
"""

from __future__ import annotations

from typing import NamedTuple

from lfr_kernel.governance.record.statements import Counted

__all__ = ["COUNTED", "FEW", "FORTY", "OF_ALL", "RECALLED", "SINGLE", "Planted", "Refused"]


class Refused(NamedTuple):
    """A line that is refused."""

    line: str
    because: str


class Planted(NamedTuple):
    """An alert, and what becomes of it."""

    what: str
    lines: tuple[str | Refused, ...]
    entry: int = 0
    """Of the list: who is proposed."""


UNDER_18, VULNERABLE, BOTH, RECALLED = 1, 2, 3, 4

LOOKS = ("dee show", "wait 2", "dan show", "wait 3")
DISMISS = (*LOOKS, "dee assess --dismiss", "dan assess --dismiss")
"""Decided 5 s after it was raised."""
ENGAGE = (*LOOKS, "dee assess --engage", "wait 4", "dan assess --engage")
"""9 s after."""
SPLIT = (*LOOKS, "dee assess --engage", "wait 1", "dan assess --dismiss")
"""Two disagree, 6 s after it was raised."""
TOLD = "--explained --complaint-route"
TALK = f"dee engage --power none --force none --minutes 4 --not-searched {TOLD}"
NOBODY_SAID = "--sex not-recorded --age not-recorded --ethnicity not-recorded"
RIGHT = "--truth true --grounds valid --proof"
NO_ACTION, OTHER, ARREST = (
    "dee outcome --outcome no-further-action",
    "dee outcome --outcome other-lawful-outcome",
    "dee outcome --outcome arrest",
)
GONE = "dee outcome --outcome not-found"

FORTY = (
    Planted("one of two assesses it, and the other never does", (
        *LOOKS, "dee assess --dismiss", "dan show", "dee show",
        Refused("dee assess --dismiss", "dee has assessed this alert already"),
        Refused("dan assess --dismiss --correct", "there is no assessment to correct"),
        Refused("dee export --to RECIPIENT --out secret.json.sealed --reason court", "neither of whom may see"),
        Refused(TALK, "not decided on yet"),
        Refused("dee outcome --truth not-established", "expected a decision on it first"),
    )),
    Planted("dismissed; it was the right person", (
        *DISMISS,
        Refused(f"{ARREST} --arrests 1 {RIGHT} document", "expected whether it was true or false, and no --outcome"),
        f"dee outcome {RIGHT} known-person",
    )),
    Planted("dismissed; it was somebody else", (
        *DISMISS, f"dan outcome --truth false --proof compared-images --cause look-alike {NOBODY_SAID}",
    )),
    Planted("dismissed; nobody could find out", (*DISMISS, "dee outcome --truth not-established")),
    Planted("arrested", (
        *ENGAGE,
        Refused(f"{ARREST} --arrests 1 {RIGHT} document", "no engagement is recorded"),
        f"dee engage --power pace-24 --force handcuffs --minutes 12 --searched {TOLD} --text 'came along'",
        Refused(f"{GONE} --truth not-established", "expected what came of it"),
        "wait 50",
        Refused("dee assess --dismiss --correct", "what was decided then stands"),
        f"{ARREST} --arrests 1 {RIGHT} document --case C/5",
        Refused(f"{ARREST} --arrests 1 {RIGHT} document", "the outcome is recorded already"),
        "dee export --to RECIPIENT --out arrest.json.sealed --reason court --text 'for the case file'",
    )),
    Planted("two are arrested on one alert", (
        *ENGAGE,
        f"dee engage --power warrant --force physical --minutes 30 --searched {TOLD}",
        f"{ARREST} --arrests 2 {RIGHT} biometric",
    )),
    Planted("the right person, on grounds that had expired", (
        *ENGAGE,
        f"dee engage --power order --force none --minutes 6 --not-searched {TOLD}",
        f"{OTHER} --truth true --proof known-person --grounds expired",
    )),
    Planted("the right person, on no grounds", (
        *ENGAGE,
        f"dee engage --power none --force none --minutes 3 --not-searched {TOLD}",
        "dee outcome --outcome no-power-to-act --truth true --proof said-so --grounds none",
    )),
    Planted("told nothing, and nobody wrote down whether the grounds stood", (
        *ENGAGE,
        "dee engage --power pace-24 --force none --minutes 5 --not-searched --not-explained --no-complaint-route",
        f"{NO_ACTION} --truth true --proof document",
    )),
    Planted("held up long, by force", (
        *ENGAGE,
        f"dan engage --power bail-7 --force equipment --minutes 45 --searched {TOLD}",
        f"{OTHER} {RIGHT} biometric",
    )),
    Planted("engaged; nobody could find out who it was", (
        *ENGAGE,
        "dee engage --power none --force none --minutes 2 --not-searched --explained --no-complaint-route",
        f"{NO_ACTION} --truth not-established",
    )),
    Planted("engaged; nobody wrote down what came of it", (
        *ENGAGE, f"dee engage --power pace-1 --force none --minutes 10 --searched {TOLD}",
        Refused(TALK, "the engagement is recorded already"),
    )),
    Planted("decided to engage, and nobody wrote down anything more", ENGAGE),
    Planted("gone", (*ENGAGE, f"{GONE} --truth not-established")),
    Planted("gone, and it was the right person", (*ENGAGE, f"{GONE} {RIGHT} known-person")),
    Planted("gone; that it was the right person is taken back", (
        *ENGAGE, f"{GONE} {RIGHT} compared-images", f"{GONE} --truth not-established --correct",
    )),
    Planted("somebody else: light", (
        *ENGAGE, TALK,
        Refused(f"{NO_ACTION} --truth false --proof document", "expected sex of whoever was falsely alerted on"),
        (f"{NO_ACTION} --truth false --proof document --cause light --sex 'male,observed-in-person,PC 1' "
        "--age '25-34,observed-in-person,PC 1' --ethnicity 'black,self-defined,PC 1'"),
        "eva show --reason complaint",
        "eva export --to RECIPIENT --out complaint.json.sealed --reason subject-access",
        Refused("eva assess --dismiss", "needs the role operator"),
    )),
    Planted("somebody else: angle", (
        *ENGAGE, TALK,
        (f"{NO_ACTION} --truth false --proof said-so --cause angle --sex 'female,self-defined,PC 2' "
        "--age '18-24,self-defined,PC 2' --ethnicity 'white,self-defined,PC 2'"),
    )),
    Planted("dismissed; somebody else: a covered face", (
        *DISMISS,
        ("dee outcome --truth false --proof compared-images --cause occlusion --sex 'male,observed-from-image,dee' "
        "--age not-recorded --ethnicity 'asian,observed-from-image,dee'"),
    )),
    Planted("somebody else: a poor picture", (
        *ENGAGE, TALK,
        (f"{NO_ACTION} --truth false --proof biometric --cause low-quality --sex 'male,observed-in-person,PC 1' "
        "--age '35-49,observed-in-person,PC 1' --ethnicity not-recorded"),
    )),
    Planted("somebody else: a look-alike, searched", (
        *ENGAGE,
        f"dee engage --power misuse-of-drugs-23 --force handcuffs --minutes 15 --searched {TOLD}",
        (f"{NO_ACTION} --truth false --proof document --cause look-alike --sex 'female,observed-in-person,PC 3' "
        "--age '50-64,observed-in-person,PC 3' --ethnicity 'mixed,observed-in-person,PC 3'"),
    )),
    Planted("somebody else: a brother", (
        *ENGAGE, TALK,
        (f"{NO_ACTION} --truth false --proof known-person --cause twin-or-kin --sex 'male,observed-in-person,PC 3' "
        "--age '65-and-over,self-defined,PC 3' --ethnicity 'another,self-defined,PC 3'"),
    )),
    Planted("somebody else: the wrong photograph was listed", (
        *ENGAGE, TALK,
        (f"{NO_ACTION} --truth false --proof document --cause list-error --sex not-recorded "
        "--age 'under-18,observed-in-person,PC 1' --ethnicity 'black,observed-in-person,PC 1'"),
    )),
    Planted("dismissed; somebody else, nobody knows why; the entry was recalled meanwhile", (
        *DISMISS,
        ("dee outcome --truth false --proof compared-images --sex 'male,observed-from-image,dee' "
        "--age '25-34,observed-from-image,dee' --ethnicity 'white,observed-from-image,dee'"),
    ), RECALLED),
    Planted("one corrects their assessment, so that two differ after all; the third engages", (
        *ENGAGE,
        "wait 3", "dee assess --dismiss --correct",
        "dot show", "dot assess --engage --text 'the scar'",
        TALK, f"{NO_ACTION} {RIGHT} document",
    )),
    Planted("both correct their decision to engage", (
        *ENGAGE,
        Refused("dot assess --dismiss --correct", "there is no assessment to correct"),
        "dee assess --dismiss --correct", "dan assess --dismiss --correct",
        Refused(TALK, "this alert is dismissed"),
    )),
    Planted("an engagement is corrected", (
        *ENGAGE,
        f"dee engage --power pace-24 --force handcuffs --minutes 8 --not-searched {TOLD}",
        f"dee engage --power pace-24 --force none --minutes 6 --not-searched {TOLD} --correct",
        f"{NO_ACTION} {RIGHT} document",
    )),
    Planted("false by mistake, which suspends alerts; true after all", (
        *ENGAGE,
        f"dee engage --power pace-24 --force handcuffs --minutes 8 --not-searched {TOLD}",
        f"{NO_ACTION} --truth false --proof document --cause look-alike {NOBODY_SAID}",
        f"{ARREST} --arrests 1 {RIGHT} biometric --correct",
        "eva resume --reason recorded-by-mistake",
    )),
    Planted("true by mistake; false after all, which suspends alerts", (
        *ENGAGE,
        f"dee engage --power pace-24 --force handcuffs --minutes 20 --searched {TOLD}",
        f"{ARREST} --arrests 1 {RIGHT} said-so",
        (f"{NO_ACTION} --truth false --proof biometric --cause twin-or-kin --sex 'male,observed-in-person,PC 1' "
        "--age '25-34,self-defined,PC 1' --ethnicity 'black,self-defined,PC 1' --correct"),
        "ada resume --reason evidence-reviewed --text 'looked at all of them'",
    )),
    Planted("dismissed; false, which suspends alerts again; taken back, which suspends nothing", (
        *DISMISS,
        Refused("dee outcome --truth not-established --correct", "there is no outcome to correct"),
        "dee outcome --truth not-established",
        f"dee outcome --truth false --proof compared-images {NOBODY_SAID} --correct",
        "eva resume --reason cause-removed",
        "dee outcome --truth not-established --correct",
    )),
    Planted("two disagree, the third engages, and then the first thinks better of it", (
        *SPLIT,
        Refused(TALK, "waiting for a third person"),
        Refused("dot assess --dismiss", "dot has not looked at this alert yet"),
        "dot show", "wait 3", "dot assess --engage",
        Refused("dot assess --engage", "dot has assessed this alert already"),
        "dee assess --dismiss --correct",
    )),
    Planted("two disagree, and the third engages", (
        *SPLIT, "dot show", "wait 3", "dot assess --engage", TALK, f"{OTHER} {RIGHT} document",
    )),
    Planted("two disagree, and there is no third", (*SPLIT, "dan show")),
    Planted("two disagree, and a third decides, since neither may join the other; gone", (
        *SPLIT, Refused("dan assess --engage --correct", "each knows by now what the other said"),
        "dot show", "dot assess --engage", f"{GONE} --truth not-established",
    )),
    Planted("too late for anybody to act on", (
        "wait 40", "dee show", "dan show",
        Refused("dee assess --engage", "came too late for anybody to act on it"),
        "dee assess --dismiss", "dan assess --dismiss",
    )),
    Planted("too late, looked at, and left", ("wait 40", "dan show")),
    Planted("under 18", (*ENGAGE, TALK, f"{NO_ACTION} {RIGHT} known-person"), UNDER_18),
    Planted("vulnerable", DISMISS, VULNERABLE),
    Planted("under 18 and vulnerable", (*ENGAGE, TALK, f"{OTHER} {RIGHT} said-so"), BOTH),
    Planted("nobody ever looks at it", ()),
)  # fmt: skip

SINGLE = (
    Planted("where one person assesses, somebody else corrects them, and arrests", (
        "dee show", "wait 2", "dee assess --dismiss",
        Refused("dan assess --engage --correct", "dan has not looked at this alert yet"),
        "dan show", "dan assess --engage --correct",
        f"dan engage --power warrant --force none --minutes 7 --not-searched {TOLD}",
        f"{ARREST} --arrests 1 {RIGHT} document",
    )),
    Planted("dismissed", ("dan show", "wait 3", "dan assess --dismiss")),
)  # fmt: skip
"""Of a deployment in which one person assesses."""

FEW = (
    Planted("where in doubt nobody is stopped, two who disagree dismiss", (
        *SPLIT, Refused("dot assess --engage", "dot has not looked at this alert yet"), Refused(TALK, "is dismissed"),
    )),
    Planted("somebody else", (
        *ENGAGE, TALK,
        (f"{NO_ACTION} --truth false --proof document --cause light --sex 'male,self-defined,PC 1' "
        "--age '25-34,self-defined,PC 1' --ethnicity 'white,self-defined,PC 1'"),
    )),
    Planted("nobody looks", ()),
)  # fmt: skip
"""Of one in which two assess, and nobody is stopped where they disagree."""

COUNTED = Counted(
    seen=12_345,
    lost={"gated_too_small": 20, "probe_late": 3},
    raised=40,
    not_actionable=2,
    states={"open": 1, "viewed": 2, "assessed": 1, "dismissed": 10, "engage": 1, "engaged": 1, "outcome": 24},
    expired_open=4,
    truth={"true": 14, "false": 10, "not-established": 6},
    truth_known_by={
        "document": 8, "biometric": 5, "known-person": 5, "said-so": 3, "compared-images": 3, "not-known": 6,
    },
    grounds={"valid": 11, "expired": 1, "none": 1, "not-recorded": 1},
    disagreements=4,
    corrections=10,
    decision_s=(*[5] * 7, 6, *[9] * 27, 40),
    looked_s=(0.0, 0.0, *[3.0] * 9, *[7.0] * 25),
    engagement_min=(2.0, 3.0, *[4.0] * 9, 5.0, 6.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 45.0),
    powers={
        "none": 11, "pace-24": 5, "warrant": 1, "order": 1, "bail-7": 1, "pace-1": 1, "misuse-of-drugs-23": 1,
    },
    searched=6,
    force={"none": 15, "handcuffs": 4, "physical": 1, "equipment": 1},
    explained=20,
    complaint_route=19,
    outcomes={
        "arrest": 3, "other-lawful-outcome": 4, "no-power-to-act": 1, "no-further-action": 12, "not-found": 4,
    },
    arrests_from_alerts=4,
    causes={
        "light": 1, "angle": 1, "occlusion": 1, "low-quality": 1, "look-alike": 2, "twin-or-kin": 2, "list-error": 1,
        "not-known": 1,
    },
    false_by_sex={"male": 6, "female": 2, "not-recorded": 2},
    false_by_age={
        "under-18": 1, "18-24": 1, "25-34": 3, "35-49": 1, "50-64": 1, "65-and-over": 1, "not-recorded": 2,
    },
    false_by_ethnicity={"black": 3, "white": 2, "asian": 1, "mixed": 1, "another": 1, "not-recorded": 2},
    false_known_by={"self-defined": 4, "observed-in-person": 2, "observed-from-image": 2, "not-recorded": 2},
    outcomes_under_18={"no-further-action": 1, "other-lawful-outcome": 1},
    outcomes_vulnerable={"none": 1, "other-lawful-outcome": 1},
)  # fmt: skip
"""Of the forty, counted by hand from the table."""
OF_ALL = {"seen": 12_845, "raised": 45, "true": 15, "false": 11, "arrests": 5, "disagreements": 5, "corrections": 11}
"""The five deployments together, likewise."""
