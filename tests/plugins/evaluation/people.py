"""People who do not exist, evaluated as people are: random templates, everything else real."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lfr_kernel.api import FaceQualities, Registry, parse_profile
from lfr_plugins.lab.evaluation.assembly import Inputs
from lfr_plugins.lab.evaluation.observation import Observations
from lfr_plugins.lab.evaluation.protocol import About, Protocol, Row
from lfr_plugins.lab.evaluation.report import ModelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIMENSION = 24
"""Few, so that strangers resemble each other."""
PROFILE = {
    "name": "made-up",
    "permit": "demo",
    "cameras": [{"name": "none", "options": {"url": "none.mp4"}}],
    "watchlist": {"images": "."},
}


def made_up_rows(
    listed: int, mated: int, nonmated: int, photographs: int, groups: Mapping[str, tuple[str, ...]]
) -> Iterator[Row]:
    def row(identity: str, role: Any, number: int, photograph: int) -> Row:
        name = f"{identity}/{photograph}.jpg"
        said = {group: values[number % len(values)] for group, values in groups.items()}
        return Row(line=2, path=Path(name), name=name, identity=identity, role=role, groups=said)

    for number in range(listed):
        yield row(f"listed {number}", "watchlist", number, 0)
    for role, count, who in (("mated", mated, "listed"), ("nonmated", nonmated, "passing")):
        for number in range(count):
            for photograph in range(1, 1 + photographs):
                yield row(f"{who} {number}", role, number, photograph)


def made_up(
    seed: int = 1,
    *,
    listed: int = 40,
    mated: int = 40,
    nonmated: int = 200,
    photographs: int = 2,
    noise: float = 0.5,
    groups: Mapping[str, tuple[str, ...]] | None = None,
    without_face: float = 0.0,
    profile: Mapping[str, Any] | None = None,
    **options: Any,
) -> Inputs:
    """Return what an evaluation of random people starts from. `without_face`: of pictures of people who pass."""
    rng = np.random.default_rng(seed)
    rows = list(made_up_rows(listed, mated, nonmated, photographs, groups or {}))
    people = {identity: number for number, identity in enumerate(dict.fromkeys(row.identity for row in rows))}
    centres = rng.normal(size=(len(people), DIMENSION))
    templates = centres[[people[row.identity] for row in rows]] + rng.normal(scale=noise, size=(len(rows), DIMENSION))
    templates = (templates / np.linalg.norm(templates, axis=1, keepdims=True)).astype(np.float32)
    faces = np.array([int(row.is_listed or rng.random() >= without_face) for row in rows])
    read, _ = parse_profile({**PROFILE, **(profile or {})}, Registry.discover(), source="a test", here=Path.cwd())
    return Inputs(
        protocol=Protocol(
            path=Path("made-up.csv"), digest="0" * 64, rows=tuple(rows), group_names=tuple(groups or ())
        ),
        about=About(name="made-up people", flatters=("Nobody exists.",), groups="drawn at random"),
        profile=read,
        detector=ModelFacts(plugin="retinaface", sha256="1" * 64),
        embedder=ModelFacts(plugin="mobilefacenet", sha256="2" * 64),
        photographs=rows,
        seen=Observations(
            digests=tuple(hashlib.sha256(row.name.encode()).hexdigest() for row in rows),
            faces=faces,
            qualities=good_qualities(len(rows)),
            plain=templates * faces[:, None].astype(np.float32),
            mirrored=templates * faces[:, None].astype(np.float32),
            others=np.zeros((0, 2, len(rows), DIMENSION), np.float32),
        ),
        **{"target": 0.05, "list_size": None, **options},
    )  # fmt: skip


def good_qualities(count: int, **changed: Any) -> FaceQualities:
    """Return the measures of faces that pass every gate, float64 [count], but for what is changed."""
    usual = {
        "width_px": 100.0, "eyes_px": 50.0, "confidence": 0.99, "size": 0.9, "frontality": 0.9, "sharpness": 0.8,
        "exposed": 1.0, "openness": 1.0, "highlight": 200.0, "glare": 0.0,
    }  # fmt: skip
    return FaceQualities(**{name: np.array(changed.get(name, [value] * count)) for name, value in usual.items()})
