"""Under which permit the system runs, and what a watchlist in memory gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lfr_kernel.governance.permit import PermitRefusedError, issue_builtin
from lfr_kernel.governance.watchlist import Enrolled, Rejected, Watchlist
from lfr_kernel.messages import Biometric, BiometricErasedError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def unit(*parts: float) -> NDArray[np.float32]:
    template = np.zeros(4, np.float32)
    template[: len(parts)] = parts
    return np.asarray(template / np.linalg.norm(template), np.float32)


def enrolled(person: str, value: int, template: NDArray[np.float32], quality: float = 1.0) -> Enrolled:
    return Enrolled(
        person=person,
        photo=f"{person}/{value}.png",
        template=Biometric(template.copy()),
        portrait=Biometric(np.full((2, 2, 3), value, np.uint8)),
        quality=quality,
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


def test_a_person_is_one_row_whatever_the_number_of_photographs() -> None:
    people = [
        enrolled("ada", 1, unit(1, 0.4), quality=0.5),
        enrolled("ada", 2, unit(1, -0.4), quality=0.9),
        enrolled("bob", 3, unit(0, 0, 1)),
    ]
    rejected = [Rejected(photo="dog.png", reason="expected exactly one face, found no face")]
    watchlist = Watchlist(people, rejected, digest="d", dimension=4)
    assert watchlist.persons == ("ada", "bob")
    assert watchlist.templates.array == pytest.approx(np.stack([unit(1), unit(0, 0, 1)]))
    assert all(one.template.is_erased for one in people)
    assert (len(watchlist), watchlist.photographs, watchlist.rejected) == (2, 3, tuple(rejected))
    watchlist.portrait(0).fill(0)
    assert (watchlist.portrait(0) == 2).all(), "the best photograph, handed out as a copy"
    assert people[0].portrait.is_erased, "a photograph that nobody will be shown is not kept"


def test_a_photograph_that_disagrees_with_its_persons_others_is_not_used() -> None:
    people = [enrolled("ada", 1, unit(1)), enrolled("ada", 2, unit(1, 0.2)), enrolled("ada", 3, unit(0, 0, 1))]
    watchlist = Watchlist(people, [], digest="d", dimension=4)
    assert watchlist.templates.array[0] == pytest.approx(unit(unit(1)[0] + unit(1, 0.2)[0], unit(1, 0.2)[1]))
    assert [one.photo for one in watchlist.rejected] == ["ada/3.png"]
    assert "disagrees with the other photographs of ada, the nearest of which is ada/" in watchlist.rejected[0].reason
    assert watchlist.photographs == 2


def test_of_two_that_disagree_neither_is_used() -> None:
    people = [enrolled("ada", 1, unit(1)), enrolled("ada", 2, unit(0, 1)), enrolled("bob", 3, unit(0, 0, 1))]
    watchlist = Watchlist(people, [], digest="d", dimension=4)
    assert watchlist.persons == ("bob",)
    assert [one.photo for one in watchlist.rejected] == ["ada/1.png", "ada/2.png"]


def test_who_resembles_somebody_else_is_told_and_kept() -> None:
    people = [enrolled("ada", 1, unit(1)), enrolled("eve", 2, unit(1, 0.1)), enrolled("bob", 3, unit(0, 0, 1))]
    watchlist = Watchlist(people, [], digest="d", dimension=4)
    (finding,) = watchlist.findings
    assert (finding.kind, finding.photo, finding.other) == ("duplicate", "ada/1.png", "eve/2.png")
    assert finding.similarity == pytest.approx(float(unit(1) @ unit(1, 0.1)), abs=1e-4)
    assert watchlist.persons == ("ada", "eve", "bob")


def test_an_erased_watchlist_gives_nothing_away() -> None:
    people = [enrolled("ada", 1, unit(1))]
    watchlist = Watchlist(people, [], digest="d", dimension=4)
    memory = [watchlist.templates.array, people[0].portrait.array]
    watchlist.erase()
    watchlist.erase()
    assert not any(array.any() for array in memory)
    with pytest.raises(BiometricErasedError):
        watchlist.portrait(0)
