"""The figures of a report: true to its numbers, the same bytes everywhere, and safe to open."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats

from lfr_plugins.lab.evaluation import drawing, plot_bars, plot_curves
from lfr_plugins.lab.evaluation.plots import group_plot, plots
from lfr_plugins.lab.evaluation.report import GroupFigures, Histogram, LossFunnel, Recommendation, Report
from lfr_plugins.lab.evaluation.statistics import interval, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(report: Report) -> dict[str, str]:
    return plots(report)


@pytest.fixture
def styled() -> Iterator[None]:
    with drawing.style():
        yield


def words(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314  (our own)


def empty(report: Report) -> Report:
    nothing = tuple(0 for _ in report.histogram.mated)
    return replace(
        report,
        descriptive=(),
        list_growth=None,
        groups=(),
        histogram=Histogram(
            edges=report.histogram.edges, mated=nothing, nonmated=nothing, unsearched_mated=3, unsearched_nonmated=9
        ),
        funnel=LossFunnel(pictures=0, lost={}, used=0, never_searched={}),
    )


def test_a_full_report_has_every_figure_and_an_empty_one_none(report: Report, drawn: dict[str, str]) -> None:
    kinds = ["groups_region", group_plot("said <i>so</i>")]
    assert list(drawn) == ["det", "thresholds", "scores", "list_size", *kinds, "funnel"]
    assert plots(empty(report)) == {}


FRESH = """
import sys, msgspec
from lfr_plugins.lab.evaluation.plots import plots
from lfr_plugins.lab.evaluation.report import Report
assert "matplotlib" not in sys.modules
drawn = plots(msgspec.json.decode(sys.stdin.buffer.read(), type=Report))
assert "matplotlib.pyplot" not in sys.modules
sys.stdout.buffer.write(msgspec.json.encode(drawn))
"""


def test_the_same_report_gives_the_same_bytes_even_to_somebody_with_other_settings(
    report: Report, drawn: dict[str, str], tmp_path: Path
) -> None:
    assert plots(report) == drawn
    (tmp_path / "matplotlibrc").write_text(
        "font.size: 30\naxes.facecolor: red\nsvg.fonttype: path\nsvg.hashsalt: x\ntext.usetex: true\nsavefig.dpi: 300\n"
    )
    done = subprocess.run(  # noqa: S603  (this interpreter, and our own words)
        [sys.executable, "-W", "error", "-c", FRESH],
        input=msgspec.json.encode(report),
        env={**os.environ, "MATPLOTLIBRC": str(tmp_path), "LC_ALL": "C", "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert msgspec.json.decode(done.stdout) == drawn


def test_nobody_elses_settings_are_changed(report: Report) -> None:
    import matplotlib as mpl  # noqa: PLC0415  (imported when something is drawn)

    before = mpl.rcParams.copy()
    plots(report)
    assert mpl.rcParams.copy() == before


def test_a_figure_asks_nobody_for_anything_and_runs_nothing(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        root = ET.fromstring(svg)  # noqa: S314  (our own)
        assert root.tag == f"{SVG}svg"
        assert set(re.findall(r"\w+://[^\"' <)]+", svg)) == {"http://www.w3.org/2000/svg"}
        assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
            "svg", "style", "defs", "clipPath", "g", "path", "rect", "use", "text",
        }  # fmt: skip
        assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]
        assert "@import" not in svg


def test_ids_differ_between_figures_and_every_reference_is_met(drawn: dict[str, str]) -> None:
    ids = [one for svg in drawn.values() for one in re.findall(r' id="([^"]*)"', svg)]
    assert len(set(ids)) == len(ids)
    for name, svg in drawn.items():
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
        assert used == set(re.findall(r' id="([^"]*)"', svg))
        assert all(one.startswith(f"{name}-") for one in used)


def test_every_figure_says_how_many_people_and_what_is_descriptive(report: Report, drawn: dict[str, str]) -> None:
    for name, svg in drawn.items():
        said = " ".join(words(svg))
        assert re.search(r"\d+ (mated|non-mated)", said), name
        assert ("descriptive" in said) == (name in {"det", "thresholds", "scores"}), name
    unsure = replace(report, recommendation=replace(report.recommendation, threshold=None))
    assert "descriptive: read from the same people" in " ".join(words(plots(unsure)["list_size"]))


def test_a_similarity_is_no_percentage(drawn: dict[str, str]) -> None:
    assert not [one for one in words(drawn["scores"]) if "%" in one]


def test_every_colour_has_one_for_dark_pages(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        body = svg[svg.index("</style>") :]
        for what, colour in set(re.findall(r"(fill|stroke): (#[0-9a-f]{6})", body)):
            # By a selector without ancestors: it has to reach what <use> shows, too.
            assert f'}} [style*="{what}: {colour}"] {{' in svg or f'{{ [style*="{what}: {colour}"] {{' in svg
        # Black and the initial fill cannot be seen on a dark page.
        for one in re.findall(r"<text [^>]*>", body):
            assert "fill: #" in one


def lines(figure: Figure, colour: str) -> list[tuple[Any, Any, Any]]:
    return [
        (line.get_xdata(), line.get_ydata(), line.get_marker())
        for one in figure.axes
        for line in one.get_lines()
        if line.get_color() == colour
    ]


@pytest.mark.usefixtures("styled")
def test_the_det_curve_has_normal_deviates_and_the_points_of_the_tables(report: Report) -> None:
    figure = plot_curves.det(report)
    assert figure is not None
    found = lines(figure, drawing.ACCENT)
    whole = report.descriptive[0]
    points = {
        (point.threshold.fpir.value, 1 - point.tpir.value)
        for point in whole.points
        if point.tpir and point.threshold.fpir and point.tpir.value and point.threshold.fpir.value
    }
    dots = {
        (round(float(stats.norm.cdf(x[0])), 9), round(float(stats.norm.cdf(y[0])), 9))
        for x, y, sign in found
        if sign == "o"
    }
    assert dots == {(round(false, 9), round(missed, 9)) for false, missed in points}
    assert len(dots) >= 2
    curve = [(x, y) for x, y, sign in found if sign != "o"]
    seen = {
        (round(float(false), 9), round(float(missed), 9))
        for x, y in curve
        for false, missed in zip(stats.norm.cdf(x), stats.norm.cdf(y), strict=True)
    }
    given_ = zip(whole.curve.fpir, whole.curve.tpir, strict=True)
    assert {(round(false, 9), round(1 - tpir, 9)) for false, tpir in given_ if 0 < false < 1} <= seen
    labels = " ".join(words(drawing.svg(figure, "det")))
    for one in report.descriptive:
        assert f"({one.mated}; {one.nonmated})" in labels


@pytest.mark.usefixtures("styled")
def test_bands_over_the_threshold_are_clopper_and_pearsons(report: Report) -> None:
    figure = plot_curves.thresholds(report)
    assert figure is not None
    chosen = next(one for one in report.descriptive if one.looks == report.recommendation.looks)
    for axes, rates, n in zip(
        figure.axes, (chosen.curve.tpir, chosen.curve.fpir), (chosen.mated, chosen.nonmated), strict=True
    ):
        corners = axes.collections[0].get_paths()[0].vertices
        for threshold, false, value in list(zip(chosen.curve.thresholds, chosen.curve.fpir, rates, strict=True))[::17]:
            if false > 0:
                here = corners[np.isclose(corners[:, 0], threshold, atol=1e-12), 1]
                low, high = interval(round(value * n), n)
                assert here.max() == pytest.approx(high)
                assert here.min() == pytest.approx(max(low, 1e-9))
    assert figure.axes[1].get_yscale() == "log"
    said = " ".join(words(drawing.svg(figure, "thresholds")))
    assert f"recommended {report.recommendation.threshold:.3f}" in said
    point = next(one for one in chosen.points if one.target == report.recommendation.target)
    assert f"descriptive, FPIR 1 %: {point.threshold.threshold:.3f}" in said


@pytest.mark.usefixtures("styled")
def test_a_group_without_an_event_shows_its_bound_and_one_without_people_shows_nothing() -> None:
    figures = GroupFigures(
        group="g", known="said", threshold=0.5, missed_test=None, alerted_test=None,
        missed={"a": rate(0, 40), "b": rate(10, 50)}, alerted={"a": rate(3, 90)},
    )  # fmt: skip
    figure = plot_bars.groups(figures)
    assert figure is not None
    marks = {
        (sign, round(float(x[0]), 6), float(y[0])) for x, y, sign in lines(figure, drawing.ACCENT) if sign != "None"
    }
    assert marks == {("<", round(interval(0, 40)[1], 6), 0.0), ("o", 0.2, 1.0)}
    said = words(drawing.svg(figure, "groups_g"))
    assert [one for one in said if one in {"0 of 40", "10 of 50", "3 of 90", "nobody"}] == [
        "0 of 40", "10 of 50", "3 of 90", "nobody",
    ]  # fmt: skip


@pytest.mark.usefixtures("styled")
def test_extrapolated_sizes_look_otherwise_and_the_limit_is_marked(report: Report) -> None:
    figure = plot_curves.list_size(report)
    assert figure is not None
    assert report.list_growth is not None
    tested = report.recommendation.tested
    hollow = {
        float(line.get_xdata()[0])
        for line in figure.axes[0].get_lines()
        if line.get_markerfacecolor() == "none"  # type: ignore[index]
    }
    assert hollow == {float(one.listed) for one in report.list_growth.sizes if one.how == "extrapolated"}
    limits = [x[0] for x, _, _ in lines(figure, drawing.INK)]
    assert limits == [pytest.approx(1.1 * tested)]


def test_the_funnel_writes_every_count(report: Report, drawn: dict[str, str]) -> None:
    said = words(drawn["funnel"])
    for reason, count in report.funnel.lost.items():
        place = said.index(f"lost: {reason.replace('_', ' ')}")
        assert said[place + 1].split()[0] == str(count)
    for reason in report.funnel.never_searched:
        assert f"never searched: {reason.replace('_', ' ')}" in said
    assert f"{report.funnel.pictures:,}" in said
    assert any(one.startswith(f"{report.funnel.used:,} ") for one in said)


def test_names_from_other_peoples_files_are_text(drawn: dict[str, str]) -> None:
    assert any(one.startswith("<b>fourth</b>") for one in words(drawn["groups_region"]))
    assert "<b>" not in drawn["groups_region"]


@pytest.mark.parametrize(
    "name", ["$\\frac{$", "</style><script>x</script>", "人物 \U0001f600", "a\x00\x1b\u202eb\nc", "", "]]>"]
)
@pytest.mark.filterwarnings("error")
def test_no_name_of_a_group_stops_a_figure(report: Report, name: str) -> None:
    group = GroupFigures(
        group=name, known=name, threshold=0.5, missed={name: rate(1, 9)}, alerted={name: rate(0, 9)}, missed_test=None,
        alerted_test=None,
    )  # fmt: skip
    odd = replace(
        empty(report), groups=(group,), funnel=LossFunnel(pictures=4, lost={name: 1}, used=3, never_searched={})
    )
    found = plots(odd)
    assert list(found) == [group_plot(name), "funnel"]
    for svg in found.values():
        assert words(svg)
        assert "<script" not in svg


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_figure_of_a_group_has_a_file_name_of_its_own(group: str, other: str) -> None:
    assert re.fullmatch(r"groups_[a-z0-9_-]{1,48}", group_plot(group))
    assert group_plot(group) != group_plot(other) or group == other
    assert group_plot("sex") == "groups_sex"
    assert group_plot("Sex") != group_plot("sex")


def whatever(report: Report) -> Iterator[Callable[[], Report]]:
    first = report.descriptive[0]
    advice: Recommendation = replace(report.recommendation, threshold=None, looks=None)
    found = replace(first.curve, tpir=[1.0] * len(first.curve.tpir))
    missed = replace(first.curve, tpir=[0.0] * len(first.curve.tpir))
    one = replace(first.curve, thresholds=[0.5, 0.6], fpir=[0.5, 0.0], tpir=[1.0, 0.0], nonmated=2, mated=1)
    yield lambda: replace(report, recommendation=advice)
    for curve in (found, missed):
        yield lambda curve=curve: replace(report, descriptive=(replace(first, curve=curve, points=()),))  # type: ignore[misc]
    yield lambda: replace(
        report, recommendation=advice, descriptive=(replace(first, mated=1, nonmated=2, curve=one, points=()),)
    )
    assert report.list_growth is not None
    none = tuple(replace(size, fpir=rate(0, 900)) for size in report.list_growth.sizes)
    yield lambda: replace(report, list_growth=replace(report.list_growth, sizes=none, exponent=None))


def test_figures_of_perfect_hopeless_and_tiny_evaluations_can_be_drawn(report: Report) -> None:
    for made in whatever(report):
        for svg in plots(made()).values():
            assert words(svg)
            assert not re.search(r"\b(nan|inf)\b", svg, re.IGNORECASE)
