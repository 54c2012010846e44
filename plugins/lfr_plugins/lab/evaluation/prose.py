"""A report in words: report.md, and through it report.html. Every figure comes with its n, and with what it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_plugins.lab.evaluation.comparing_prose import choices, comparison
from lfr_plugins.lab.evaluation.plots import group_plot
from lfr_plugins.lab.evaluation.wording import (
    faces,
    per_cent,
    plain,
    rate_text,
    similarity,
    table,
    target_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_plugins.lab.evaluation.report import Descriptive, GroupFigures, Report, Test

__all__ = ["prose"]

SHOWN = 40
"""Lines of a list that are written out."""
METHOD = (
    (
        "People are the unit. A person's score is the pooled cosine similarity under the rule by which a run alerts "
        "(early when it is over the threshold by a margin that narrows with every face, at the end of the passage when "
        "it reaches the threshold itself). Who passes several times counts once: a non-mated person by the highest "
        "score, a mated one by the upper median (found in half of them or more)."
    ),
    (
        "TPIR: mated people who alert as themselves / all mated people. FPIR: non-mated people with an alert / all "
        "non-mated people. Misses of detection, gates and enrolment are in both denominators. Figures for the first "
        "two faces or more are of people with so many good ones: whoever has fewer is in none of their denominators."
    ),
    (
        "Intervals of a rate: Clopper and Pearson, 95 %, over people. Over lists: the same, for the effective number "
        "of people that remains when who is listed is a matter of chance too (crossed samples; Owen 2007). Bounds of "
        "thresholds: order statistics. Paired differences: percentile bootstrap by person."
    ),
    "Photographs of a data set are days apart, frames of a video are not: pooling helps the former more.",
)


def prose(report: Report, digest: str) -> str:
    """Return the report as Markdown.

    Args:
        report: what was found.
        digest: SHA-256 of report.json: what a profile cites.
    """
    parts = (
        _head(report, digest),
        _recommendation(report, digest),
        _transferred(report),
        _descriptive(report),
        _list_growth(report),
        _groups(report),
        _losses(report),
        comparison(report),
        choices(report),
        _to_look_at(report),
        _method(report),
    )
    return "\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n"


def _head(report: Report, digest: str) -> Iterator[str]:
    data, people = report.data, report.people
    kind = "a benchmark: a data set" if data.report_class == "benchmark" else "operational: people who passed cameras"
    yield f"# Evaluation on {plain(data.name)}"
    yield ""
    yield (
        f"**Class: {kind}.** Open-set watchlist identification, counted by people: {people.listed} listed, "
        f"{people.mated} mated (they pass and are listed), {people.nonmated} non-mated (they pass and are not)."
    )
    yield ""
    yield "**What this data flatters.** " + (
        " ".join(map(plain, data.flatters))
        if data.flatters
        else "Nothing was written down about it (`--about`): take every figure for better than the street."
    )
    yield ""
    rows = [
        ("report.json", f"SHA-256 `{digest}`"),
        ("protocol", f"{plain(data.protocol)}, {data.rows} rows, SHA-256 `{data.protocol_sha256}`"),
        ("detector", f"{plain(report.detector.model or report.detector.plugin)}, SHA-256 `{report.detector.sha256}`"),
        ("embedder", f"{plain(report.embedder.model or report.embedder.plugin)}, SHA-256 `{report.embedder.sha256}`"),
        ("lfr-kernel", plain(report.lfr_kernel)),
        ("conditions", _conditions(report)),
    ]
    rows += [("data from", plain(data.source))] if data.source else []
    yield from table(("", ""), rows)


def _conditions(report: Report) -> str:
    """Say in which conditions faces were seen: a run compares its cameras with that."""
    seen = report.covers.conditions
    if seen is None:
        return "too few passages to say in which light and from how far faces were seen"
    spans = (
        ("width {:.0f} to {:.0f} px", seen.face_px),
        ("highlights {:.0f} to {:.0f} of 255", seen.highlight),
        ("sharpness {:.2f} to {:.2f}", seen.sharpness),
    )
    return (
        "; ".join(text.format(span.p5, span.p95) for text, span in spans)
        + f" (5 % of {seen.passages} passages lie below each, 5 % above)"
    )


def _recommendation(report: Report, digest: str) -> Iterator[str]:
    advice = report.recommendation
    yield "## The threshold that may be cited"
    yield ""
    wanted = f"FPIR of at most {target_text(advice.target)} for a list of {advice.listed}"
    if advice.threshold is None:
        yield f"**None.** For {wanted}: {advice.note}."
    else:
        yield (
            f"**{similarity(advice.threshold)}**, a cosine similarity, for {wanted} and passages of "
            f"{advice.looks} face{'s' * (advice.looks != 1)}: the smallest one from which on both upper 95 % bounds "
            "meet the target, that for this list and that over lists."
        )
        yield ""
        rows = [
            ("FPIR, this list", rate_text(advice.fpir)),
            ("FPIR, over lists of this length", rate_text(advice.fpir_over_lists)),
            (f"TPIR{_of_whom(advice.looks)}", rate_text(advice.tpir)),
            ("mated people who alert as somebody else", rate_text(advice.wrong_person)),
        ]
        yield from table(("at that threshold", "95 % interval, by people"), rows)
        if advice.note:
            yield f"It was {advice.note}: a run beyond that is outside of what this report covers, and says so."
            yield ""
        yield "A profile cites it so:"
        yield ""
        yield "```toml"
        yield "[watchlist]"
        yield f"threshold = {advice.threshold:.3f}"
        yield ""
        yield "[basis]"
        yield 'report = "${here}/report.json"'
        yield f'digest = "{digest}"'
        yield f"target_fpir = {advice.target:g}"
        yield "```"
    yield ""
    yield from table(
        ("faces of a passage", "non-mated people", "smallest threshold"),
        (
            (faces(one.looks), str(one.nonmated), similarity(one.threshold) if one.note is None else plain(one.note))
            for one in advice.by_looks
        ),
    )


def _of_whom(looks: int | None) -> str:
    return "" if looks is None or looks == 1 else f", of people with {looks} good faces or more"


def _transferred(report: Report) -> Iterator[str]:
    yield "## Transferred: a threshold tried on other people and another list"
    yield ""
    yield (
        "Half of the people set a threshold for the target, the other half are counted, with the other half of the "
        "list; then the other way round, many times over. Lists are half as long, so FPIR is that of such lists."
    )
    yield ""
    rows = []
    for name, one in zip(("all faces", "first face only"), report.transferred, strict=False):
        if one.note is not None:
            rows.append((name, plain(one.note), "", "", ""))
            continue
        rows.append((name, f"{one.half_listed}", similarity(one.threshold), rate_text(one.tpir), rate_text(one.fpir)))
    target = target_text(report.recommendation.target)
    yield from table(("", "listed", "threshold", "TPIR achieved", f"FPIR achieved (target {target})"), rows)


def _descriptive(report: Report) -> Iterator[str]:
    yield "## Descriptive: thresholds read from the same people"
    yield ""
    yield (
        "These figures describe this data set; their true FPIR is as often above the target as below. Compare them "
        "with other people's figures of the same kind, and set no threshold by them."
    )
    yield ""
    for one in report.descriptive:
        yield f"### {faces(one.looks)[0].upper()}{faces(one.looks)[1:]}"
        yield ""
        yield (
            f"{one.mated} mated and {one.nonmated} non-mated people, {one.mean_looks_mated:.2f} and "
            f"{one.mean_looks_nonmated:.2f} faces on average. Rank one: {rate_text(one.rank_one)}."
            + (f" {one.note[0].upper()}{one.note[1:]}." if one.note else "")
        )
        yield ""
        yield from table(("FPIR", "threshold", "95 % of it", "TPIR", ""), _points(one))
    yield "![DET curve: missed people over falsely alerted ones](plots/det.svg)"
    yield ""
    yield "![TPIR and FPIR over the threshold, with 95 % intervals](plots/thresholds.svg)"
    yield ""
    yield "![People by similarity](plots/scores.svg)"


def _points(one: Descriptive) -> Iterator[Sequence[str]]:
    for point in one.points:
        threshold = point.threshold
        bounds = f"{similarity(threshold.low)} to {similarity(threshold.high)}"
        known = threshold.threshold is not None
        yield (
            target_text(point.target),
            similarity(threshold.threshold),
            bounds if known else "-",
            rate_text(point.tpir),
            plain(threshold.note or ""),
        )


def _list_growth(report: Report) -> Iterator[str]:
    growth = report.list_growth
    if growth is None:
        return
    yield "## The length of the list"
    yield ""
    exponent = "" if growth.exponent is None else f" FPIR grew as the list to the power of {growth.exponent:.2f}."
    used = faces(growth.looks)
    yield f"{used[0].upper()}{used[1:]}, at a threshold of {similarity(growth.threshold)}.{exponent}"
    yield f"{growth.assumption.capitalize()}."
    yield ""
    rows = (
        (str(one.listed), rate_text(one.fpir), one.how, "yes" if one.is_recommendable else "no: more than 1.1 times")
        for one in growth.sizes
    )
    yield from table(("listed", "FPIR", "", "may be recommended for"), rows)
    yield "![FPIR over the length of the list](plots/list_size.svg)"


def _groups(report: Report) -> Iterator[str]:
    yield "## Groups"
    yield ""
    if not report.groups:
        yield (
            "The protocol states no groups (`group_…` columns), so nothing can be said about equal treatment. Groups "
            "are what people say of themselves; nothing here infers them from a face."
        )
        return
    for one in report.groups:
        yield from _group(one)


def _group(one: GroupFigures) -> Iterator[str]:
    where = f"at a threshold of {similarity(one.threshold)}, {faces(one.looks)}"
    yield f"### {plain(one.group)} (known: {plain(one.known)}), {where}"
    yield ""
    names = sorted({*one.missed, *one.alerted})
    rows = ((plain(name), rate_text(one.missed.get(name)), rate_text(one.alerted.get(name))) for name in names)
    yield from table(("", "missed (FNIR), of mated people", "alerted (FPIR), of non-mated people"), rows)
    if one.note:
        yield f"{plain(one.note)}."
        yield ""
    for what, test in (("missed", one.missed_test), ("alerted", one.alerted_test)):
        if test is not None:
            yield f"*{what}*: {_tested(test)}"
            yield ""
    yield f"![Rates by group: {plain(one.group)}](plots/{group_plot(one.group)}.svg)"
    yield ""


def _tested(test: Test) -> str:
    ratio, alike = test.ratio, test.equivalence
    if ratio.value is None:
        worst = plain(ratio.note or "the ratio is unknown")
    else:
        high = "unbounded" if ratio.high is None else f"{ratio.high:.3g}"
        worst = (
            f"{plain(ratio.worst)} to {plain(ratio.best)}: {ratio.value:.3g} times ({ratio.low:.3g} to {high})"
            if ratio.low is not None
            else f"{ratio.value:.3g} times"
        )
    power = "not known" if test.power is None else per_cent(test.power)
    seen = "no ratio" if test.smallest_ratio is None else f"one of {test.smallest_ratio:.2g}"
    shown = "shown" if alike.is_shown else "not shown"
    return (
        f"worst to best, {worst}. {test.homogeneity.method}: p = {test.homogeneity.p:.3g}, {test.p_holm:.3g} after "
        f"Holm's correction for all tests here. Power to see a ratio of {test.preset_ratio:g}: {power}; with a chance "
        f"of 80 % it would see {seen}. Equivalence within {alike.margin:g}: {shown}."
    )


def _losses(report: Report) -> Iterator[str]:
    people, funnel = report.people, report.funnel
    yield "## Where people are lost"
    yield ""
    yield from table(
        ("", ""),
        [
            ("people to be listed", str(people.offered)),
            ("listed", f"{people.listed}, with {people.photographs} photographs"),
            ("photographs refused", _reasons(people.rejected)),
            ("people refused", str(len(people.refused)) if people.refused else "none"),
            (
                "of those used, with several faces: the one in the middle was taken; a run refuses them",
                str(people.bystanders),
            ),
            ("pictures of people who pass", str(funnel.pictures)),
            ("of those not used", _reasons(funnel.lost)),
            ("passages of which nothing was searched", _reasons(funnel.never_searched)),
            ("followed in clips, but not in the protocol", str(funnel.unaccounted)),
        ],
    )
    yield (
        "Whoever was refused, never found or never good enough stays in the denominators: a mated one as missed, a "
        "non-mated one as not alerted."
    )
    yield ""
    yield "![The loss funnel](plots/funnel.svg)"


def _reasons(counts: object) -> str:
    if not isinstance(counts, dict) or not counts:
        return "none"
    return ", ".join(f"{plain(reason)} {count}" for reason, count in sorted(counts.items()))


def _to_look_at(report: Report) -> Iterator[str]:
    if not report.to_look_at and not report.same_files:
        return
    yield "## For people to look at"
    yield ""
    yield (
        "Photographs of two identities that may show one person, by their templates, or that are the same file; and "
        "people who pass with the very picture that they are listed with. Each is counted as the protocol says; nobody "
        "was left out because of a score."
    )
    yield ""
    for one, other in report.same_files[:SHOWN]:
        yield f"- {plain(one)} and {plain(other)} are the same file"
    for finding in report.to_look_at[:SHOWN]:
        yield f"- {plain(str(finding))}"
    hidden = max(len(report.same_files) - SHOWN, 0) + max(len(report.to_look_at) - SHOWN, 0)
    if hidden:
        yield f"- and {hidden} more: see report.json"


def _method(report: Report) -> Iterator[str]:
    yield "## How it was counted"
    yield ""
    for line in METHOD:
        yield f"- {line}"
    if report.embedder.trained_on:
        trained = plain(report.embedder.trained_on)
        yield f"- The embedder was trained on: {trained} People of this data set may be among them."
