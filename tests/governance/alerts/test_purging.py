"""What is too old is gone: key, rows, log and dead letters; not sooner, not later, with one receipt for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.alerts.remains import LARGE, left_of, of_alerts, of_pictures, rows_of
from governance.alerts.support import DISMISSED_WRONG, ENGAGED, RIGHT, WRONG
from governance.canaries import text
from governance.vaults import SECOND_NS
from lfr_kernel.governance.alerts import keeper
from lfr_kernel.governance.alerts.custody import PARTS, expiry_s
from lfr_kernel.governance.alerts.exporting import export
from lfr_kernel.governance.alerts.purging import purge
from lfr_kernel.governance.alerts.steps import look as look_at
from lfr_kernel.governance.alerts.steps import resume
from lfr_kernel.governance.alerts.store import listed, pictures_of
from lfr_kernel.governance.alerts.vocabulary import Reason, Verdict
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.recipients import Recipient
from lfr_kernel.governance.retention import retain

if TYPE_CHECKING:
    from pathlib import Path

    from governance.alerts.support import Duty, OpenDuty

HOUR_S, DAY_S = 3_600, 86_400
CANARY = "Zoë Ağaç, of 12 Larch Road"


def engaged(duty: Duty, alert: str) -> None:
    """Let somebody be engaged on an alert, with words that must not stay."""
    duty.assess(alert, Verdict.ENGAGE, text=CANARY)
    duty.engage(alert, ENGAGED)
    duty.close(alert, RIGHT)


def receipts(duty: Duty) -> list[tuple[str, int]]:
    """Return act and count of each receipt."""
    acts = duty.site.acts("alerts_purged", "pictures_purged")
    assert all(one["facts"]["log_emptied"] and one["facts"]["deployment"] == duty.serial for one in acts)
    return [(one["act"], one["facts"]["count"]) for one in acts]


def test_no_key_row_page_or_dead_letter_of_an_alert_outlives_its_purge(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = duty.site.vault
    monkeypatch.setattr(keeper, "Pictures", lambda **_: LARGE)
    alerts = [duty.plant(sinks=["radio", "hook", "mail"]) for _ in range(3)]
    engaged(duty, alerts[0])
    duty.look(alerts[1])
    duty.governed.outbox("radio").delivered(alerts[0])
    duty.governed.outbox("hook").failed(alerts[0], CANARY)
    duty.governed.outbox("mail").given_up(alerts[2], CANARY)
    needles = of_alerts(vault, alerts)
    words = {"words": text(CANARY)}
    # The search finds what is there.
    assert left_of(vault.folder, needles) == needles.keys()
    assert left_of(vault.folder, words) == {"words"}
    assert rows_of(vault, alerts).keys() == {"alerts", "pictures", "steps", "deliveries"}
    duty.site.clocks.pass_(days=31)
    assert [(one.kind, one.count) for one in purge(vault)] == [("evidence", 3), ("alert", 3)]
    assert left_of(vault.folder, {**needles, **words}) == set()
    assert rows_of(vault, alerts) == {}
    assert [name for name in vault.keyring.names() if name.startswith(("alert-", "evidence-"))] == []
    assert receipts(duty) == [("pictures_purged", 3), ("alerts_purged", 3)]
    assert (vault.folder / "vault.db-wal").stat().st_size < 20_000  # the receipts alone
    duty.site.expect_chain()


def test_alerts_are_counted_before_their_keys_go(duty: Duty) -> None:
    alerts = [duty.plant() for _ in range(3)]
    engaged(duty, alerts[0])
    duty.assess(alerts[1], Verdict.ENGAGE)
    duty.engage(alerts[1], ENGAGED)
    duty.close(alerts[1], WRONG)
    duty.site.clocks.pass_(days=31)
    purge(duty.site.vault)
    (act,) = duty.site.acts("alerts_expired")
    found = act["facts"]["counted"]
    assert act["facts"]["deployment"] == duty.serial
    assert act["by"] == "installation"
    assert (found["raised"], found["unread"], found["expired_open"]) == (3, 0, 1)
    assert found["states"] == {"open": 1, "outcome": 2}
    assert found["truth"] == {"true": 1, "false": 1}
    assert (found["arrests_from_alerts"], found["false_by_ethnicity"]) == (1, {"white": 1})
    names = [one["act"] for one in duty.site.acts("alerts_expired", "pictures_purged", "alerts_purged")]
    assert names == ["alerts_expired", "pictures_purged", "alerts_purged"]


def test_a_second_purge_finds_nothing_and_says_nothing(duty: Duty) -> None:
    duty.plant()
    duty.site.clocks.pass_(days=31)
    assert len(purge(duty.site.vault)) == 2
    before = duty.site.acts()
    assert purge(duty.site.vault) == []
    assert retain(duty.site.vault) == []
    assert duty.site.acts() == before


def test_pictures_go_by_their_own_clock_and_the_alert_stays_to_be_decided_on(duty: Duty) -> None:
    vault = duty.site.vault
    alert = duty.plant()
    needles = of_pictures(vault, alert)
    assert left_of(vault.folder, needles) == needles.keys()
    duty.site.clocks.pass_(hours=22, minutes=59)
    assert purge(vault) == []
    assert pictures_of(vault, duty.find(alert)) is not None
    duty.site.clocks.pass_(minutes=61)
    assert [(one.kind, one.count) for one in purge(vault)] == [("evidence", 1)]
    assert left_of(vault.folder, needles) == set()
    assert rows_of(vault, [alert]) == {"alerts": 1}
    assert pictures_of(vault, duty.find(alert)) is None
    duty.assess(alert, Verdict.DISMISS)
    assert duty.case(alert).decided_ns is not None
    assert receipts(duty) == [("pictures_purged", 1)]


def test_what_expires_together_goes_together_and_what_expires_later_can_still_be_read(duty: Duty) -> None:
    vault, clocks = duty.site.vault, duty.site.clocks
    first = duty.plant()
    clocks.pass_(minutes=20)
    second = duty.plant()
    clocks.pass_(hours=40)
    later = duty.plant()
    engaged(duty, later)
    assert duty.find(first).bucket == duty.find(second).bucket != duty.find(later).bucket
    clocks.pass_(days=30)
    assert [(one.kind, one.count) for one in purge(vault)] == [("evidence", 2), ("evidence", 1), ("alert", 2)]
    assert [one.id for one in listed(vault.database)] == [later]
    assert duty.case(later).closing is not None
    clocks.pass_(days=2)
    assert [(one.kind, one.count) for one in purge(vault)] == [("alert", 1)]
    assert [one["facts"]["counted"]["raised"] for one in duty.site.acts("alerts_expired")] == [2, 1]
    duty.site.expect_chain()


@given(raised_ns=st.integers(1, 4 * 10**18), life_s=st.floats(1, 400 * DAY_S))
def test_a_life_is_cut_short_by_a_day_or_a_24th_and_never_drawn_out(raised_ns: int, life_s: float) -> None:
    whole_s = raised_ns / SECOND_NS + life_s
    found = expiry_s(raised_ns, life_s)
    assert found <= whole_s + 1e-3  # what a float of seconds can tell
    # A second for each of: the time of the alert, its life, and the shortest part of it.
    assert found > whole_s - min(DAY_S, life_s / PARTS) - 3


def test_no_alert_and_no_picture_lives_longer_than_the_authority_says(open_duty: OpenDuty) -> None:
    duty = open_duty(alert_days=25, evidence_hours=24 * 24.9)

    @settings(max_examples=40, deadline=None)
    @given(
        lives=st.tuples(st.floats(60, 90 * DAY_S), st.floats(60, 90 * DAY_S)) | st.just((24 * DAY_S, 23.99 * DAY_S)),
        age_s=st.floats(0, 40 * DAY_S),
    )
    def check(lives: tuple[float, float], age_s: float) -> None:
        duty.lives_s = lives
        raised_ns = duty.site.clocks.now.utc_ns - int(age_s * SECOND_NS)
        alert = duty.plant(alerted_at_ns=raised_ns)
        expires_ns = duty.find(alert).expires_s * SECOND_NS
        ((pictures_s,),) = duty.site.vault.database.query("SELECT expires_s FROM pictures WHERE alert = ?", (alert,))
        # The profile can only shorten; the kernel's own ceiling for pictures is a day.
        assert expires_ns <= raised_ns + min(lives[0], 25 * DAY_S) * SECOND_NS
        assert pictures_s * SECOND_NS <= min(raised_ns + min(lives[1], DAY_S) * SECOND_NS, expires_ns)

    check()


def test_no_picture_outlives_its_alert_though_each_is_rounded_by_itself(open_duty: OpenDuty) -> None:
    duty = open_duty()
    # The part of a day that one is cut to does not divide the other's.
    duty.lives_s = (23.9 * HOUR_S, 23.8 * HOUR_S)
    for _ in range(40):
        alert = duty.plant()
        ((pictures_s,),) = duty.site.vault.database.query("SELECT expires_s FROM pictures WHERE alert = ?", (alert,))
        assert pictures_s <= duty.find(alert).expires_s
        duty.site.clocks.pass_(minutes=37)


def test_nothing_of_a_purged_alert_is_delivered_shown_or_handed_on(duty: Duty, tmp_path: Path) -> None:
    site = duty.site
    alert = duty.plant(sinks=["radio"])
    outbox = duty.governed.outbox("radio")
    assert outbox.next() is not None
    site.clocks.pass_(days=31)
    # Not even while it is yet to be purged.
    assert outbox.next() is None
    purge(site.vault)
    assert (outbox.next(), outbox.waiting()) == (None, 0)
    outbox.delivered(alert)
    outbox.given_up(alert, "too late")
    outbox.failed(alert, "too late")
    assert site.acts("alert_delivered", "alert_undeliverable") == []
    with pytest.raises(RefusedError, match=r"there is no alert .* has expired and is gone"):
        look_at(site.vault, alert, site.signers["dee"], reason=Reason.ASSESS)
    with pytest.raises(RefusedError, match="there is no alert"):
        duty.assess(alert, Verdict.DISMISS)
    recipient = Recipient(name="cases", sealing=duty.site.force.people["eva"].public.sealing)
    path = tmp_path / "case.lfralert"
    with pytest.raises(RefusedError, match="there is no alert"):
        export(site.vault, alert, site.signers["ada"], recipient, path, reason=Reason.INVESTIGATION, text=None)
    assert not path.exists()
    with pytest.raises(KeyError):
        duty.governed.keeper(None, shorter_s=lambda: (1, 1), sinks=()).show(alert)  # type: ignore[arg-type]


def test_an_alert_that_was_suspended_leaves_no_key_behind(open_duty: OpenDuty) -> None:
    duty = open_duty(stop_min_false=1)
    alert = duty.plant()
    duty.assess(alert, Verdict.DISMISS)
    duty.close(alert, DISMISSED_WRONG)
    duty.site.clocks.pass_(days=2)
    assert not duty.keep(duty.alert())
    resume(duty.site.vault, duty.site.signers["ada"], duty.serial, reason="checked", text=None)
    duty.site.clocks.pass_(days=33)
    purge(duty.site.vault)
    assert [name for name in duty.site.vault.keyring.names() if name.startswith(("alert-", "evidence-"))] == []
    # Of what was never there is no receipt.
    assert receipts(duty) == [("pictures_purged", 1), ("alerts_purged", 1)]
