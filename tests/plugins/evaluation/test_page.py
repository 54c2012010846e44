"""The page of a report: one file, no script, nothing remote, and other people's words stay words."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_plugins.lab.evaluation.page import page
from lfr_plugins.lab.evaluation.plots import plots
from lfr_plugins.lab.evaluation.prose import prose
from lfr_plugins.lab.evaluation.wording import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_plugins.lab.evaluation.report import Report

VOID = {"meta", "br", "hr", "img"}
EVIL = '<script>alert("x")</script> | \' " & <img src=//e.example/x onerror=y> [a](javascript:b) <!-- `c` ${d}'
SVG = '<svg class="plot"><path id="det-a"/></svg>\n'


class Read(HTMLParser):
    """Collects what a browser would make of a page, and complains of tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data

    def values(self, *names: str) -> list[str | None]:
        return [value for name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def whole(report: Report) -> str:
    return page(prose(report, "a" * 64), plots(report), title=f"Evaluation on {report.data.name}")


def test_a_whole_report_is_one_file_that_asks_nobody(whole: str, report: Report) -> None:
    read = Read(whole)
    assert not set(read.tags) & {"script", "link", "iframe", "object", "embed", "form", "base", "img", "b", "i"}
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert whole.count("://") == whole.count('xmlns="http://www.w3.org/2000/svg"') == read.tags.count("svg")
    assert read.tags.count("svg") == read.tags.count("figure") >= 6
    assert all(str(value).startswith("#") for value in read.values("href", "src", "xlink:href"))
    assert "@import" not in whole
    assert "Evaluation on random people" in read.words
    assert f"{report.people.nonmated} non-mated" in read.words


def test_ids_are_unique_on_the_page_and_every_reference_is_met(whole: str) -> None:
    read = Read(whole)
    ids = read.values("id")
    assert len(ids) == len(set(ids)) > 10
    assert {f"#{one}" for one in ids} >= set(read.values("href"))


def test_it_has_what_readers_on_phones_at_night_and_on_paper_need(whole: str) -> None:
    for needed in (
        '<html lang="en">', '<meta name="viewport"', "<title>Evaluation on random people</title>",
        "prefers-color-scheme: dark", "@media print", "overflow-x: auto",
    ):  # fmt: skip
        assert needed in whole
    read = Read(whole)
    assert read.tags.count("table") == whole.count('<div class="table" tabindex="0">') > 5


def test_a_figure_stands_in_the_place_of_its_image_and_says_what_it_shows() -> None:
    text = page('before\n\n![a "b" <c> \\| d](plots/det.svg)\n\nafter', {"det": SVG}, title="t")
    said = "a &quot;b&quot; &lt;c&gt; | d"
    assert (
        f'<p>before</p>\n<figure role="img" aria-label="{said}">\n{SVG}<figcaption>{said}</figcaption>\n</figure>\n'
        "<p>after</p>"
    ) in text
    Read(text)


def test_a_figure_that_was_not_drawn_is_named() -> None:
    text = page("![DET curve](plots/det.svg)", {}, title="t")
    assert "DET curve: not drawn, there is no data for it." in Read(text).words
    assert "<figure" not in text


@pytest.mark.parametrize(
    "markdown",
    [
        "![x](https://e.example/x.png)", "![x](//e.example/x.png)", "![x](data:image/png;base64,AAAA)", "![x](/etc/x)",
        "![x](../x.svg)", "[x](javascript:alert(1))", "[x](https://e.example)", "<https://e.example>", "<a@e.example>",
        "[x]\n\n[x]: https://e.example", "<img src=x>", "<svg onload=x>", "<!--", "&lt;script&gt;",
        "<script>x</script>", "![x](x.png)", "![x](plots/../x.svg)",
    ],
)  # fmt: skip
def test_nothing_leads_elsewhere_and_no_html_comes_through(markdown: str) -> None:
    for text in (markdown, f"| a |\n|---|\n| {markdown} |", f"# {markdown}", f"- {markdown}"):
        read = Read(page(text, {"det": SVG}, title="t"))
        assert not set(read.tags) & {"a", "img", "svg", "script"}
        assert not read.values("href", "src", "onload")


def test_a_link_to_a_file_beside_the_page_works() -> None:
    assert Read(page("[scores](scores.csv) and [all](#all)", {}, title="t")).values("href") == ["scores.csv", "#all"]


def test_names_are_shown_as_they_are() -> None:
    markdown = f"# {plain(EVIL)}\n\n| a | b |\n|---|---|\n| {plain(EVIL)} | 5 |\n\n![{plain(EVIL)}](plots/det.svg)"
    text = page(markdown, {"det": SVG}, title=EVIL)
    read = Read(text)
    assert read.words.count(EVIL) == 4  # title, heading, cell, caption
    assert read.values("aria-label") == [EVIL]
    assert not set(read.tags) & {"script", "img", "a", "code"}


def test_a_number_and_its_per_cent_sign_stay_together() -> None:
    assert "9.95\N{NO-BREAK SPACE}% of 20" in page("9.95 % of 20", {}, title="t")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_no_markdown_makes_a_page_that_runs_or_asks(markdown: str) -> None:
    read = Read(page(markdown, {}, title=markdown))
    assert not set(read.tags) & {"script", "img", "svg", "iframe", "object"}
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert all("//" not in str(value) and ":" not in str(value) for value in read.values("href", "src"))
