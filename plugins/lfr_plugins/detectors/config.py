"""Settings of the built-in detector."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lfr_plugins.models.devices import Asked  # noqa: TC001  (msgspec reads it when it decodes)
from lfr_plugins.models.store import find_model

__all__ = ["OnnxDetectorConfig"]


class OnnxDetectorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the detector `onnx`."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="Which model, by the name of its card: see `lfr-kernel models list`.",
            extra={"recognition": False},  # its digest counts, and its card
        ),
    ] = "retinaface_mnet025"
    device: Asked = "auto"
    longest_side: Annotated[
        int,
        Meta(
            ge=320,
            le=1920,
            description="Longest side in px that pictures are scaled down to before faces are looked for, rounded to "
            "a multiple of 32. Twice the side finds faces half as large and takes four times as long. A model that "
            "takes one size only needs that of its card.",
        ),
    ] = 640
    confidence: Annotated[
        float,
        Meta(
            ge=0.3,
            le=0.99,
            description="Least confidence of a detection. Lower finds more turned, small and covered faces, and more "
            "that are none. Models differ in what they call how sure.",
        ),
    ] = 0.6
    max_faces: Annotated[
        int, Meta(ge=1, le=1000, description="Most faces of one picture; the least confident are left out.")
    ] = 128

    @property
    def recognition(self) -> dict[str, str]:
        """What else has a say in who is recognised: how the model is used, by its card."""
        return {"card": find_model(self.model).card.use_digest()}
