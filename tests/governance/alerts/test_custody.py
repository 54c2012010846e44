"""When alerts and pictures expire, and which key they share with what expires together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.governance.alerts.custody import Bucket, Kind, buckets, expiry_s
from lfr_kernel.governance.keys.keyring import Keyring

if TYPE_CHECKING:
    from pathlib import Path

    from governance.alerts.support import Duty

DAY_S, SECOND_NS = 86_400, 10**9
RAISED_NS = st.integers(10**18, 4 * 10**18)
LIVES_S = st.integers(1, 400 * DAY_S)


@given(RAISED_NS, LIVES_S)
def test_nothing_lives_longer_and_none_is_cut_short_by_more_than_a_24th_or_a_day(raised_ns: int, life_s: int) -> None:
    early_ns = raised_ns + life_s * SECOND_NS - expiry_s(raised_ns, life_s) * SECOND_NS
    assert 0 <= early_ns < max(1, min(DAY_S, life_s / 24)) * SECOND_NS


@given(RAISED_NS, st.floats(0.01, 400.0 * DAY_S))
def test_parts_of_seconds_are_lost_and_never_gained(raised_ns: int, life_s: float) -> None:
    early_s = raised_ns / SECOND_NS + life_s - expiry_s(raised_ns, life_s)
    assert -1e-5 <= early_s < max(1, min(DAY_S, life_s / 24)) + 1


@given(RAISED_NS, LIVES_S, st.integers(0, 40 * DAY_S))
def test_what_is_raised_later_expires_no_earlier(raised_ns: int, life_s: int, later_s: int) -> None:
    assert expiry_s(raised_ns, life_s) <= expiry_s(raised_ns + later_s * SECOND_NS, life_s)


def test_a_month_ends_at_midnight_and_a_day_with_an_hour() -> None:
    midnight_s = 1_906_502_400
    raised_s = midnight_s + 12 * 3_600 + 61
    assert expiry_s(raised_s * SECOND_NS, 31 * DAY_S) == midnight_s + 31 * DAY_S
    assert expiry_s(raised_s * SECOND_NS, DAY_S) == raised_s - 61 + DAY_S


def test_a_life_of_a_second_is_one() -> None:
    assert expiry_s(7 * SECOND_NS + 999_999_999, 1) == 8


@given(st.sampled_from(["alert", "evidence"]), st.integers(1, 10**9), st.integers(0, 10**11))
def test_the_name_of_a_key_says_all_there_is_to_know_of_it(kind: Kind, deployment: int, at_s: int) -> None:
    bucket = Bucket(kind=kind, deployment=deployment, expires_s=at_s)
    assert list(buckets(Named(bucket.keyname))) == [bucket]


@pytest.mark.parametrize(
    "name",
    [
        "alert-000001-",
        "alert-1-1906545600",
        "picture-000001-1906545600",
        "alert-000001-1906545600-2",
        "x-alert-000001-1906545600",
        "alert-000001-1906545600\n",
        "text-1",
        "installation-signing",
    ],
)
def test_no_other_key_is_taken_for_one(name: str) -> None:
    assert list(buckets(Named(name))) == []


def test_a_key_is_made_once_and_another_after_it_was_destroyed(tmp_path: Path) -> None:
    keyring, bucket = Keyring(tmp_path), Bucket(kind="alert", deployment=1, expires_s=1_906_545_600)
    first = bucket.key(keyring)
    assert bucket.key(keyring) == first
    keyring.destroy(bucket.keyname)
    assert bucket.key(keyring) != first


def test_deployments_share_no_key_and_neither_do_alerts_and_pictures(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    kinds: list[Kind] = ["alert", "evidence"]
    keys = {Bucket(kind=one, deployment=n, expires_s=1).key(keyring) for one in kinds for n in (1, 2)}
    assert len(keys) == 4


@pytest.mark.parametrize("alert_s", [90_000.0, 86_400.0, 87_000.0, 3_600.0, 31 * 86_400.0])
def test_no_picture_outlives_its_alert_however_both_are_rounded(duty: Duty, alert_s: float) -> None:
    duty.lives_s = (alert_s, 86_400.0)
    for _ in range(30):
        alert = duty.plant()
        ((pictures_s,),) = duty.site.vault.database.query("SELECT expires_s FROM pictures WHERE alert = ?", (alert,))
        assert pictures_s <= duty.find(alert).expires_s
        assert pictures_s * SECOND_NS <= duty.site.clocks.now.utc_ns + 86_400 * SECOND_NS
        duty.site.clocks.pass_(minutes=61)


class Named(Keyring):
    """A keyring of which only the names of keys matter."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def names(self) -> list[str]:
        return self._names
