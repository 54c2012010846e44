"""Records and figures as they may come: a busy one, an empty one, one that was never opened, and a hostile one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.deployment.statements import Head
from lfr_kernel.governance.record.statements import (
    Calibration,
    Counted,
    Evidence,
    Grounds,
    ListPart,
    Record,
    Sampled,
    Span,
    Suspension,
    ThresholdSpan,
)
from lfr_kernel.governance.record.statistics import figures_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_kernel.governance.record.figures import Figures

HOSTILE = (
    '<script>alert(1)</script> #eval("1+1") $x$ `code` **bold** [link](https://evil.example) {{ 7*7 }} {% raw %} '
    '| pipe | &lt; =HYPERLINK("x") \u202eesrever \x1b[31mred\x07 \U0001f600 \u4e2d\u6587 \U000f0000 @everyone '
    + "w"
    * 100
)
FORMULA = '=cmd|"/c calc"!A0'


def figures(counted: Counted, *, calibrations: Sequence[Calibration] = ()) -> Figures:
    """What the product makes of it."""
    return figures_of(counted, group_ratio=2, calibrations=calibrations)


BUSY = Counted(
    seen=12_120,
    lost={"gated_too_small": 731, "gated_blurred": 212, "no_face_wanted": 64, "probe_late": 9, "restart": 5},
    raised=47,
    not_actionable=2,
    unread=1,
    states={"outcome": 29, "dismissed": 13, "viewed": 2, "engaged": 2, "open": 1},
    expired_open=3,
    truth={"true": 34, "false": 8, "not-established": 2},
    truth_known_by={"document": 21, "biometric": 7, "known-person": 2, "said-so": 4, "compared-images": 10},
    grounds={"valid": 31, "expired": 2, "not-recorded": 1},
    disagreements=3,
    corrections=1,
    decision_s=(3, 5, 6, 7, 7, 8, 9, 9, 11, 12, 14, 15, 17, 21, 24, 26, 31, 38, 44, 71),
    looked_s=(
        0.8,
        1.9,
        2.4,
        3.0,
        3.1,
        4.4,
        5.0,
        5.2,
        6.0,
        6.1,
        7.5,
        9.0,
        9.9,
        12.0,
        14.2,
        15.0,
        20.3,
        22.0,
        30.4,
        41.0,
    ),
    engagement_min=(2.0, 3.5, 4.0, 5.0, 6.0, 7.5, 9.0, 12.0, 18.0, 41.0),
    powers={"warrant": 6, "pace-24": 3, "none": 1},
    searched=4,
    force={"none": 7, "handcuffs": 3},
    explained=9,
    complaint_route=8,
    outcomes={"arrest": 9, "no-further-action": 14, "not-found": 4, "other-lawful-outcome": 2},
    arrests_from_alerts=9,
    causes={"look-alike": 4, "light": 2, "twin-or-kin": 1, "not-known": 1},
    false_by_sex={"male": 6, "female": 2},
    false_by_age={"18-24": 4, "25-34": 2, "not-recorded": 2},
    false_by_ethnicity={"black": 5, "white": 2, "asian": 1},
    false_known_by={"self-defined": 6, "observed-in-person": 2},
    outcomes_under_18={"none": 1},
    outcomes_vulnerable={"other-lawful-outcome": 1},
)

RECORD = Record(
    organisation="Example Police",
    installation="7c1f3a4f0c6d4b6a9a3f0e6d1c2b3a49",
    installation_name="van-3",
    serial=14,
    after=Head(number=1_902, digest="a1" * 32),
    head=Head(number=2_417, digest="b2" * 32),
    made="2030-05-05T09:12:44.250000000Z",
    is_final=True,
    pack="uk-met",
    pack_digest="c3" * 32,
    mark="",
    group_ratio=2,
    titles=Titles(
        categories={
            "wanted-court": "Wanted by the courts",
            "missing-at-risk": "Missing and at increased risk of harm",
        },
        sources={
            "custody": "Custody image, lawfully held",
            "missing-report": "Given to the police with the report of a missing person",
        },
        powers={
            "none": "No power: a conversation, or a check on somebody's welfare",
            "warrant": "Arrest under the warrant of a court",
            "pace-24": "Arrest without warrant, Police and Criminal Evidence Act 1984 s.24",
        },
        ethnic_groups={
            "asian": "Asian or Asian British",
            "black": "Black, Black British, Caribbean or African",
            "white": "White",
        },
    ),
    grounds=Grounds(
        id="EX/2030-014",
        purpose="To find people wanted by the courts who are likely to pass the station on market day",
        legal_basis="common-law",
        legal_basis_title="Common law powers of the police, with Data Protection Act 2018 s.35 and Schedule 8",
        place="Station Square, north entrance",
        place_grounds="Four of nine warrants of the last month were executed within 300 m of it",
        criteria="People with a warrant of a court in force on the day, for an offence that can lead to prison",
        categories=("wanted-court", "missing-at-risk"),
        cameras=("north", "south"),
        contact="https://police.example/lfr, telephone 000 0000",
        is_assembly=False,
        authorising_officer="A. Example, superintendent",
        higher_authority=None,
        starts="2030-05-04T09:00:00.000000000Z",
        ends="2030-05-04T16:00:00.000000000Z",
        extensions=1,
        signed_by="person ada",
        signed_at="2030-05-03T15:40:12.000000000Z",
        missing=("refers to no equality assessment",),
    ),
    stage="closed",
    ending="completed",
    why="clock",
    opened="2030-05-04T09:02:10.000000000Z",
    ended="2030-05-04T16:00:00.000000000Z",
    captured=(
        Span(starts="2030-05-04T09:02:31.000000000Z", ends="2030-05-04T12:40:02.000000000Z", why="stopped"),
        Span(starts="2030-05-04T12:44:50.000000000Z", ends="2030-05-04T16:00:00.000000000Z", why="clock"),
    ),
    model="d4" * 32,
    watchlist=ListPart(
        entries=1_312,
        people=1_207,
        withdrawn=3,
        categories={"wanted-court": 1_263, "missing-at-risk": 49},
        sources={"custody": 1_263, "missing-report": 49},
        conviction_status={"convicted": 804, "not-convicted": 377, "unknown": 82, "not-applicable": 49},
        under_18=17,
        vulnerable=49,
        samples=(Sampled(n=50, findings={"ok": 48, "grounds-lapsed": 1, "poor-photograph": 1}),),
    ),
    thresholds=(
        ThresholdSpan(threshold=0.64, seconds=13_051, since="2030-05-04T09:02:31.000000000Z", by=(), reason=None),
        ThresholdSpan(
            threshold=0.66,
            seconds=11_710,
            since="2030-05-04T12:44:50.000000000Z",
            by=("person dee (operator)", "person ada (authoriser)"),
            reason="false-alerts",
        ),
    ),
    evidence=(
        Evidence(
            state="outside",
            report="e5" * 32,
            report_class="benchmark",
            reasons=("the list has 1207 people, and 1000 were tested", "tested by daylight, used after dark"),
        ),
    ),
    suspensions=(Suspension(at="2030-05-04T12:40:02.000000000Z", false=6, seen=5_404),),
    calibrations=(Calibration(people=118, passages=158, by="person eve", how="north entrance, 11:00 to 11:15"),),
    arrests_in_operation=13,
    counted=BUSY,
)

EMPTY = structs.replace(
    RECORD,
    counted=Counted(),
    arrests_in_operation=None,
    calibrations=(),
    suspensions=(),
    captured=RECORD.captured[:1],
    ending="saw nobody",
)
NEVER = structs.replace(
    EMPTY,
    opened=None,
    captured=(),
    ending="abandoned",
    why="unopened",
    model=None,
    thresholds=(),
    evidence=(),
    watchlist=ListPart(
        entries=1_312,
        people=None,
        withdrawn=0,
        categories={},
        sources={},
        conviction_status={},
        under_18=None,
        vulnerable=None,
        samples=(),
    ),
)
QUIET = structs.replace(
    EMPTY,
    counted=Counted(
        seen=12_000, raised=3, states={"outcome": 3}, truth={"true": 3}, decision_s=(4, 5, 6), looked_s=(2.0, 2.5, 4.5)
    ),
    ending="completed",
)
DRAFT = structs.replace(
    RECORD,
    is_final=False,
    stage="open",
    ending=None,
    why="",
    ended=None,
    mark="DEMONSTRATION: not an operational deployment",
)


def hostile(text: str = HOSTILE) -> Record:
    """A record in which everything that people can write is hostile."""
    grounds = {
        name: (text if isinstance(value, str) and name not in {"starts", "ends", "signed_at"} else value)
        for name, value in structs.asdict(RECORD.grounds).items()
    }
    return structs.replace(
        RECORD,
        organisation=text,
        installation_name=text,
        mark=text,
        titles=Titles(**{name: dict.fromkeys(codes, text) for name, codes in structs.asdict(RECORD.titles).items()}),
        why=text,
        grounds=structs.replace(
            RECORD.grounds, **{**grounds, "categories": (text,), "cameras": (text,), "missing": (text,)}
        ),
        evidence=(Evidence(state="outside", report="e5" * 32, report_class=text, reasons=(text,)),),
        calibrations=(Calibration(people=1, passages=1, by=text, how=text),),
        counted=structs.replace(BUSY, lost={text: 3}, causes={text: 8}, powers={text: 10}),
    )
