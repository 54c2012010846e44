"""How models are shown on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from lfr_plugins.models.cards import Card, Tensor
    from lfr_plugins.models.store import Model

__all__ = ["card_tables", "models_table"]


def models_table(models: Sequence[Model], broken: Mapping[str, str], folder: Path) -> Group:
    """Return a row a model, in 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("name", "task", "where", "licence", "use"):
        table.add_column(heading, overflow="fold")
    for model in models:
        card = model.card
        style = "" if card.use == "any" else "yellow" if model.licence_reference else "bold red"
        use = card.use if card.use == "any" else f"{card.use}: {model.licence_reference or 'NO LICENCE REFERENCE'}"
        table.add_row(
            Text(card.name, "bold cyan"), card.task, model.origin, Text(_line(card.licence)), Text(_line(use), style)
        )
    parts: list[Table | Text] = [table]
    for name, problem in broken.items():
        text = "\n".join(map(_line, problem.splitlines()))
        parts.append(Text.assemble((f"\n{name} cannot be used: ", "bold red"), text))
    parts.append(Text(f"\nyour own lie in {folder}", "dim"))
    return Group(*parts)


def card_tables(model: Model) -> Group:
    """Return everything that a card says, what it warns of first."""
    card = model.card
    parts: list[Table | Text] = [Text.assemble((card.name, "bold cyan"), f"  {_line(card.summary)}\n")]
    parts.append(_facts(model))
    parts += [Text("\nlimits", "bold yellow"), _list(card.limits)]
    parts += [Text("\ntrained on", "bold"), _list([card.training.data, card.training.provenance])]
    if card.accuracy:
        parts += [Text("\naccuracy", "bold"), _accuracy(card)]
    parts += [Text("\ninputs and outputs", "bold"), _tensors([*card.inputs, *card.outputs])]
    return Group(*parts)


def _facts(model: Model) -> Table:
    card = model.card
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    rows = {
        "task": card.task,
        "weights": model.weights,
        "SHA-256": card.sha256,
        "origin": card.origin,
        "licence": card.licence,
        "use": card.use,
        "reference": model.licence_reference or ("-" if card.use == "any" else "none: it cannot be loaded without one"),
        "pixels": f"{card.pixels.order}, minus {_numbers(card.pixels.mean)}, divided by {card.pixels.scale:g}",
    }
    if card.task == "detection":
        rows |= {
            "head": card.head or "",
            "levels": "; ".join(f"stride {one.stride}, anchors {_numbers(one.anchors)} px" for one in card.levels),
            "smallest face": f"{card.smallest_face_px:g} px in the picture that it sees",
        }
    elif card.crop_size is not None:
        rows |= {
            "template": f"{card.dimension} numbers",
            "crop": f"{card.crop_size[0]}x{card.crop_size[1]} px, landmarks at "
            + " ".join(f"({_numbers(point)})" for point in card.landmark_template or ()),
        }
    for name, text in rows.items():
        facts.add_row(name, Text(_line(text)))
    return facts


def _accuracy(card: Card) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("value", "metric", "by", "on"):
        table.add_column(heading, overflow="fold")
    for figure in card.accuracy:
        table.add_row(f"{figure.value:g}", Text(_line(figure.metric)), figure.by, Text(_line(figure.on)))
    return table


def _tensors(tensors: Sequence[Tensor]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("name", "role", "shape", "meaning"):
        table.add_column(heading, overflow="fold")
    for one in tensors:
        role = f"{one.role or '-'}" + ("" if one.stride is None else f" /{one.stride}")
        table.add_row(
            Text(_line(one.name)), role, Text(_line(" x ".join(map(str, one.shape)))), Text(_line(one.meaning))
        )
    return table


def _list(texts: Iterable[str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for text in texts:
        table.add_row("-", Text(_line(text)))
    return table


def _numbers(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _line(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal: a card is somebody else's file."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))
