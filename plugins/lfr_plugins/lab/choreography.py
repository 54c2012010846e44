"""Who walks where and when in the demo's clip, and how its light and noise change. Pure functions of time."""

from __future__ import annotations

import math

from msgspec import Struct

from lfr_plugins.lab.arcade import ARCH_DEPTH_M
from lfr_plugins.lab.figures import load_cutouts
from lfr_plugins.lab.perspective import View

__all__ = [
    "FRAMES", "FRAMES_PER_S", "PASSAGES", "VIEW", "GroundTruth", "Light", "Pose", "Walk", "ground_truth", "light_at",
    "pose_at",
]  # fmt: skip

FRAMES_PER_S = 25
FRAMES = 400
VIEW = View(width=1280, height=720, focal_px=1700.0, horizon_px=270.0, camera_height_m=1.74)

_START_DEPTH_M, _LEAVE_DEPTH_M = 10.3, 1.85
_STEPS_PER_S = 1.9
_BEHIND_ARCH_M = 0.1


class Walk(Struct, frozen=True, kw_only=True):
    """One person's way through the arcade."""

    figure: str
    """A key of `portraits/figures.toml`."""
    starts_s: float
    speed_m_s: float
    lane_m: float
    """Where it runs, to the right of the middle."""
    enters_from: int
    """-1: from the left of the archway; 1: from its right."""
    step: float = 0.0
    """Which part of a double step it starts with, in [0, 1)."""


class Pose(Struct, frozen=True, kw_only=True):
    """Where a person is at one moment."""

    x_m: float
    depth_m: float
    bob_m: float
    roll_deg: float
    phase: float
    """Part of a double step, in [0, 1)."""
    drift_m_s: float
    """How fast it moves across the view, to the right."""


class Light(Struct, frozen=True, kw_only=True):
    """What the whole picture looks like at one moment."""

    gain: float
    warmth: float
    noise: float
    """0: the least there is; 1: the most."""


class GroundTruth(Struct, frozen=True, kw_only=True):
    """One passage as it was staged."""

    person: str
    first_frame: int
    """The first in which the face is inside the picture and before the archway."""
    last_frame: int


PASSAGES = (
    Walk(figure="collins", starts_s=0.2, speed_m_s=1.75, lane_m=-0.42, enters_from=1),
    Walk(figure="obama3", starts_s=3.5, speed_m_s=1.75, lane_m=0.38, enters_from=1, step=0.3),
    Walk(figure="biden", starts_s=8.2, speed_m_s=1.7, lane_m=-0.5, enters_from=-1, step=0.6),
    Walk(figure="obama2", starts_s=9.6, speed_m_s=1.7, lane_m=0.45, enters_from=1, step=0.1),
)


def pose_at(walk: Walk, time_s: float) -> Pose | None:
    """Return where the walker is, or None before it came and after it left."""
    since = time_s - walk.starts_s
    if since < 0:
        return None
    x, depth = _position(walk, since)
    if depth < _LEAVE_DEPTH_M - 1.2 or abs(x) * VIEW.scale(depth) > VIEW.width * 0.86:
        return None
    later, _ = _position(walk, since + 0.02)
    phase = (walk.step + since * _STEPS_PER_S / 2) % 1.0
    return Pose(
        x_m=x + 0.018 * math.sin(2 * math.pi * phase),
        depth_m=depth,
        bob_m=0.016 * math.cos(4 * math.pi * phase),
        roll_deg=1.3 * math.sin(2 * math.pi * phase + 0.4),
        phase=phase,
        drift_m_s=(later - x) / 0.02,
    )


def _position(walk: Walk, since_s: float) -> tuple[float, float]:
    """Return (to the right, away) in metres: in at the archway from the side, down a lane, out past the camera."""
    depth = _START_DEPTH_M - walk.speed_m_s * since_s
    entering = _ease(since_s / 1.7)
    beside = walk.enters_from * 1.75
    x = beside + (walk.lane_m - beside) * entering
    leaving = max(0.0, (_LEAVE_DEPTH_M - depth) / 1.05)
    return x + math.copysign(0.62, walk.lane_m) * leaving**1.6, depth


def _ease(share: float) -> float:
    clipped = min(1.0, max(0.0, share))
    return 1 - (1 - clipped) ** 2


def light_at(time_s: float) -> Light:
    """Return the light: a cloud passes twice, and in the darker moments the sensor's noise grows."""
    cloud = 0.5 + 0.5 * math.sin(2 * math.pi * (time_s / 7.3 + 0.12))
    flicker = 0.012 * math.sin(2 * math.pi * 1.7 * time_s)
    return Light(gain=0.87 + 0.21 * cloud + flicker, warmth=0.05 * (cloud - 0.5), noise=1 - cloud)


def ground_truth() -> tuple[GroundTruth, ...]:
    """Return who passes when, in order of appearance."""
    cutouts = load_cutouts()
    staged = []
    for walk in PASSAGES:
        seen = [number for number in range(FRAMES) if _is_face_visible(walk, number)]
        staged.append(GroundTruth(person=cutouts[walk.figure].person, first_frame=seen[0], last_frame=seen[-1]))
    return tuple(staged)


def _is_face_visible(walk: Walk, number: int) -> bool:
    pose = pose_at(walk, number / FRAMES_PER_S)
    if pose is None or pose.depth_m > ARCH_DEPTH_M - _BEHIND_ARCH_M:
        return False
    half_face_px = 0.08 * VIEW.scale(pose.depth_m)
    return abs(pose.x_m) * VIEW.scale(pose.depth_m) < VIEW.width / 2 - half_face_px
