"""Pixels become the numbers that a model takes: (value - mean) / scale, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_plugins.models.cards import Pixels

__all__ = ["fill_crops", "fill_picture"]


def fill_picture(tensor: NDArray[np.float32], rgb: NDArray[np.uint8], pixels: Pixels) -> None:
    """Write a picture into the upper left corner of a canvas; the rest becomes zero, which stands for the mean colour.

    Args:
        tensor: float32 [1, 3, H, W], overwritten.
        rgb: uint8 [h, w, 3] with h <= H and w <= W.
        pixels: the order of the channels, and how they are scaled.
    """
    height, width = rgb.shape[:2]
    tensor[0, :, height:, :] = 0
    tensor[0, :, :height, width:] = 0
    channels = cv2.split(rgb) if pixels.order == "RGB" else reversed(cv2.split(rgb))
    for plane, mean, channel in zip(tensor[0], pixels.mean, channels, strict=True):
        target = plane[:height, :width]
        # Numpy would take half as long again.
        if pixels.scale == 1:
            # OpenCV's annotations leave out that a number may be subtracted.
            cv2.subtract(channel, mean, dst=target, dtype=cv2.CV_32F)  # type: ignore[call-overload]
        else:
            part = 1 / pixels.scale
            cv2.addWeighted(channel, part, channel, 0, -mean * part, dst=target, dtype=cv2.CV_32F)


def fill_crops(tensor: NDArray[np.float32], crops: NDArray[np.uint8], pixels: Pixels) -> None:
    """Write crops into `tensor` without a temporary: they could identify somebody.

    Args:
        tensor: float32 [N, 3, H, W], overwritten.
        crops: uint8 [N, H, W, 3] RGB.
        pixels: the order of the channels, and how they are scaled.
    """
    planes = crops.transpose(0, 3, 1, 2)
    np.copyto(tensor, planes if pixels.order == "RGB" else planes[:, ::-1])
    tensor -= np.array(pixels.mean, np.float32)[:, np.newaxis, np.newaxis]
    tensor /= np.float32(pixels.scale)
