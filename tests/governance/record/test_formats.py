"""Every format shows all of a document, and takes nothing in it for an instruction."""

from __future__ import annotations

import csv
import io
import re
import zlib
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import pytest
from markdown_it import MarkdownIt
from msgspec import structs

from governance.record import samples
from lfr_kernel.governance.alerts.handling import Titles
from lfr_kernel.governance.record import pdf, spreadsheet, terminal
from lfr_kernel.governance.record.page import (
    Column,
    Document,
    Drawn,
    Figure,
    Note,
    Paragraph,
    Rows,
    Section,
    Table,
    Tile,
    Tiles,
    each_text,
    legible,
)
from lfr_kernel.governance.record.rendering import BINARY, FORMATS
from lfr_kernel.governance.record.wording import document_of

if TYPE_CHECKING:
    from lfr_kernel.governance.record.statements import Record

RECORDS = {
    "busy": samples.RECORD,
    "quiet": samples.QUIET,
    "empty": samples.EMPTY,
    "never": samples.NEVER,
    "draft": samples.DRAFT,
    "hostile": samples.hostile(),
}
NUMBER = re.compile(r"\d[\d,.]*\d|\d")
READABLE = sorted(set(FORMATS) - BINARY - {"csv"})


def document(record: Record) -> Document:
    return document_of(record, samples.figures(record.counted, calibrations=record.calibrations))


def texts(shown: Document) -> list[str]:
    """Every text that people are to see, in the order of the document."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    for part in (shown.title, shown.subtitle, shown.mark, shown.warning, *shown.sections):
        each_text(part, note)
    return [one for one in found if one]


def squeezed(text: str) -> str:
    """A text without what a format may add or take for its lines."""
    return re.sub(r"[\s\u2500\u00b7\u25cf]", "", text)


class Read(HTMLParser):
    """What a browser would show, and what it would do."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._skipped = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._skipped += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text += data


def read(kind: str, content: bytes) -> str:
    """What somebody sees who opens a file."""
    text = content.decode()
    if kind == "html":
        return Read(text).text
    if kind == "md":
        page = MarkdownIt("commonmark").enable("table").render(text)
        return Read(page).text
    return text


@pytest.mark.parametrize("kind", READABLE)
@pytest.mark.parametrize("name", RECORDS)
def test_no_text_and_no_number_is_lost_between_formats(kind: str, name: str) -> None:
    shown = legible(document(RECORDS[name]))
    seen = squeezed(read(kind, FORMATS[kind](shown)))
    if kind == "text":  # a terminal folds the cells of a row side by side: its words are all there, not in one piece
        wanted = {word for text in texts(shown) for word in NUMBER.findall(text) if len(word) < 12}
        assert not wanted - set(NUMBER.findall(read(kind, FORMATS[kind](shown))))
        return
    missing_texts = [text for text in texts(shown) if squeezed(text) not in seen]
    assert not missing_texts


@pytest.mark.parametrize("name", RECORDS)
def test_csv_has_every_figure_as_a_number(name: str) -> None:
    shown = document(RECORDS[name])
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](shown).decode(), newline="")))
    values = {(row["value"], row["low"], row["high"], row["n"]) for row in rows}
    for figure in figures_in(shown):
        wanted = tuple("" if one is None else str(one) for one in (figure.value, figure.low, figure.high, figure.n))
        assert wanted in values


def figures_in(shown: Document) -> list[Figure]:
    found: list[Figure] = []

    def walk(value: object) -> None:
        if isinstance(value, Figure):
            found.append(value)
        elif isinstance(value, tuple):
            for one in value:
                walk(one)
        elif isinstance(value, msgspec.Struct):
            for name in value.__struct_fields__:
                walk(getattr(value, name))

    walk(shown)
    assert found
    return found


def test_csv_is_one_tidy_table() -> None:
    lines = list(csv.reader(io.StringIO(spreadsheet.render(document(samples.RECORD)), newline="")))
    assert lines[0] == ["section", "item", "value", "low", "high", "n"]
    assert {len(line) for line in lines} == {6}
    assert ["Alerts", "Alerts raised", "47", "", "", ""] in lines
    rate = next(line for line in lines if line[1].endswith("Best case: false alerts per passage: Rate"))
    assert [float(one) for one in rate[2:]] == pytest.approx([8 / 12_120, 0.000285, 0.0013, 12_120], rel=0.01)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", samples.FORMULA, "\t=1", "\r\n=1", "\u202e=1"])
def test_no_text_is_a_formula(text: str) -> None:
    shown = Document(title=text, subtitle=text, mark=text, warning=text, sections=(hostile_section(text),))
    for row in csv.reader(io.StringIO(spreadsheet.render(shown), newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_number_below_zero_stays_a_number() -> None:
    block = Rows(rows=(("x", Figure(text="-0.1", value=-0.1)),))
    shown = Document(title="a", subtitle="b", mark="", sections=(Section(title="s", blocks=(block,)),))
    assert "s,x,-0.1,,," in spreadsheet.render(shown)


def hostile_section(text: str = samples.HOSTILE) -> Section:
    table = Table(caption=text, columns=(Column(heading=text), Column(heading=text)), rows=((text, text),))
    return Section(
        title=text, blocks=(Paragraph(text=text), Note(text=text, is_warning=True), Rows(rows=((text, text),)), table)
    )


def test_html_runs_nothing_and_fetches_nothing() -> None:
    page = FORMATS["html"](document(samples.hostile())).decode()
    found = Read(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in {"src", "style"}]
    links = [value for name, value in found.attributes if name == "href"]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert "{{ 7*7 }}" in found.text


def test_html_tables_have_captions_and_scopes() -> None:
    page = FORMATS["html"](document(samples.RECORD)).decode()
    found = Read(page)
    assert found.tags.count("caption") == found.tags.count("table") > 10
    assert {"col", "row"} == {value for name, value in found.attributes if name == "scope"}
    assert found.tags.count("h1") == 1
    assert found.tags.count("main") == 1
    assert ("lang", "en-GB") in found.attributes


def test_markdown_has_no_markup_but_its_own() -> None:
    tokens = MarkdownIt("gfm-like").parse(FORMATS["md"](document(samples.hostile())).decode())
    inline = [child.type for token in tokens for child in token.children or ()]
    kinds = {token.type for token in tokens} | set(inline)
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "code_inline",
        "fence",
        "code_block",
        "image",
        "s_open",
    }
    assert {token.tag for token in tokens if token.type == "heading_open"} == {"h1", "h2"}


@pytest.mark.parametrize(
    "text", ["1. one", "- item", "+ item", "=====", "# head", "> quote", "    code", "***", "| a |"]
)
def test_markdown_lines_stay_lines(text: str) -> None:
    shown = Document(title="t", subtitle=text, mark="", sections=(Section(title="s", blocks=(Paragraph(text=text),)),))
    page = MarkdownIt("commonmark").enable("table").render(FORMATS["md"](shown).decode())
    assert page.count("<p>") == 2
    assert squeezed(text) in squeezed(Read(page).text)
    assert not set(Read(page).tags) - {"h1", "h2", "p"}


@pytest.mark.parametrize("kind", READABLE)
def test_no_format_lets_a_control_character_or_a_turning_mark_through(kind: str) -> None:
    content = FORMATS[kind](document(samples.hostile())).decode()
    assert not set(content) & {"\x1b", "\x07", "\u202e", "\u0000"}
    assert "\N{REPLACEMENT CHARACTER}" in content


def test_a_terminal_of_80_columns_is_enough() -> None:
    lines = terminal.render(document(samples.RECORD)).splitlines()
    assert max(map(len, lines)) <= 80
    assert max(map(len, terminal.render(document(samples.hostile())).splitlines())) <= 80


def bars(text: str) -> list[str]:
    """The intervals that are drawn in a text."""
    found: list[str] = re.findall(r"[\u2500\u00b7]*\u25cf[\u2500\u00b7]*", text)
    return found


@pytest.mark.parametrize("name", ["busy", "quiet", "empty", "never", "draft"])
def test_on_80_columns_no_drawn_interval_is_cut_and_no_word_of_a_heading_is_broken(name: str) -> None:
    shown = document(RECORDS[name])
    tables = [block for one in shown.sections for block in one.blocks if isinstance(block, Table)]
    text = terminal.render(shown)
    assert [len(bar) for bar in bars(text)] == [terminal.BAR] * sum(
        one is not None for table in tables for one in table.drawn
    )
    words = text.split()
    for word in {word for table in tables for column in table.columns for word in column.heading.split()}:
        assert word in words


def test_the_longest_group_has_its_whole_interval_and_its_words() -> None:
    titles = Titles(
        ethnic_groups={
            "black": "Black, Black British, Caribbean or African",
            "white": "English, Welsh, Scottish, Northern Irish",
        }
    )
    counted = structs.replace(samples.BUSY, false_by_ethnicity={"black": 5, "white": 3})
    text = terminal.render(document(structs.replace(samples.RECORD, titles=titles, counted=counted)))
    shares = text[text.index("False alerts by recorded ethnicity") : text.index("Exact tests by ethnicity")]
    for word in ("Caribbean", "Scottish,", "Northern", "Unsurprising", "interval"):
        assert word in shares.split()
    assert [len(bar) for bar in bars(shares)] == [terminal.BAR] * 2


def test_a_table_that_is_wider_than_80_columns_is_shown_in_parts() -> None:
    columns = (Column(heading="Group"), *(Column(heading=f"{share} %", is_number=True) for share in range(10, 65, 5)))
    rows = tuple((label, *(f"{row}.{share:03}" for share in range(11))) for row, label in enumerate(("Caribbean", "b")))
    table = Table(caption="Exact tests", columns=columns, rows=rows)
    shown = Document(title="t", subtitle="", mark="", sections=(Section(title="s", blocks=(table,)),))
    lines = terminal.render(shown).splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert [words.count(cell) for row in rows for cell in row] == [2, *[1] * 11] * 2
    assert [words.count(f"{share}") for share in range(10, 65, 5)] == [1] * 11


@pytest.mark.parametrize("kind", [*READABLE, "csv"])
def test_mark_and_draft_are_in_every_format(kind: str) -> None:
    seen = squeezed(read(kind, FORMATS[kind](document(samples.DRAFT))))
    assert squeezed("DEMONSTRATION: not an operational deployment") in seen
    assert squeezed("DRAFT: not the final record.") in seen


@pytest.mark.parametrize("name", RECORDS)
def test_a_pdf_is_for_archives_for_screen_readers_and_the_same_again(name: str) -> None:
    shown = document(RECORDS[name])
    made = pdf.render(shown)
    assert made == pdf.render(shown)
    assert made.startswith(b"%PDF-")
    packet = made[made.index(b"<x:xmpmeta") : made.index(b"</x:xmpmeta>")]
    assert b"<pdfaid:part>2<" in packet
    assert b"<pdfaid:conformance>A<" in packet
    assert b"<pdfuaid:part>1<" in packet
    assert b"<xmp:CreateDate>2030-05-05T" in packet


def test_a_pdf_runs_nothing_and_links_to_nothing() -> None:
    made = pdf.render(document(samples.hostile()))
    assert not re.search(rb"/(JavaScript|JS|Launch|URI|EmbeddedFile|SubmitForm)\b", plain(made))


def plain(made: bytes) -> bytes:
    """A PDF with its streams unpacked."""
    parts = [made]
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", made, re.DOTALL):
        try:
            parts.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    return b"\n".join(parts)


def test_every_text_of_a_document_is_on_a_page_of_its_pdf() -> None:
    """What stands on the pages is more, as soon as any text says more."""
    table = Table(
        caption="k1",
        columns=(Column(heading="k2"), Column(heading="k3", is_number=True)),
        rows=(("k4", Figure(text="11", value=11)), (Figure(text="12", value=12), "k5")),
        drawn=(Drawn(value=0.5, low=0.2, high=0.9), None),
    )
    tiles = Tiles(tiles=(Tile(label="k6", cell=Figure(text="13", value=13), note="k7"), Tile(label="k8", cell="k9")))
    blocks = (Paragraph(text="p1"), Note(text="p2", is_warning=True), Note(text="p3"), Rows(rows=(("p4", "p5"),)))
    shown = Document(
        title="t1",
        subtitle="t2",
        mark="t3",
        warning="t4",
        running="t5",
        sections=(Section(title="s1", blocks=(tiles, *blocks)), Section(title="s2", blocks=(table, table))),
    )
    before = painted(pdf.render(shown))
    for text in {*texts(shown), "t5"}:
        changed = each_text(shown, lambda one, text=text: f"{text} {text}" if one == text else one)
        assert painted(pdf.render(changed)) != before, text


def painted(made: bytes) -> list[bytes]:
    """The content of the pages: what a PDF paints, without what it says of itself."""
    return [part for part in plain(made).split(b"\n") if part.endswith((b"TJ", b"Tj"))]


def test_characters_that_no_font_has_stand_as_their_numbers_and_it_says_so() -> None:
    shown = Document(
        title="a \U0001f600 b \u4e2d",
        subtitle="\u0413\u0440\u0435\u0446\u0438\u044f \u05e9",
        mark="",
        sections=(Section(title="s", blocks=()),),
    )
    after = pdf.printed(shown)
    assert (after.title, after.subtitle) == ("a [U+1F600] b [U+4E2D]", shown.subtitle)
    assert after.sections[0].blocks == (Note(text=pdf.WITHOUT_GLYPH),)
    assert pdf.render(shown).startswith(b"%PDF-")


def test_a_document_of_no_date_and_no_sections_is_a_pdf_all_the_same() -> None:
    assert pdf.render(Document(title="a", subtitle="", mark="", sections=())).startswith(b"%PDF-")


def test_templates_lie_in_the_package() -> None:
    folder = files("lfr_kernel.governance.record")
    for name in ("record.html.j2", "record.typ", "sign.html.j2", "sign.typ"):
        assert folder.joinpath(name).is_file()
    typst = folder.joinpath("record.typ").read_text("utf-8")
    assert "eval(" not in typst
    assert "@preview" not in typst


def test_formats_are_known_by_name() -> None:
    assert list(FORMATS) == ["text", "md", "html", "pdf", "csv"]
    assert set(FORMATS) > BINARY
