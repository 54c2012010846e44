"""The models that are there: those that come with the package, and one's own in a folder.

One's own lie in the folder that the environment variable LFR_MODELS names, or else in the user's data folder. A model
is three files there: `<name>.toml`, its card; `<name>.onnx`, its weights; and, where it has one, `<name>.licence`, the
reference to the licence under which it is used. The card is put there last: it is what makes a model exist.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs
from msgspec import Struct

from lfr_kernel.api import PermanentError, suggest
from lfr_plugins.models.cards import built_in, load_card

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from lfr_plugins.models.cards import Card

__all__ = ["Model", "find_model", "model_names", "own_folder", "put", "read_weights"]

VARIABLE = "LFR_MODELS"


class Model(Struct, frozen=True, kw_only=True):
    """A card, and where it lies."""

    card: Card
    origin: Literal["bundled", "own"]
    folder: Path | Traversable
    licence_reference: str | None
    """Under which licence one's own copy is used, as it was given to `models add`."""

    @property
    def weights(self) -> str:
        """Where the weights lie, for people."""
        return str(self.folder / self.card.file)


def own_folder() -> Path:
    """Return the folder of one's own models; it need not exist."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("lfr-kernel", appauthor=False) / "models"


def model_names() -> dict[str, Literal["bundled", "own"]]:
    """Return every model that has a card, by name: bundled ones first.

    Raises:
        PermanentError: the folder of one's own models cannot be read.
    """
    found: dict[str, Literal["bundled", "own"]] = dict.fromkeys(_cards(built_in()), "bundled")
    folder = own_folder()
    try:
        own = _cards(folder)
    except FileNotFoundError:
        own = []
    except OSError as error:
        raise PermanentError(
            f"the folder of one's own models, {folder}, cannot be read: {error.strerror or error}; correct it, or set "
            f"{VARIABLE} to another one"
        ) from error
    taken = [name for name in own if name in found]
    if taken:
        raise PermanentError(
            f"{folder / taken[0]}.toml has the name of a bundled model; give it another name, in file and card"
        )
    return found | dict.fromkeys(own, "own")


def _cards(folder: Traversable) -> list[str]:
    names = (one.name for one in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml") and not name.startswith("."))


def find_model(name: str) -> Model:
    """Return the model of that name, as its card has it.

    Raises:
        PermanentError: there is none; the text lists what there is.
        CardError: its card cannot be used.
    """
    names = model_names()
    if name not in names:
        raise PermanentError(
            f"there is no model {name!r}; there are: {', '.join(names)}{suggest(name, names)}. Add one of your own "
            "with `lfr-kernel models add`"
        )
    folder = built_in() if names[name] == "bundled" else own_folder()
    return Model(
        card=load_card(name, folder=folder),
        origin=names[name],
        folder=folder,
        licence_reference=_reference(folder, name),
    )


def _reference(folder: Traversable, name: str) -> str | None:
    try:
        return (folder / f"{name}.licence").read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(f"the licence reference {folder / name}.licence cannot be read: {error}") from error


def read_weights(model: Model) -> bytes:
    """Return the weights, if they are those of the card and may be used.

    Raises:
        PermanentError: they are missing, have another digest than the card's, or need a licence reference that is not
            there.
    """
    card = model.card
    try:
        weights = (model.folder / card.file).read_bytes()
    except FileNotFoundError as error:
        raise PermanentError(
            f"the weights of model {card.name!r} are missing: expected {model.weights}; {_restore(model)}"
        ) from error
    except OSError as error:
        raise PermanentError(f"the weights {model.weights} cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.sha256:
        raise PermanentError(
            f"the weights of model {card.name!r} are not those its card describes: {model.weights} should have SHA-256 "
            f"{card.sha256}, but has {digest}; {_restore(model)}, never change the digest"
        )
    if card.use != "any" and model.licence_reference is None:
        raise PermanentError(
            f"model {card.name!r} is for {card.use} use by its licence ({card.licence}), and no reference to a "
            f"licence of yours is stored; write it into {model.folder / card.name}.licence, or use another model"
        )
    return weights


def _restore(model: Model) -> str:
    if model.origin == "bundled":
        return "restore the file (reinstall lfr-kernel)"
    return "restore the file from where you have it"


def put(card: Card, *, text: bytes, weights: bytes, licence_reference: str | None) -> Path:
    """Put a model into the folder of one's own: each file is written beside its place and renamed, the card last.

    Args:
        card: what `text` says.
        text: of the card, kept as it is.
        weights: whose digest is the card's.
        licence_reference: stored beside them.

    Returns:
        The folder.

    Raises:
        PermanentError: it cannot be written; nothing is left of it.
    """
    folder = own_folder()
    parts = {f"{card.name}.onnx": weights}
    if licence_reference is not None:
        parts[f"{card.name}.licence"] = f"{licence_reference}\n".encode()
    parts[f"{card.name}.toml"] = text
    placed: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What a killed run left without a card is no model, and must not lend its licence to this one.
        (folder / f"{card.name}.licence").unlink(missing_ok=True)
        for name, content in parts.items():
            placed.append(folder / f".{name}.part")
            _write(placed[-1], content)
        for name in parts:
            placed.append(folder / name)
            (folder / f".{name}.part").replace(placed[-1])
    except BaseException as error:
        for path in placed:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise PermanentError(
                f"model {card.name!r} cannot be written to {folder}: {error.strerror or error}; set {VARIABLE} to a "
                "folder you may write to"
            ) from error
        raise
    return folder


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
