"""Portraits as JPEG: small, near to what they were, and refused when damaged."""

from __future__ import annotations

import numpy as np
import pytest

from lfr_kernel.api import PermanentError, Registry
from lfr_plugins.cameras.stills import JpegStills


def test_a_portrait_comes_back_nearly_as_it_was() -> None:
    ramp = np.linspace(0, 255, 224, dtype=np.uint8)
    pixels = np.stack([np.broadcast_to(ramp, (224, 224)), np.broadcast_to(ramp[:, None], (224, 224))] * 2, axis=2)[
        :, :, :3
    ]
    data = JpegStills().encode(np.ascontiguousarray(pixels))
    back = JpegStills().decode(data)
    assert len(data) < 20_000
    assert (back.shape, back.dtype) == ((224, 224, 3), np.uint8)
    assert np.abs(back.astype(int) - pixels).mean() < 3, "and red is still red"


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff"])
def test_what_is_no_portrait_is_refused(data: bytes) -> None:
    with pytest.raises(PermanentError, match="a portrait cannot be decoded: expected a JPEG"):
        JpegStills().decode(data)


def test_what_is_no_picture_is_not_packed() -> None:
    with pytest.raises(ValueError, match=r"expected RGB pixels, uint8 \[H, W, 3\], got float32\[4, 4\]"):
        JpegStills().encode(np.zeros((4, 4), np.float32))  # type: ignore[arg-type]


def test_the_reader_of_photographs_offers_it() -> None:
    assert isinstance(Registry.discover().get("camera", "images").stills(), JpegStills)
