"""Under which permit the system runs, and what a watchlist in memory gives away."""

from __future__ import annotations

import numpy as np
import pytest

from lfr_kernel.governance.permit import PermitRefusedError, issue_builtin
from lfr_kernel.governance.watchlist import Enrolled, Rejected, Watchlist
from lfr_kernel.messages import Biometric, BiometricErasedError


def enrolled(person: str, value: int) -> Enrolled:
    return Enrolled(
        person=person,
        photo=f"{person}.png",
        template=Biometric(np.full(4, value, np.float32)),
        portrait=Biometric(np.full((2, 2, 3), value, np.uint8)),
    )


@pytest.mark.parametrize("paces", [{}, {"clip": "unpaced"}, {"clip": "realtime", "other": "unpaced"}])
def test_the_demo_permit_plays_files(paces: dict[str, str]) -> None:
    permit = issue_builtin("demo", paces)
    assert permit.kind == "demo"
    assert "plays files only" in str(permit)


def test_the_demo_permit_opens_no_live_camera_and_says_which_would() -> None:
    with pytest.raises(PermitRefusedError, match=r"but door, gate would open a live camera; use files, or permit ="):
        issue_builtin("demo", {"gate": "live", "clip": "unpaced", "door": "live"})


def test_the_development_permit_says_in_every_output_that_it_is_no_authority() -> None:
    assert "authority to watch the public" in str(issue_builtin("development", {"gate": "live"}))


def test_a_refusal_is_permanent_and_a_permission_error() -> None:
    assert PermitRefusedError.is_permanent
    assert issubclass(PermitRefusedError, PermissionError)


def test_a_watchlist_takes_templates_over_and_hands_portraits_out_as_copies() -> None:
    people = [enrolled("ada", 1), enrolled("ada", 2), enrolled("bob", 3)]
    rejected = [Rejected(photo="dog.png", reason="expected exactly one face, found no face")]
    watchlist = Watchlist(people, rejected, digest="d", dimension=4)
    assert watchlist.persons == ("ada", "ada", "bob")
    assert watchlist.templates.array.tolist() == [[1] * 4, [2] * 4, [3] * 4]
    assert all(one.template.is_erased for one in people)
    watchlist.portrait(1).fill(0)
    assert (watchlist.portrait(1) == 2).all()
    assert (len(watchlist), watchlist.rejected) == (3, tuple(rejected))


def test_an_erased_watchlist_gives_nothing_away() -> None:
    people = [enrolled("ada", 1)]
    watchlist = Watchlist(people, [], digest="d", dimension=4)
    memory = [watchlist.templates.array, people[0].portrait.array]
    watchlist.erase()
    watchlist.erase()
    assert not any(array.any() for array in memory)
    with pytest.raises(BiometricErasedError):
        watchlist.portrait(0)
