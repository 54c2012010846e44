"""The mathematics of alignment: where a face lies in its crop, and how templates are averaged. Pure numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["mean_template", "mirror", "reaching_in", "similarity_transform", "similarity_transforms", "without"]

_RELATIVE_SPREAD = 1e-7
"""Landmarks nearer to each other than this, relative to their distance from the origin, are one point in float32."""


def similarity_transform(source: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """Return the similarity without reflection that takes `source` nearest to `target` by least squares.

    It is the optimum of Umeyama (1991), "Least-squares estimation of transformation parameters between two point
    patterns", eq. 34-43, found as in `similarity_transforms`.

    Args:
        source: [P, 2] points (x, y), such as five landmarks in px of a picture.
        target: [P, 2] the points they should come to lie on, such as a landmark template in px of a crop.

    Returns:
        float64 [2, 3]: maps (x, y, 1) of the source to (x, y) of the target.

    Raises:
        ValueError: as for `similarity_transforms`.
    """
    (matrix,) = similarity_transforms(np.asarray(source)[np.newaxis], target)
    return np.asarray(matrix, np.float64)


def similarity_transforms(landmarks: NDArray[Any], template: NDArray[Any]) -> NDArray[np.float64]:
    """Return the least-squares similarities that take each of N faces to one template.

    In the plane a similarity without reflection is w = a·z + b over the complex numbers, z = x + iy, where |a| is the
    scale and arg a the rotation. Least squares then has the closed form a = Σ conj(z - z̄)(w - w̄) / Σ |z - z̄|²,
    b = w̄ - a·z̄: linear regression over complex numbers (Dryden and Mardia, "Statistical Shape Analysis", planar
    Procrustes analysis). It equals Umeyama's solution, which forbids the reflection too, without an SVD a face.

    Args:
        landmarks: [N, P, 2] px; N may be 0.
        template: [P, 2] px.

    Returns:
        float64 [N, 2, 3]: each maps (x, y, 1) of the picture to (x, y) of the crop.

    Raises:
        ValueError: the shapes do not fit each other; a coordinate is not finite; the landmarks of a face are all in
            one place, so that no similarity can be told from them.
    """
    source, target = np.asarray(landmarks, np.float64), np.asarray(template, np.float64)
    if source.ndim != 3 or target.ndim != 2 or source.shape[1:] != target.shape or target.shape[1:] != (2,):  # noqa: PLR2004  (points in the plane)
        raise ValueError(
            f"expected landmarks [N, P, 2] and a template [P, 2], got {list(source.shape)} and {list(target.shape)}"
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("landmarks must be finite; a detector returned NaN or infinity")
    z, w = source[..., 0] + 1j * source[..., 1], target[:, 0] + 1j * target[:, 1]
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean()
    centred = z - z_mean
    spread = np.square(np.abs(centred)).sum(axis=1)
    degenerate = spread <= np.square(_RELATIVE_SPREAD * np.abs(z).max(axis=1))
    if degenerate.any():
        raise ValueError(f"the landmarks of face {int(degenerate.argmax())} are all in one place; it cannot be aligned")
    a = (centred.conj() @ (w - w_mean)) / spread
    b = w_mean - a * z_mean[:, 0]
    matrices = np.empty((len(source), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = a.real
    matrices[:, 1, 0] = a.imag
    matrices[:, 0, 1] = -a.imag
    matrices[:, 0, 2], matrices[:, 1, 2] = b.real, b.imag
    return matrices


def reaching_in(
    affine: NDArray[np.float64], boxes: NDArray[Any], size: tuple[int, int]
) -> tuple[tuple[float, float, float, float], ...]:
    """Return which boxes of a picture reach into a crop of it, and where.

    Args:
        affine: float64 [2, 3]: maps (x, y, 1) of the picture to (x, y) of the crop.
        boxes: [M, 4] xyxy in px of the picture.
        size: (width, height) of the crop in px.

    Returns:
        xyxy in px of the crop, cut at its edges: the smallest upright rectangle around each box, which is turned with
        the crop.
    """
    left, top, right, bottom = np.asarray(boxes, np.float64).reshape(-1, 4).T
    corners = np.stack([[left, right, right, left], [top, top, bottom, bottom]], axis=-1)
    x = affine[0, 0] * corners[..., 0] + affine[0, 1] * corners[..., 1] + affine[0, 2]
    y = affine[1, 0] * corners[..., 0] + affine[1, 1] * corners[..., 1] + affine[1, 2]
    found = np.stack(
        [
            x.min(axis=0).clip(0),
            y.min(axis=0).clip(0),
            x.max(axis=0).clip(max=size[0]),
            y.max(axis=0).clip(max=size[1]),
        ],
        axis=1,
    )
    inside = (found[:, 0] < found[:, 2]) & (found[:, 1] < found[:, 3])
    return tuple((a, b, c, d) for a, b, c, d in found[inside].tolist())


def without(crop: NDArray[np.uint8], boxes: Sequence[tuple[float, float, float, float]]) -> NDArray[np.uint8]:
    """Return a copy of a crop in which each box has one colour, the mean of what was there: nobody can undo that.

    Args:
        crop: uint8 [H, W, 3] RGB.
        boxes: xyxy in px of the crop; what lies outside of it is left out, and every pixel that a box touches is in it.
    """
    covered = crop.copy()
    height, width = crop.shape[:2]
    for left, top, right, bottom in boxes:
        area = covered[
            max(0, math.floor(top)) : min(height, math.ceil(bottom)),
            max(0, math.floor(left)) : min(width, math.ceil(right)),
        ]
        if area.size:
            area[:] = area.mean(axis=(0, 1)).round().astype(np.uint8)
    return covered


def mirror(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of `crops` (uint8 [..., H, W, 3]) with left and right exchanged. The caller owns and erases it."""
    return np.ascontiguousarray(crops[..., ::-1, :])


def mean_template(a: NDArray[np.float32], b: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write the L2-normalised average of two templates into `out`, leaving no copy of it anywhere else.

    Args:
        a: float32 [..., D], L2-normalised, such as the template of a photograph.
        b: float32 [..., D], L2-normalised, such as the template of its mirror image.
        out: float32 [..., D]; may be `a` or `b`.

    Raises:
        ValueError: the two cancel out, or hold NaN. `out` is then zero.
    """
    np.add(a, b, out=out)
    norms = np.sqrt(np.einsum("...d,...d->...", out, out))
    if not (norms > 0).all():
        out.fill(0)
        raise ValueError("two templates have no average direction: they cancel out or are not finite")
    out /= norms[..., np.newaxis]
