"""What a report says of a threshold that it was not asked about, and what a strict pack refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy.stats import binomtest

from governance.deployment.support import COVERS, CURVE, DETECTOR, MODEL, REPORT, pack_with
from lfr_kernel.governance.tested import Curve, Histogram, figures_at, outside_tested


def test_at_a_tested_threshold_the_report_says_it_all() -> None:
    found = figures_at(REPORT, 0.6)
    assert found.fpir is not None
    assert found.fnir is not None
    assert (found.fpir.threshold, found.fnir.threshold, found.note) == (0.6, 0.6, "")
    assert (found.fpir.rate.events, found.fpir.rate.n, found.fpir.rate.value) == (20, 1000, 0.02)
    assert (found.fnir.rate.events, found.fnir.rate.n, found.fnir.rate.value) == (10, 50, 0.2)
    assert (found.looks, found.listed) == (4, 20)


@pytest.mark.parametrize(("threshold", "events"), [(0.5, 30), (0.7, 5), (0.8, 0)])
def test_intervals_are_clopper_and_pearsons(threshold: float, events: int) -> None:
    figure = figures_at(REPORT, threshold).fpir
    assert figure is not None
    rate = figure.rate
    expected = binomtest(events, 1000).proportion_ci(method="exact")
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    one_sided = binomtest(events, 1000, alternative="less").proportion_ci(method="exact")
    assert rate.upper == pytest.approx(one_sided.high, abs=1e-12)


def test_where_everybody_is_missed_the_interval_ends_at_one() -> None:
    figure = figures_at(REPORT, 0.8).fnir
    assert figure is not None
    assert (figure.rate.events, figure.rate.high, figure.rate.upper) == (50, 1.0, 1.0)


def test_between_two_thresholds_neither_rate_flatters_and_the_report_is_said_to_have_none() -> None:
    found = figures_at(REPORT, 0.65)
    assert found.fpir is not None
    assert found.fnir is not None
    assert (found.fpir.threshold, found.fnir.threshold) == (0.6, 0.7)
    assert found.note.startswith(
        "the report has no figure for 0.65 itself: FPIR is at the nearest tested threshold below"
    )


def test_beyond_what_was_tested_there_is_no_figure() -> None:
    low, high = figures_at(REPORT, 0.4), figures_at(REPORT, 0.9)
    assert low.fpir is None
    assert low.fnir is not None
    assert low.note == "the report says nothing of FPIR at 0.4 or below"
    assert high.fpir is not None
    assert high.fnir is None
    assert high.note == "the report says nothing of FNIR at 0.9 or above"


def test_without_a_report_or_a_curve_that_is_what_is_said() -> None:
    assert figures_at(None, 0.6).note == "no evaluation report is cited"
    found = figures_at(structs.replace(REPORT, curves=()), 0.6)
    assert (found.fpir, found.fnir, found.note) == (None, None, "the cited report has no figures over thresholds")


def test_the_edges_of_the_histogram_are_tested_thresholds_too() -> None:
    histogram = Histogram(
        edges=(0.2, 0.55, 0.65, 0.75, 1.0),
        mated=(4, 5, 10, 20),
        nonmated=(900, 80, 10, 0),
        unsearched_mated=1,
        unsearched_nonmated=10,
    )
    between = histogram.curve
    assert between is not None
    assert between.thresholds == (0.55, 0.65, 0.75)
    found = figures_at(structs.replace(REPORT, curves=(CURVE, between)), 0.64)
    assert found.fpir is not None
    assert found.fnir is not None
    assert (found.fpir.threshold, found.fpir.rate.events, found.fpir.rate.n) == (0.6, 20, 1000)
    assert (found.fnir.threshold, found.fnir.rate.events, found.fnir.rate.n) == (0.65, 10, 40)
    # At its ends it says nothing: the bins there hold whoever is lower, and whoever is as high as can be.
    alone = structs.replace(REPORT, curves=(between,))
    assert figures_at(alone, 0.3).fpir is None
    assert figures_at(alone, 0.8).fnir is None


def test_a_histogram_of_nobody_says_nothing() -> None:
    nobody = Histogram(edges=(0.2, 0.6, 1.0), mated=(0, 0), nonmated=(1, 0), unsearched_mated=0, unsearched_nonmated=0)
    assert nobody.curve is None


@st.composite
def measured(draw: st.DrawFn) -> tuple[Curve, list[float], list[float]]:
    """A curve as an evaluation makes it, thinned at random, and the scores behind it."""
    score = st.integers(-100, 100).map(lambda one: one / 100)
    others, own = draw(st.lists(score, min_size=1, max_size=20)), draw(st.lists(score, min_size=1, max_size=20))
    places = sorted(draw(st.sets(st.sampled_from(others), min_size=1)))
    curve = Curve(
        thresholds=tuple(places),
        fpir=tuple(sum(one >= at for one in others) / len(others) for at in places),
        tpir=tuple(sum(one >= at for one in own) / len(own) for at in places),
        nonmated=len(others),
        mated=len(own),
    )
    return curve, others, own


@given(measured(), st.integers(-110, 110))
def test_no_figure_is_better_than_the_threshold_that_is_asked_about(
    given_: tuple[Curve, list[float], list[float]], hundredths: int
) -> None:
    (curve, others, own), threshold = given_, hundredths / 100
    found = figures_at(structs.replace(REPORT, curves=(curve,)), threshold)
    if found.fpir is not None:
        assert found.fpir.rate.events >= sum(one >= threshold for one in others)
    if found.fnir is not None:
        assert found.fnir.rate.events >= sum(one < threshold for one in own)
    assert (found.fpir is None) == (threshold < curve.thresholds[0])
    assert (found.fnir is None) == (threshold > curve.thresholds[-1])
    assert (found.note == "") == (threshold in curve.thresholds)


@pytest.mark.parametrize("changes", [{"thresholds": [0.6, 0.5]}, {"thresholds": [0.5, 0.5]}, {"fpir": [0.1]}])
def test_what_is_no_curve_is_not_read(changes: dict[str, Any]) -> None:
    whole = {"thresholds": [0.5, 0.6], "fpir": [0.1, 0], "tpir": [0.9, 0.1], "nonmated": 9, "mated": 9}
    msgspec.convert(whole, Curve)
    with pytest.raises(msgspec.ValidationError, match="expected a curve of rising thresholds, each with its FPIR"):
        msgspec.convert(whole | changes, Curve)


def refusals(covers: Any = COVERS, *, strict: bool = True, **changes: Any) -> list[str]:
    known: dict[str, Any] = {"threshold": 0.64, "detector": DETECTOR, "embedder": MODEL, "listed": 20}
    return list(outside_tested(covers, pack_with(require_report=strict).pack, **known | changes))


def test_what_was_tested_may_run() -> None:
    assert refusals() == []
    assert refusals(threshold=0.62, listed=22) == []
    assert refusals(detector=None, embedder=None, listed=None) == []


def test_each_departure_is_refused_with_what_was_tested_and_what_is_in_force() -> None:
    (one,) = refusals(detector="f" * 64)
    assert one.startswith(
        f"the cited report tested detector {DETECTOR[:12]}…, and ffffffffffff… is in use: use the one"
    )
    (one,) = refusals(embedder="f" * 64)
    assert one.startswith(f"the cited report tested embedder {MODEL[:12]}…, and ffffffffffff… is in use")
    (one,) = refusals(threshold=0.6199)
    assert one.startswith("expected a threshold of 0.62 at least, the lowest that the cited report recommends for FPIR")
    (one,) = refusals(listed=23)
    assert one.startswith(
        "expected 22 people on the list at most, 1.1 times the 20 of the cited report (max_list_over_"
    )
    (one,) = refusals(structs.replace(COVERS, threshold=None))
    assert one.startswith("no threshold met FPIR 0.005 in the cited report, so none may be used")
    (one,) = refusals(None)
    assert one.startswith("pack uk-met asks for an evaluation report (require_report), and the profile cites none")


def test_all_are_told_at_once_and_a_pack_that_demands_no_report_refuses_none() -> None:
    wrong: dict[str, Any] = {"threshold": 0.5, "detector": "f" * 64, "embedder": "f" * 64, "listed": 900}
    assert len(refusals(**wrong)) == 4
    assert refusals(strict=False, **wrong) == []
    assert refusals(None, strict=False) == []
