"""`lfr-kernel retention`: what is kept and until when, what was destroyed, and what stood in the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from governance.deployment.support import NOTHING_SEEN, set_clock
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.deployment.clockwork import is_held
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.keys import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from calling import Result
    from governance.alerts.support import Duty

DAY_S = 86_400
HELD = "Nothing is deleted by the clock, which was set forward: confirm it (lfr-kernel authority confirm-clock)."


class Retention:
    """The command at the vault of a deployment."""

    def __init__(self, duty: Duty, lfr: Callable[..., Result]) -> None:
        self.duty = duty
        self._lfr = lfr

    def __call__(self, command: str, *more: str, code: int = 0) -> str:
        result = self._lfr("retention", command, "--vault", self.duty.site.vault.folder, *more)
        assert (result.code, result.err) == (code, ""), result
        return result.out

    def refused(self, command: str) -> tuple[int, str]:
        result = self._lfr("retention", command, "--vault", self.duty.site.vault.folder)
        assert result.out == ""
        return result.code, " ".join(result.err.split())

    def json(self, command: str, *, code: int = 0) -> dict[str, Any]:
        found = json.loads(self(command, "--json", code=code))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def retention(duty: Duty, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Retention:
    monkeypatch.setenv("COLUMNS", "120")
    for module in ("asking", "retention"):
        monkeypatch.setattr(f"lfr_kernel.cli.{module}.read_clocks", duty.site.clocks)
    return Retention(duty, lfr)


def closed(duty: Duty) -> None:
    end(duty.site.vault, duty.serial, signer=duty.site.signers["dee"], why="closed")
    duty.governed.stopped("stopped", NOTHING_SEEN)
    duty.site.crash(duty.governed)


def test_status_says_what_is_kept_of_each_class_and_when_it_goes(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    duty.site.clocks.pass_(hours=13)
    duty.plant()
    lines = [line.split("  ") for line in retention("status").splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert rows == [
        ["no", "what", "kept", "at most", "goes (UTC)"],
        ["1", "alerts", "2", "31 days", "2030-07-02 00:00 to 2030-07-03 00:00"],
        ["1", "pictures", "2", "24 h", "2030-06-02 12:00 to 2030-06-03 01:00"],
        ["1", "authority, texts", "1", "365 days", "its clock begins when the deployment ends"],
    ]
    assert len(listed(duty.site.vault.database)) == 2


def test_status_as_json_has_the_same(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    found = retention.json("status")
    assert found == {
        "deployments": [
            {
                "deployment": 1,
                "authority": "EX/1",
                "stage": "closed",
                "alert": {
                    "ceiling_s": 31 * DAY_S,
                    "count": 1,
                    "next_purge": "2030-07-02T00:00:00.000000000Z",
                    "last_purge": "2030-07-02T00:00:00.000000000Z",
                },
                "evidence": {
                    "ceiling_s": DAY_S,
                    "count": 1,
                    "next_purge": "2030-06-02T12:00:00.000000000Z",
                    "last_purge": "2030-06-02T12:00:00.000000000Z",
                },
                "text": {
                    "ceiling_s": 365 * DAY_S,
                    "count": 1,
                    "next_purge": "2031-06-01T12:00:00.000000000Z",
                    "last_purge": "2031-06-01T12:00:00.000000000Z",
                },
            }
        ],
        "is_held": False,
        "unfinished": 0,
        "last_receipt": None,
    }


def test_status_destroys_nothing(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    duty.site.clocks.pass_(days=31)
    before = duty.site.acts()
    assert "alerts" in retention("status")
    assert duty.site.acts() == before


def test_run_destroys_what_is_too_old_and_says_what(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    duty.plant()
    closed(duty)
    assert retention("run") == "nothing is too old\n"
    duty.site.clocks.pass_(days=1)
    assert retention("run") == "deployment 1: 2 pairs of pictures are destroyed\n"
    duty.site.clocks.pass_(days=30, hours=12)
    assert retention.json("run") == {
        "purged": [{"kind": "alert", "deployment": 1, "expires_s": 1_909_180_800, "count": 2}],
        "is_held": False,
    }
    (act,) = duty.site.acts("alerts_purged")
    assert act["facts"]["expired"] == "2030-07-02T00:00:00.000000000Z"
    assert retention("status").splitlines()[-1] == (f"last receipt: entry {act['n']}, alerts_purged, 2030-07-03T00:00Z")
    duty.site.clocks.pass_(days=335)
    assert retention("run") == "deployment 1: its authority and free texts are destroyed\n"
    assert retention("status").splitlines()[0] == "nothing is kept of any deployment"
    assert retention.json("status")["last_receipt"]["act"] == "texts_purged"
    assert retention.json("run") == {"purged": [], "is_held": False}
    duty.site.expect_chain()


def test_one_is_one(retention: Retention) -> None:
    retention.duty.plant()
    closed(retention.duty)
    retention.duty.site.clocks.pass_(days=31)
    assert retention("run").splitlines() == [
        "deployment 1: 1 pair of pictures is destroyed",
        "deployment 1: 1 alert is destroyed",
    ]


def test_while_the_clock_holds_purges_nothing_is_done_and_both_say_so(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    set_clock(duty.site.clocks, wall_s=40 * DAY_S, boot_s=60)
    assert retention("run", code=1) == f"{HELD}\n"
    assert retention.json("run", code=1) == {"purged": [], "is_held": True}
    assert retention("status").splitlines()[0] == HELD
    assert retention.json("status")["is_held"] is True
    assert len(listed(duty.site.vault.database)) == 1
    assert len(duty.site.acts("clock_jumped")) == 1


def test_confirming_the_clock_lets_them_go_on(
    retention: Retention, lfr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    set_clock(duty.site.clocks, wall_s=40 * DAY_S, boot_s=60)
    retention("run", code=1)
    monkeypatch.setattr("lfr_kernel.cli.authority.read_clocks", duty.site.clocks)
    result = lfr("authority", "confirm-clock", "--as", "eva", "--vault", duty.site.vault.folder)
    assert (result.code, result.out) == (0, "confirmed: it is 2030-07-11T12:00:00Z\n")
    assert not is_held(duty.site.vault.database)
    assert len(retention("run").splitlines()) == 2
    assert listed(duty.site.vault.database) == []


def test_beside_a_kernel_that_runs_nothing_is_done(retention: Retention) -> None:
    duty = retention.duty
    duty.lives_s = (600, 600)
    duty.plant()
    duty.site.clocks.pass_(minutes=20)
    code, text = retention.refused("run")
    assert (code, "a kernel runs on this vault, and destroys what is too old by itself" in text) == (1, True)
    assert len(listed(duty.site.vault.database)) == 1
    assert "alerts" in retention("status")
    duty.site.crash(duty.governed)
    assert len(retention("run").splitlines()) == 2


def test_a_key_that_cannot_be_overwritten_is_said_and_tried_again(
    retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    duty.site.clocks.pass_(days=1)

    def fail(_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_zero", fail)
        code, text = retention.refused("run")
    assert code == 1
    assert "was removed, but could not be overwritten before: Input/output error" in text
    assert "1 purge was begun and is not finished" in retention("status")
    assert retention("run") == "deployment 1: 1 pair of pictures is destroyed\n"
    assert "not finished" not in retention("status")


def test_run_gives_the_lock_back_whatever_happens(retention: Retention) -> None:
    duty = retention.duty
    duty.plant()
    closed(duty)
    retention("run")
    governed = duty.site.governed()
    assert not governed._lock.is_locked
    assert retention("run") == "nothing is too old\n"


def test_a_folder_without_a_vault_is_refused(lfr: Callable[..., Result], tmp_path: Any) -> None:
    for command in ("status", "run"):
        result = lfr("retention", command, "--vault", tmp_path / "nowhere")
        assert (result.code, result.out) == (2, "")
        assert "expected a vault that was founded" in result.err
