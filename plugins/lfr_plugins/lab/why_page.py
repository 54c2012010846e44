"""The report as one static page: no script, nothing remote, light and dark; every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lfr_plugins.lab.pages import document
from lfr_plugins.lab.why_reasons import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfr_plugins.lab.why_report import Explained, WhyReport

__all__ = ["page"]

_STYLE = """:root { --alerted: #9a6300; --lost: #b3261e; --not_matched: #1f5f99; }
@media (prefers-color-scheme: dark) { :root { --alerted: #ffbf40; --lost: #ff7b72; --not_matched: #8cc8ff; } }
body { max-width: 68rem; }
.funnels { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem 2.5rem; }
.step { display: grid; grid-template-columns: 8.5rem 1fr 7rem; gap: .75rem; align-items: center; margin: .3rem 0; }
.track { background: var(--line); border-radius: 3px; height: .8rem; overflow: hidden; }
.track div { background: var(--bar); height: 100%; }
.count { text-align: right; font-variant-numeric: tabular-nums; }
.passages { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.25rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
article img { display: block; width: 100%; height: auto; } article div { padding: .8rem 1rem 1rem; }
.alerted { color: var(--alerted); } .lost { color: var(--lost); }
.not_matched, .unsearched { color: var(--not_matched); } .facts { font-size: .875rem; }
"""

_BODY = """<h1>{clip}</h1>
<p>{headline}</p>
<p class="dim">Every face that was found is pixelated in every picture, for good; all else in it is reduced, too.
A similarity is a cosine beside its threshold, no percentage. An alert is a proposal: a person decides.</p>
<p class="dim">Permit: {permit}</p>
<h2>What would help</h2>
{help}
<h2>Where they went</h2>
<div class="funnels"><div><p class="dim">Faces: boxes in frames</p>{faces}</div>
<div><p class="dim">Passages: people passing by</p>{passages}</div></div>
{losses}
<h2>Passage by passage</h2>
<div class="passages">
{articles}
</div>
<h2>Notes</h2>
<ul>{notes}</ul>"""


def page(report: WhyReport) -> str:
    """Return the page; its pictures lie beside it."""
    faces, passages = report.funnel.faces, report.funnel.passages
    listed = f"{report.listed} people listed, threshold {report.threshold:.2f}" if report.listed else "nobody listed"
    body = _BODY.format(
        clip=escape(report.clip),
        headline=escape(
            f"{report.width}x{report.height}, {report.seconds:.1f} s: {passages.seen} passages, {passages.alerted} "
            f"alerted, {passages.not_matched} not matched, {sum(passages.lost.values())} lost; {listed}."
        ),
        permit=escape(report.permit),
        help=_table(
            ("passages", "why", "what would help"),
            [(str(one.passages), one.short, one.helps) for one in report.what_would_help],
        ),
        faces=_steps(
            ("found", faces.detected),
            ("tracked", faces.tracked),
            ("over the gate", faces.over_gate),
            ("asked for", faces.asked),
            ("embedded", faces.embedded),
            ("pooled", faces.pooled),
        ),
        passages=_steps(
            ("seen", passages.seen),
            ("over the gate", passages.over_gate),
            ("searched", passages.searched),
            ("alerted", passages.alerted),
        ),
        losses=_table(
            ("unit", "lost or left out", "how many"),
            [
                *_rows("faces", "nobody followed", {"": faces.untracked}),
                *_rows("faces", "not good enough", faces.gated),
                *_rows("faces", "good, not needed", {"": faces.spare}),
                *_rows("faces", "unlike the rest of their passage", {"": faces.outliers}),
                *_rows("faces", "lost", faces.lost | faces.dropped),
                *_rows("passages", "not matched", {"": passages.not_matched}),
                *_rows("passages", "lost", passages.lost),
            ],
        ),
        articles="\n".join(_article(one, report.threshold) for one in report.passages) or "<p>Nobody passed.</p>",
        notes="".join(f"<li>{escape(note)}</li>" for note in report.notes),
    )
    return document(f"Why: {report.clip}", body, _STYLE)


def _steps(*steps: tuple[str, int]) -> str:
    first = max(steps[0][1], 1)
    return "".join(
        f'<div class="step"><span>{escape(name)}</span><div class="track">'
        f'<div style="width:{min(count / first, 1):.1%}"></div></div><span class="count">{count}</span></div>'
        for name, count in steps
    )


def _rows(unit: str, what: str, counts: Mapping[str, int]) -> Iterable[tuple[str, str, str]]:
    for reason, count in sorted(counts.items(), key=lambda one: -one[1]):
        if count:
            yield unit, f"{what}: {plain(reason)}" if reason else what, str(count)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return '<p class="dim">Nothing.</p>'
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _article(one: Explained, threshold: float) -> str:
    picture = ""
    if one.picture is not None:
        text = f"Passage {one.number}: a frame with all faces pixelated, and a box around this one"
        picture = f'<img src="{escape(one.picture)}" alt="{escape(text)}" loading="lazy">'
    who = f": may be {', '.join(one.persons)}" if one.persons else ""
    best = "nothing searched" if one.best_similarity is None else f"best {one.best_similarity:.2f} of {threshold:.2f}"
    facts = (
        f"{one.seconds:.1f} s in {one.frames} frames, face at most {one.widest_px:.0f} px wide; {one.asked} faces "
        f"asked for, {one.embedded} embedded, {one.pooled} pooled; {best}"
    )
    helps = f"<p><b>Would help:</b> {escape(one.helps)}.</p>" if one.helps else ""
    quality = f'<p class="dim facts">{escape(_quality(one))}.</p>' if one.parts else ""
    return (
        f'<article id="passage-{one.number}">{picture}<div><h3 class="{escape(one.tone)}">{one.number}. '
        f'{escape(one.short + who)}</h3><p>{escape(one.says)}</p>{helps}<p class="dim facts">At {one.at_s:.1f} s. '
        f"{escape(facts)}.</p>{quality}</div></article>"
    )


def _quality(one: Explained) -> str:
    """Say how good the best face was, and by which parts."""
    parts = ", ".join(f"{name} {value:.2f}" for name, value in one.parts.items() if name != "eyes_px")
    return f"Best face: quality {one.quality:.2f}, eyes {one.parts['eyes_px']:.0f} px apart, {parts}"
