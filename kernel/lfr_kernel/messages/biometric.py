"""The owner of one array of pixels or numbers that could identify somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Biometric", "BiometricErasedError"]


class BiometricErasedError(RuntimeError):
    """The array was asked for after it had been erased: a defect in whoever asked."""


class Biometric:
    """Owns one array (a crop, a template) and overwrites it when told to.

    Whoever takes a message out of a mailbox owns its biometrics and erases them; a message that dies on its
    way is erased by the disposal hook of the mailbox it died in. The representation shows shape and dtype only,
    and the owner cannot be pickled or encoded.
    """

    __slots__ = ("_array",)

    def __init__(self, array: NDArray[Any]) -> None:
        """Take ownership of `array`; it must be writeable and not shared with another owner."""
        self._array: NDArray[Any] | None = array

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

    def __repr__(self) -> str:
        if self._array is None:
            return "<Biometric erased>"
        return f"<Biometric {self._array.dtype}{list(self._array.shape)}>"

    def __reduce__(self) -> Never:
        raise TypeError("a Biometric is never encoded, pickled or copied")
