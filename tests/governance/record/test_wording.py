"""A record in words: what it says, and what it never says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from governance.record import samples
from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.record.figures import Estimate
from lfr_kernel.governance.record.page import Note, Paragraph, Rows, Table, Tiles, text_of
from lfr_kernel.governance.record.phrases import duration, estimate, moment, one_in, per_cent, similarity
from lfr_kernel.governance.record.statements import Counted, Evidence, Span
from lfr_kernel.governance.record.wording import counted_sections, document_of, rolled_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.record.page import Block, Document, Section
    from lfr_kernel.governance.record.statements import Record


def document(record: Record) -> Document:
    return document_of(record, samples.figures(record.counted))


def words(*blocks: Block) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Paragraph | Note):
            yield block.text
        elif isinstance(block, Rows):
            yield from (f"{label}: {text_of(cell)}" for label, cell in block.rows)
        elif isinstance(block, Tiles):
            yield from (f"{tile.label}: {text_of(tile.cell)} {tile.note}" for tile in block.tiles)
        elif isinstance(block, Table):
            yield block.caption
            yield from (" | ".join(map(text_of, row)) for row in block.rows)


def said(shown: Document, title: str = "") -> str:
    parts = [one for one in shown.sections if title in {"", one.title}]
    assert parts, title
    return "\n".join(line for one in parts for line in words(*one.blocks))


def section(sections: tuple[Section, ...], title: str) -> Section:
    return next(one for one in sections if one.title == title)


def test_both_denominators_stand_side_by_side_with_their_intervals() -> None:
    text = said(document(samples.RECORD), "How often it was wrong")
    assert "Best case: false alerts per passage | 8 of 12,120 | 0.066 % | 1 in 1,520 | 0.029 % to 0.13 %" in text
    assert "Best case: false alerts per alert | 8 of 47 | 17 % | 1 in 5.9 | 7.6 % to 31 %" in text
    assert "Per alert, if all not established were false | 13 of 47 | 28 %" in text


def test_no_false_alert_is_no_promise_of_none() -> None:
    text = said(document(samples.QUIET))
    assert (
        "With 0 false alerts among 12,000 passages, the true rate may still be up to about 3 in 12,000, or 0.025 %, "
        "with 95 % confidence: none seen is not none to come." in text
    )
    # Of three alerts 3 / n would be a promise of nothing at all: the exact bound stands alone.
    assert "With 0 false alerts among 3 alerts, the true rate may still be up to 63 %" in text


def test_where_nobody_established_some_the_best_case_is_not_given_as_the_result() -> None:
    counted = Counted(seen=10, raised=5, states={"outcome": 1, "open": 4}, truth={"true": 1})
    record = structs.replace(samples.RECORD, counted=counted)
    text = said(document(record), "In short")
    assert "False alerts: 0 0 to 40 % of passages; 0 to 80 % of alerts" in text
    for n, what in ((10, "passages"), (5, "alerts")):
        assert f"With 0 false alerts among {n} {what}, if all of those not established were true, the true rate" in text
    assert "in the worst case all were, and 4 of 5 alerts (80 %), or 40 % of all passages, were false" in text
    rows = said(document(record), "How often it was wrong")
    assert "Best case: false alerts per passage | 0 of 10" in rows
    assert "Best case: false alerts per alert | 0 of 5" in rows


def test_where_all_were_established_there_is_no_best_case() -> None:
    text = said(document(samples.QUIET))
    assert "False alerts: 0 0 % of passages; 0 % of alerts" in text
    assert "Best case" not in text
    assert "not established were true" not in text


def test_both_rates_come_first_with_their_intervals_if_there_were_false_alerts() -> None:
    text = said(document(samples.RECORD), "In short")
    assert "8 false alerts among 12,120 passages are 0.066 %, 1 in 1,520, if all of those not established were" in text
    assert "true; chance leaves open rates from 0.029 % to 0.13 %." in text
    assert "8 false alerts among 47 alerts are 17 %, 1 in 5.9, if all of those not established were true; " in text
    assert "chance leaves open rates from 7.6 % to 31 %." in text
    assert "13 of 47 alerts (28 %), or 0.11 % of all passages, were false" in text


def test_nobody_is_told_that_nearly_all_are_one_in_one_or_given_a_bound_of_being_right() -> None:
    counted = Counted(seen=100, raised=10, truth={"true": 2, "false": 8})
    text = said(document(structs.replace(samples.RECORD, counted=counted)), "How often it was wrong")
    assert "False alerts per alert | 8 of 10 | 80 % | \N{EN DASH} | 44 % to 97 % | 96 %" in text
    assert "8 false alerts among 10 alerts are 80 %; chance" in text
    assert "True alerts per alert | 2 of 10 | 20 % | 1 in 5 | 2.5 % to 56 % | \N{EN DASH}" in text


def test_groups_come_with_n_interval_test_and_power() -> None:
    text = said(document(samples.RECORD), "False alerts by group")
    assert "False alerts by recorded ethnicity (8 recorded)" in text
    assert "Black, Black British, Caribbean or African | 5 | 63 % | 24 % to 91 % | 29 %" in text
    # A row for each share of those who passed: p of each group, the power, and the smallest ratio.
    assert "10 % | <0.001 | 0.19 | 0.57 | 16 % | 7.73\n" in text
    assert "50 % | 0.73 | 0.29 | 0.070 | 3.9 % | 35.4\n" in text
    assert "Of 2 false alerts the age band was not recorded." in text
    assert "Software infers them of nobody" in text


def test_an_attribute_that_nobody_recorded_is_said_to_be_missing() -> None:
    counted = structs.replace(samples.BUSY, false_by_sex={"not-recorded": 8})
    record = structs.replace(samples.RECORD, counted=counted)
    assert "The sex was recorded of none of the 8 false alerts." in said(document(record), "False alerts by group")


def test_what_is_missing_is_said_in_plain_words() -> None:
    nothing = Evidence(state="none", report=None, report_class=None, reasons=())
    watchlist = structs.replace(samples.RECORD.watchlist, samples=())
    text = said(document(structs.replace(samples.RECORD, evidence=(nothing,), watchlist=watchlist)))
    assert "No evidence of accuracy or of equal treatment is on file" in text
    assert "Missing: The authority refers to no equality assessment" in text
    assert "No dip sample of the list was taken." in text


def test_arrests_from_alerts_stand_beside_all_arrests_of_the_operation() -> None:
    text = said(document(samples.RECORD), "Outcomes")
    assert "Arrests that came from alerts: 9" in text
    assert "All arrests in the operation, whatever they came from: 13" in text
    assert "Of 4 arrests in the operation nobody recorded that it came from an alert" in text
    unsaid = structs.replace(samples.RECORD, arrests_in_operation=None)
    assert "whatever they came from: Nobody said" in said(document(unsaid), "Outcomes")


def test_a_similarity_is_never_a_percentage() -> None:
    text = said(document(samples.RECORD), "Model, threshold and evidence")
    assert "0.64 | 3 h 37 min" in text
    assert "person dee (operator) and person ada (authoriser)" in text
    assert "%" not in text.replace("it is not a percentage", "")


def test_the_time_from_the_alert_is_told_apart_from_the_time_from_first_seeing_it() -> None:
    text = said(document(samples.QUIET), "The people who decided")
    assert "Time from the alert to the decision, median: 5 s" in text
    assert "Time from first seeing it to the decision, median: 2.5 s" in text
    assert "Decisions within a second or two of first seeing it" in text


def test_passages_are_told_apart_from_people() -> None:
    counted = samples.RECORD.counted
    plain = said(document_of(samples.RECORD, samples.figures(counted)), "Who passed")
    assert "nothing says how many people these passages were" in plain
    by_hand = said(
        document_of(samples.RECORD, samples.figures(counted, calibrations=samples.RECORD.calibrations)), "Who passed"
    )
    assert "Passages a person makes: about 1.3 (95 % interval 1.1 to 1.6)" in by_hand
    assert "People those passages were: about 9,100 (95 % interval 7,700 to 11,000)" in by_hand


def test_few_people_are_not_nobody() -> None:
    assert estimate(Estimate(value=0.4, low=0.2, high=0.9), 0).text == "fewer than 1 (95 % interval fewer than 1)"
    assert estimate(Estimate(value=1.2, low=0.4, high=3.1), 0).text == "about 1 (95 % interval fewer than 1 to 3)"
    assert estimate(Estimate(value=0.4, low=0.2, high=0.9)).text == "about 0.4 (95 % interval 0.2 to 0.9)"


def test_a_draft_says_so_before_anything_else() -> None:
    assert document(samples.DRAFT).warning.startswith("DRAFT: not the final record. The deployment is not closed yet.")
    assert document(samples.DRAFT).mark == "DEMONSTRATION: not an operational deployment"
    assert not document(samples.RECORD).warning


def test_a_draft_of_what_is_closed_says_what_of_it_may_still_change() -> None:
    closed = structs.replace(samples.RECORD, is_final=False)
    assert "what was recorded of an alert may be corrected until that alert has expired" in document(closed).warning
    bare = structs.replace(samples.EMPTY, is_final=False)
    assert "closed, but nobody has made its record final" in document(bare).warning


RUNNING, CUT_OFF = (Span(starts="2030-05-04T13:00:00.000000000Z", ends=None, why=why) for why in ("", "cut-off"))
CRASH = "nothing says when: a crash, or a loss of power"


def test_what_is_still_running_is_no_crash() -> None:
    record = structs.replace(samples.DRAFT, captured=(CUT_OFF, RUNNING))
    text = said(document(record), "When it ran")
    assert f"4 May 2030, 13:00:00 UTC | not known | {CRASH}\n4 May 2030, 13:00:00 UTC | still running | " in text
    assert text.count("power") == 1


def test_what_nothing_ended_before_it_was_closed_is_not_running() -> None:
    for captured in ((RUNNING,), (CUT_OFF,)):
        text = said(document(structs.replace(samples.RECORD, captured=captured)), "When it ran")
        assert "still running" not in text
        assert "4 May 2030, 13:00:00 UTC | not known | " in text


def test_the_times_of_a_threshold_that_was_in_force_more_than_once_are_added() -> None:
    first, second = samples.RECORD.thresholds
    caption = "Each threshold, and how long it was in force in all"
    assert caption not in said(document(samples.RECORD))
    record = structs.replace(samples.RECORD, thresholds=(second, first, structs.replace(second, seconds=1_850)))
    assert f"{caption}\n0.64 | 3 h 37 min\n0.66 | 3 h 46 min\n" in said(document(record))


def test_a_suspension_and_an_alert_that_cannot_be_read_are_among_the_first_things_said() -> None:
    shown = document(samples.RECORD)
    assert "Alerts were suspended once" in said(shown, "In short")
    assert "4 May 2030, 12:40:02 UTC | 6 | 5,404" in said(shown, "Suspensions")
    assert "The keys of 1 alert were destroyed" in said(shown, "Alerts")


@pytest.mark.parametrize("record", [samples.EMPTY, samples.NEVER])
def test_nothing_is_made_of_nothing(record: Record) -> None:
    text = said(document(record))
    assert ("No face passed a camera" in text) == (record.opened is not None)
    assert "False alerts per passage | 0 of 0 | \N{EN DASH}" in text
    assert "nan" not in text


def test_one_that_was_never_opened_says_so_first() -> None:
    shown = document(samples.NEVER)
    assert said(shown, "In short").startswith("This deployment was never opened")
    assert "Abandoned: it was never opened" in said(shown, "When it ran")


def test_of_a_list_that_was_never_opened_nobody_is_said_to_have_been_counted() -> None:
    text = said(document(samples.NEVER), "Who was looked for")
    for label in ("People on the watchlist", "Photographs of under-18s", "Photographs of vulnerable people"):
        assert f"{label}: not counted: the list was never opened" in text
    assert "Photographs: 1,312" in text


def test_one_that_was_opened_without_a_word_on_its_evidence_does_not_claim_that_it_never_was() -> None:
    text = said(document(structs.replace(samples.RECORD, evidence=())), "Model, threshold and evidence")
    assert "never opened" not in text
    assert "Nothing says what the threshold rested on" in text
    assert "never opened" in said(document(samples.NEVER), "Model, threshold and evidence")


def test_the_same_sections_are_in_a_record_and_in_a_roll_up() -> None:
    counted, rows = samples.BUSY, (samples.NEVER, samples.EMPTY, samples.RECORD)
    figures = samples.figures(counted)
    shown = rolled_up(
        "Example Police", "2030", counted, figures, titles=samples.RECORD.titles, rows=rows, notes=("13 is missing",)
    )
    sections = counted_sections(counted, figures, samples.RECORD.titles)
    assert section(shown.sections, "How often it was wrong") == section(sections, "How often it was wrong")
    text = said(shown)
    assert text.startswith("13 is missing")
    assert (
        "van-3 14 | Station Square, north entrance, 4 May 2030 | Completed | 1,312 | 12,120 | 47 | 34 | 8 | 9" in text
    )
    assert "Abandoned: it was never opened" in text
    # Where one of them did not say, nobody knows the sum.
    assert "whatever they came from: Nobody said" in text


def test_codes_of_the_pack_are_put_into_words_and_unknown_ones_stay_readable() -> None:
    counted = structs.replace(samples.BUSY, powers={"warrant": 9, "new-power": 1}, lost={"probe_no_gpu": 2, "odd": 1})
    text = said(document(structs.replace(samples.RECORD, counted=counted)))
    assert "Arrest under the warrant of a court | 9" in text
    assert "new power | 1" in text
    assert "The search was lost: no gpu | 2" in text
    assert "Odd | 1" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (1, "100 %"), (0.00000318, "0.00032 %"), (0.625, "63 %"), (0.05, "5.0 %"), (0.997, "over 99 %")],
)
def test_percentages_have_two_digits_and_round_nothing_away(value: float, text: str) -> None:
    assert per_cent(value) == text


@given(st.floats(min_value=1e-9, max_value=1, exclude_max=True))
def test_no_rate_between_is_shown_as_none_or_all(value: float) -> None:
    assert per_cent(value) not in {"0 %", "100 %"}
    shown = per_cent(value).removesuffix(" %").removeprefix("over ")
    assert float(shown) / 100 == pytest.approx(value, rel=0.06)
    assert one_in(value).startswith("1 in ")


def test_times_and_lengths() -> None:
    assert moment("2030-05-04T09:00:00.123456789Z") == "4 May 2030, 09:00:00 UTC"
    assert moment("soon") == "soon"
    assert [duration(value).text for value in (0, 59, 61, 3_600, 90_061)] == [
        "0 s", "59 s", "1 min 1 s", "1 h", "25 h 1 min",
    ]  # fmt: skip
    assert [similarity(value).text for value in (0.6, 0.64, 0.645)] == ["0.60", "0.64", "0.645"]


@given(
    st.builds(
        Counted,
        seen=st.integers(0, 10**7),
        raised=st.integers(80, 200),
        truth=st.dictionaries(st.sampled_from(["true", "false"]), st.integers(0, 40)),
        lost=st.dictionaries(st.text(max_size=8), st.integers(0, 10**6), max_size=3),
        powers=st.dictionaries(st.text(max_size=8), st.integers(0, 9), max_size=3),
    )
)
def test_there_is_a_document_of_whatever_was_counted(counted: Counted) -> None:
    for one in counted_sections(counted, samples.figures(counted), Titles()):
        assert any(words(*one.blocks))


def test_alerts_of_passages_that_nobody_wrote_down_make_no_rate_and_are_not_hidden() -> None:
    for seen in (0, 1):
        record = structs.replace(samples.RECORD, counted=Counted(seen=seen, raised=2, truth={"false": 1}))
        text = said(document(record))
        assert "No face passed a camera" not in text
        assert "1 in 0.5" not in text
        assert "2 of 1 (" not in text
        assert "False alerts among" not in text.replace("1 false alert among 2 alerts", "")


def test_fewer_arrests_than_came_from_alerts_are_said_to_be_a_mistake() -> None:
    text = said(document(structs.replace(samples.RECORD, arrests_in_operation=3)), "Outcomes")
    assert "one of the two was recorded wrongly" in text
