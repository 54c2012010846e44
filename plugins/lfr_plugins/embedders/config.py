"""Settings of the built-in embedder."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lfr_plugins.models.devices import Asked  # noqa: TC001  (msgspec reads it when it decodes)
from lfr_plugins.models.store import find_model

__all__ = ["OnnxEmbedderConfig"]


class OnnxEmbedderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the embedder `onnx`."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="Which model, by the name of its card: see `lfr-kernel models list`. Thresholds belong to a "
            "model: another one needs its own.",
            extra={"recognition": False},  # its digest counts, and its card
        ),
    ] = "mobilefacenet"
    device: Asked = "auto"

    @property
    def recognition(self) -> dict[str, str]:
        """What else has a say in who is recognised: how the model is used, by its card."""
        return {"card": find_model(self.model).card.use_digest()}
