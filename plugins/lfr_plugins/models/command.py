"""`lfr-kernel models`: which models there are, what is known of them, and whether they are still what they were."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from lfr_kernel.api import LfrError, PermanentError
from lfr_plugins.models.cards import CardError, read_card
from lfr_plugins.models.store import find_model, model_names, own_folder, put, read_weights
from lfr_plugins.models.tables import card_tables, models_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfr_plugins.models.store import Model

__all__ = ["models"]

EPILOG = """\b
Examples:
  lfr-kernel models list                       what there is
  lfr-kernel models show mobilefacenet         everything its card says
  lfr-kernel models add glint.onnx --card glint.toml
  lfr-kernel models verify                     nothing has changed on disk

Exit codes: 0 all is well, 1 a model is not what its card says, 2 wrong usage or a bad card."""
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
A_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group(epilog=EPILOG)
def models() -> None:
    """List, show, add and verify the models that detector and embedder can use.

    A model is a weights file (.onnx) and a card beside it (.toml), which says what it is, how it is used, whose it is,
    what it was trained on and where it fails. It is loaded only if the SHA-256 of its weights is the one on its card.
    Bundled models come with lfr-kernel. Your own lie in one folder: the one that LFR_MODELS names, or else a folder in
    your user data. A profile names a model in the options of its stage: `options = { model = "NAME" }`.
    """


@models.command("list")
@AS_JSON
def list_models(*, as_json: bool) -> None:
    """List the models there are."""
    found, broken = _all()
    if as_json:
        _print_json([_facts(one) for one in found] + [{"name": name, "problem": text} for name, text in broken.items()])
    else:
        Console(highlight=False).print(models_table(found, broken, own_folder()))
    if broken:
        raise click.exceptions.Exit(1)


@models.command()
@click.argument("name")
@AS_JSON
def show(name: str, *, as_json: bool) -> None:
    """Show everything that is known about the model NAME: licence, origin, accuracy, limits, inputs and outputs."""
    model = _found(name)
    if as_json:
        _print_json(_facts(model) | {"card": msgspec.to_builtins(model.card)})
    else:
        Console(highlight=False).print(card_tables(model))


@models.command(
    epilog="The card of a bundled model (`lfr-kernel models show NAME --json`) is an example to start from."
)
@click.argument("file", type=A_FILE)
@click.option("--card", "card_file", type=A_FILE, required=True, help="What the model is: a card in TOML.")
@click.option(
    "--licence-reference",
    metavar="TEXT",
    help="Under which licence you use it, such as the number of a contract. Needed where the card's `use` is not "
    '"any"; stored beside the card and shown wherever the model is.',
)
def add(file: Path, card_file: Path, *, licence_reference: str | None) -> None:
    """Add the model in FILE (.onnx) to your own.

    It is added only if its SHA-256 is the one on the card, it can be loaded, and one inference gives what the card
    states: names, shapes and finite numbers. Nothing is changed otherwise.
    """
    from lfr_plugins.models.trial import try_model  # noqa: PLC0415  (it brings the runtime)

    text, weights = _read(card_file), _read(file)
    try:
        card = read_card(text, str(card_file))
    except CardError as error:
        raise _BadRequestError(str(error)) from error
    if card.name in model_names():
        raise _BadRequestError(
            f"there is a model {card.name!r} already; give this one another name, in its card (name and file)"
        )
    reference = " ".join((licence_reference or "").split()) or None
    if card.use != "any" and reference is None:
        raise _BadRequestError(
            f"model {card.name!r} is for {card.use} use by its licence ({card.licence}); if you have a licence for "
            'what you do with it, say which: --licence-reference "contract 4711 of 2026-01-02"'
        )
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.sha256:
        raise PermanentError(
            f"{file} is not what {card_file} describes: expected SHA-256 {card.sha256}, got {digest}; give the weights "
            "that belong to the card"
        )
    try_model(card, weights, str(file))
    folder = put(card, text=text, weights=weights, licence_reference=reference)
    Console(highlight=False).print(f"added {card.name} to {folder}", soft_wrap=True, markup=False)


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@AS_JSON
def verify(names: Sequence[str], *, as_json: bool) -> None:
    """Hash the weights of the models NAME (all, if none is given) again and compare them with their cards."""
    known = model_names()
    for name in names:
        if name not in known:
            _found(name)
    checked = {name: _problem(name) for name in names or known}
    if as_json:
        _print_json([{"name": name, "ok": problem is None, "problem": problem} for name, problem in checked.items()])
    else:
        console = Console(highlight=False)
        for name, problem in checked.items():
            word, style = ("ok", "green") if problem is None else ("WRONG", "bold red")
            console.print(f"[{style}]{word:>5}[/]  {name}", soft_wrap=True)
            if problem is not None:
                console.print(f"       {problem}", soft_wrap=True, markup=False)
    if any(checked.values()):
        raise click.exceptions.Exit(1)


class _BadRequestError(click.ClickException):
    """What was asked for cannot be done as it was asked for."""

    exit_code = 2


def _found(name: str) -> Model:
    if name not in model_names():
        try:
            find_model(name)
        except PermanentError as error:
            raise _BadRequestError(str(error)) from error
    return find_model(name)


def _all() -> tuple[list[Model], dict[str, str]]:
    """Return every model, and what is wrong with those that cannot be used."""
    found: list[Model] = []
    broken: dict[str, str] = {}
    for name in model_names():
        try:
            found.append(find_model(name))
        except LfrError as error:
            broken[name] = str(error)
    return found, broken


def _problem(name: str) -> str | None:
    try:
        read_weights(find_model(name))
    except LfrError as error:
        return str(error)
    return None


def _facts(model: Model) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name,
        "task": card.task,
        "origin": model.origin,
        "weights": model.weights,
        "sha256": card.sha256,
        "licence": card.licence,
        "use": card.use,
        "licence_reference": model.licence_reference,
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror or error}") from error


def _print_json(what: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
