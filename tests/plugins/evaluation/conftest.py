"""An evaluation of people who do not exist: random templates, and from there on everything as in a real one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lfr_kernel.api import FaceQualities, Registry, parse_profile
from lfr_plugins.lab.evaluation.assembly import Inputs, assemble
from lfr_plugins.lab.evaluation.command import DEFAULT
from lfr_plugins.lab.evaluation.observation import Observations
from lfr_plugins.lab.evaluation.protocol import About, Protocol, Row
from lfr_plugins.lab.evaluation.report import ModelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lfr_plugins.lab.evaluation.protocol import Role
    from lfr_plugins.lab.evaluation.report import Report

LISTED, MATED, NONMATED = 240, 180, 900
DIMENSION = 40
"""Few, so that strangers resemble each other about as much as in 192 dimensions that are not all used."""
GROUPS = ("first", "second", "third", '<b>fourth</b> & "quoted" | $\\alpha$')


def random_report(seed: int = 1, *, target: float = 0.01, list_size: int | None = None) -> Report:
    """Return the report of an evaluation of random people."""
    rng = np.random.default_rng(seed)
    rows = list(_rows())
    people = {identity: number for number, identity in enumerate(dict.fromkeys(row.identity for row in rows))}
    centres = rng.normal(size=(len(people), DIMENSION))
    noise = rng.gamma(4.0, 0.2, size=(len(rows), 1)) * rng.normal(size=(len(rows), DIMENSION))
    templates = centres[[people[row.identity] for row in rows]] + noise
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    registry = Registry.discover()
    profile, _ = parse_profile(DEFAULT, registry, source="the defaults", here=Path.cwd())
    inputs = Inputs(
        protocol=Protocol(
            path=Path("random.csv"), digest="0" * 64, rows=tuple(rows), group_names=("region", "said <i>so</i>")
        ),
        about=About(name="random people", flatters=("Nobody exists.",), groups="drawn at random"),
        profile=profile,
        detector=ModelFacts(plugin="retinaface", sha256="1" * 64),
        embedder=ModelFacts(plugin="mobilefacenet", sha256="2" * 64),
        photographs=rows,
        seen=Observations(
            digests=tuple(hashlib.sha256(row.name.encode()).hexdigest() for row in rows),
            faces=(rng.random(len(rows)) > 0.02).astype(np.int64),
            qualities=_qualities(rng, len(rows)),
            plain=templates.astype(np.float32),
            mirrored=templates.astype(np.float32),
            others=np.zeros((0, 2, len(rows), DIMENSION), np.float32),
        ),
        target=target,
        list_size=list_size,
    )
    return assemble(inputs).report


def _rows() -> Iterator[Row]:
    for number in range(LISTED):
        yield _row(f"listed {number}", "watchlist", number, 0)
    for number in range(MATED):
        for photograph in range(1, 2 + number % 3):
            yield _row(f"listed {number}", "mated", number, photograph)
    for number in range(NONMATED):
        for photograph in range(1, 2 + number % 3):
            yield _row(f"passing {number}", "nonmated", number, photograph)


def _row(identity: str, role: Role, number: int, photograph: int) -> Row:
    name = f"{identity}/{photograph}.jpg"
    groups = {"region": GROUPS[number % len(GROUPS)], "said <i>so</i>": "yes" if number % 5 else "no"}
    return Row(line=2, path=Path(name), name=name, identity=identity, role=role, groups=groups)


def _qualities(rng: np.random.Generator, count: int) -> FaceQualities:
    def share() -> NDArray[np.float64]:
        return rng.uniform(0.3, 1.0, count)

    return FaceQualities(
        width_px=rng.uniform(26, 1200, count), eyes_px=rng.uniform(12, 600, count),
        confidence=rng.uniform(0.8, 1, count),
        size=share(), frontality=share(), sharpness=share(), exposed=share(), openness=share(),
        highlight=np.full(count, 200.0), glare=np.zeros(count),
    )  # fmt: skip


@pytest.fixture(scope="session")
def report() -> Report:
    return random_report()
