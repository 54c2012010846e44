"""report.html: the report's Markdown as one static page that holds its figures. What others wrote stays text."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from lfr_plugins.lab.pages import document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markdown_it.token import Token

__all__ = ["page"]

_PICTURE = re.compile(r"plots/([\w-]+)\.svg")
_BESIDE = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*|#[\w-]+")
"""What a link may point to: a file beside the page, or a place on it."""
_PER_CENT = re.compile(r"(?<=\d) %")
_STYLE = """body { max-width: 64rem; overflow-wrap: break-word; }
body > :not(.table, figure) { max-width: 44rem; }
h1 { margin-bottom: 1rem; } h2 { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { margin: 1.75rem 0 .5rem; } p { margin: .75rem 0; } li { margin: .35rem 0; } ul, ol { padding-left: 1.25rem; }
a { color: inherit; }
.table { margin: 1rem 0; overflow-x: auto; } table { width: max-content; max-width: 100%; font-size: .9rem; }
td, th { padding-right: 1.5rem; max-width: 26rem; font-variant-numeric: tabular-nums; }
code { font: .875em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; } td code { font-size: .8125em; }
pre { margin: 1rem 0; padding: .75rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; } pre code { overflow-wrap: normal; }
figure { margin: 1.5rem 0; padding: 1rem; max-width: 44rem; overflow-x: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
figure svg { display: block; width: 100%; min-width: 27rem; height: auto; }
figcaption { position: sticky; left: 0; margin-top: .75rem; color: var(--dim); font-size: .875rem; }
@media print { figure { border: none; padding: 0; } h2 { border: none; } }
@media (max-width: 40rem) { body { padding: 1.25rem 1rem 3rem; } figure { padding: .75rem; }
  table { max-width: none; } td, th { padding-right: 1rem; max-width: 15rem; } }
"""


def page(markdown: str, pictures: Mapping[str, str], *, title: str) -> str:
    """Return the page.

    Args:
        markdown: with `![what it shows](plots/NAME.svg)` where a figure is to stand, in a paragraph of its own. HTML in
            it is text; links and images that lead elsewhere than to a file beside the page are text, too.
        pictures: SVG by name.
        title: of the page, as text.
    """
    parser = _Parser("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    return document(title, parser.render(markdown, {"pictures": pictures}).rstrip(), _STYLE)


class _Parser(MarkdownIt):
    """Knows no link but those to files beside the page: the rest is left as it was written."""

    def validateLink(self, url: str) -> bool:  # noqa: N802  (the parser's name)
        return _BESIDE.fullmatch(url) is not None


class _Renderer(RendererHTML):
    """Every method without an underscore writes the token of its name."""

    def text(self, tokens: Sequence[Token], index: int, *_: object) -> str:
        """No line ends between a number and its per cent sign."""
        return escape(_PER_CENT.sub("\N{NO-BREAK SPACE}%", tokens[index].content))

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Write the figure itself, with the words for it as its caption."""
        token = tokens[index]
        says = escape(self.renderInlineAsText(token.children, options, env))
        found = _PICTURE.fullmatch(str(token.attrGet("src")))
        if found is None:
            return says
        svg = env["pictures"].get(found[1])
        if svg is None:
            return f'<p class="dim">{says}: not drawn, there is no data for it.</p>\n'
        return f'<figure role="img" aria-label="{says}">\n{svg.strip()}\n<figcaption>{says}</figcaption>\n</figure>\n'

    def paragraph_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """A figure stands in no paragraph."""
        return "" if _is_figure(tokens[index + 1]) else self.renderToken(tokens, index, options, env)

    def paragraph_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Likewise."""
        return "" if _is_figure(tokens[index - 1]) else self.renderToken(tokens, index, options, env)

    def table_open(self, *_: object) -> str:
        """A table scrolls in a box of its own, by keyboard too."""
        return '<div class="table" tabindex="0">\n<table>\n'

    def table_close(self, *_: object) -> str:
        """Close both."""
        return "</table>\n</div>\n"


def _is_figure(inline: Token) -> bool:
    children = inline.children or ()
    return any(child.type == "image" and _PICTURE.fullmatch(str(child.attrGet("src"))) for child in children)
