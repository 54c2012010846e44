"""The scaffold and the style that static pages share: no script, nothing remote, light and dark, and print."""

from __future__ import annotations

from html import escape

__all__ = ["document"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2127; --dim: #616a76; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --bar: #3b7ab8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #98a2af; --paper: #14171b; --card: #1d2127;
  --line: #313841; --bar: #5b9bd5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .25rem 0; } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .4rem .75rem .4rem 0;
  vertical-align: top; border-bottom: 1px solid var(--line); } th { color: var(--dim); font-weight: 500; }
@media print { body { padding: 0; background: none; } h1, h2, h3 { break-after: avoid; }
  figure, article, tr { break-inside: avoid; } }
"""

_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def document(title: str, body: str, style: str) -> str:
    """Return a page.

    Args:
        title: text; it is escaped here.
        body: HTML in which every text is escaped already.
        style: CSS that this kind of page needs besides.
    """
    return _DOCUMENT.format(title=escape(title), style=_STYLE + style, body=body)
