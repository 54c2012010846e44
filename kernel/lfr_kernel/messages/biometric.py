"""The owner of one array of pixels or numbers that could identify somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Biometric", "BiometricErasedError", "Watch"]


class BiometricErasedError(RuntimeError):
    """The array was asked for after it had been erased: a defect in whoever asked."""


class Watch(Protocol):
    """Is told how long the arrays of passers-by live. Both calls come from any thread and must be quick."""

    def began(self, owner: int, since_ns: int | None) -> None:
        """Hear that `owner` (the id of a `Biometric`) has an array, of somebody captured at `since_ns` if known."""

    def ended(self, owner: int) -> None:
        """Hear that its array was overwritten."""


class Biometric:
    """Owns one array (a crop, a template) and overwrites it when told to, or when it is let go of.

    Whoever takes a message out of a mailbox owns its biometrics and erases them; a message that dies on its
    way is erased by the disposal hook of the mailbox it died in. The representation shows shape and dtype only,
    and the owner cannot be pickled or encoded.
    """

    __slots__ = ("__weakref__", "_array", "_watch")

    watch: ClassVar[Watch | None] = None
    """Told of those made from now on; one a process, as long as a run lasts."""

    def __init__(self, array: NDArray[Any], *, since_ns: int | None = None, is_kept: bool = False) -> None:
        """Take ownership.

        Args:
            array: writeable and not shared with another owner.
            since_ns: when what it is made of was captured, on the system's monotonic clock; now, when None.
            is_kept: of somebody listed, or the evidence of an alert: it has a term of its own, and is not watched.
        """
        self._array: NDArray[Any] | None = array
        self._watch = None if is_kept else Biometric.watch
        if self._watch is not None:
            self._watch.began(id(self), since_ns)

    @property
    def array(self) -> NDArray[Any]:
        """The array itself, not a copy. Raises BiometricErasedError once it has been erased."""
        if self._array is None:
            raise BiometricErasedError("this crop or template was erased; nobody may use it any more")
        return self._array

    @property
    def is_erased(self) -> bool:
        """Whether `erase` has been called."""
        return self._array is None

    def erase(self) -> None:
        """Overwrite the array with zeros and let go of it. Doing it twice is harmless."""
        if self._array is not None:
            self._array.fill(0)
            self._array = None
            if self._watch is not None:
                self._watch.ended(id(self))

    def __del__(self) -> None:
        # Not there when the constructor was called with something else than one array.
        if hasattr(self, "_array"):
            self.erase()

    def __repr__(self) -> str:
        if self._array is None:
            return "<Biometric erased>"
        return f"<Biometric {self._array.dtype}{list(self._array.shape)}>"

    def __reduce__(self) -> Never:
        raise TypeError("a Biometric is never encoded, pickled or copied")
