"""What governance refuses, and what it finds broken.

PermanentError
├── RefusedError    somebody may not do this, or not now: a role, a rule of the pack, a list that was spent
├── SignatureError  a signature does not hold
├── SealError       a wrong passphrase or key, or something sealed that was changed
├── KeyFileError    a key file is missing, cannot be read, or others can read it
└── AuditError      the vault's database cannot be written or read, or was tampered with
    └── BusyError   … for now: somebody else is writing
"""

from __future__ import annotations

from lfr_kernel.runtime import PermanentError

__all__ = ["AuditError", "BusyError", "KeyFileError", "RefusedError", "SealError", "SignatureError"]


class RefusedError(PermanentError, PermissionError):
    """An act is refused; the text says which rule, what it expects, and what to do."""


class SignatureError(PermanentError, ValueError):
    """A signature does not hold, or is by nobody who may sign this."""


class SealError(PermanentError, ValueError):
    """Something sealed cannot be opened: the wrong passphrase or key, or it was changed."""


class KeyFileError(PermanentError, OSError):
    """A key file is missing, cannot be read, or can be read by others."""


class AuditError(PermanentError, OSError):
    """The database of state and audit cannot be written or read, or was tampered with; the text says where."""


class BusyError(AuditError):
    """Another process held the database for too long: nothing is wrong with it, and the next try may do."""
