"""The installation's keys: each in one file, sealed by the machine where the machine can, and gone when destroyed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from lfr_kernel.governance.errors import KeyFileError
from lfr_kernel.governance.keys.files import destroy_file, is_destroyed, read_secret, replace_secret
from lfr_kernel.governance.keys.sealing import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileSealer", "Keyring", "Sealer"]

SUFFIX = ".key"


class Sealer(Protocol):
    """What the machine offers to keep a key to itself, such as a TPM. `name` binds what is sealed to its purpose."""

    def seal(self, name: str, secret: bytes) -> bytes:
        """Return what only this machine can open."""

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return the secret. Raises SealError on another machine, or for another name."""


class FileSealer:
    """Where there is nothing better: the key lies in a file that its owner alone can read, and as it is.

    Whoever copies the disk of a machine without a TPM copies the key.
    """

    def seal(self, name: str, secret: bytes) -> bytes:  # noqa: ARG002  (what a TPM would bind it to)
        """Return the secret."""
        return secret

    def open(self, name: str, sealed: bytes) -> bytes:  # noqa: ARG002
        """Return the secret."""
        return sealed


class Keyring:
    """Keys by name, each in a file of its own in one folder; never in a database, never in a backup of one."""

    def __init__(self, folder: Path, sealer: Sealer | None = None) -> None:
        """Use the folder, which need not be there yet."""
        self.folder = folder
        self.sealer = sealer or FileSealer()
        """For whatever else the machine is to keep to itself."""

    def make(self, name: str) -> bytes:
        """Make a random key of 32 bytes, keep it, and return it. Raises as `put` does."""
        secret = os.urandom(KEY_BYTES)
        self.put(name, secret)
        return secret

    def put(self, name: str, secret: bytes) -> None:
        """Keep a key under a name, in place of the one before, of which nothing is left.

        Raises:
            KeyFileError: it cannot be written, as on a full disk.
        """
        path = self._path(name)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_secret(path, self.sealer.seal(name, secret))
        except OSError as error:
            raise KeyFileError(
                f"key file {path} could not be written: {error.strerror or error}; see whether its disk has room and "
                "who owns the folder, then do this again"
            ) from error

    def get(self, name: str) -> bytes:
        """Return a key.

        Raises:
            KeyFileError: there is none of this name, or it cannot be read, or others can read it.
            SealError: another machine sealed it.
        """
        return self.sealer.open(name, read_secret(self._path(name)))

    def has(self, name: str) -> bool:
        """Return whether there is a key of this name. One whose destruction was broken off is none."""
        try:
            return not is_destroyed(self._path(name).read_bytes())
        except FileNotFoundError:
            return False

    def names(self) -> list[str]:
        """Return the names of the keys that are here."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))

    def destroy(self, name: str) -> bool:
        """Overwrite and remove a key; return whether it was there. Doing it twice is harmless."""
        return destroy_file(self._path(name))

    def _path(self, name: str) -> Path:
        if not name or not all(one.isalnum() or one in "-_" for one in name):
            raise KeyFileError(f"expected the name of a key (letters, digits, - and _), got {name!r}")
        return self.folder / f"{name}{SUFFIX}"
