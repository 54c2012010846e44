"""Forty alerts through every path there is, and what the record says of them: by hand, by the chain, in every format.

Five deployments are played once: the forty, one that saw nobody, one that was never opened, one that was revoked, and
one with three alerts. Then two days pass, and thirty more.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pytest

from governance.alerts.conftest import OPERATORS
from governance.alerts.forty import FEW, FORTY, RECALLED, SINGLE
from governance.alerts.playing import STILLS, Post, picture, rows
from governance.alerts.recounting import recounted
from governance.deployment.support import PACK, Site
from governance.outing import Called, call, done
from governance.vaults import PEOPLE, Clocks, Force
from lfr_kernel.governance.alerts.exporting import ALERT, Exported
from lfr_kernel.governance.audit import opening
from lfr_kernel.governance.keys import sealing
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.record.statements import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR_MIN = 60.0
COUNTED = Counted(
    seen=12_345,
    lost={"gated_too_small": 20, "probe_late": 3},
    raised=40,
    not_actionable=2,
    states={"open": 1, "viewed": 2, "assessed": 1, "dismissed": 10, "engage": 1, "engaged": 1, "outcome": 24},
    expired_open=4,
    truth={"true": 14, "false": 11, "not-established": 5},
    truth_known_by={
        "document": 8, "biometric": 5, "known-person": 5, "said-so": 3, "compared-images": 4, "not-known": 5,
    },
    grounds={"valid": 11, "expired": 1, "none": 1, "not-recorded": 1},
    disagreements=4,
    corrections=9,
    decision_s=(*[5] * 8, 6, *[9] * 26, 40),
    engagement_min=(2.0, 3.0, *[4.0] * 9, 5.0, 6.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 45.0),
    powers={
        "none": 11, "pace-24": 5, "warrant": 1, "order": 1, "bail-7": 1, "pace-1": 1, "misuse-of-drugs-23": 1,
    },
    searched=6,
    force={"none": 15, "handcuffs": 4, "physical": 1, "equipment": 1},
    explained=20,
    complaint_route=19,
    outcomes={
        "arrest": 3, "other-lawful-outcome": 4, "no-power-to-act": 1, "no-further-action": 12, "not-found": 4,
    },
    arrests_from_alerts=4,
    causes={
        "light": 1, "angle": 1, "occlusion": 1, "low-quality": 1, "look-alike": 2, "twin-or-kin": 2, "list-error": 1,
        "not-known": 2,
    },
    false_by_sex={"male": 6, "female": 2, "not-recorded": 3},
    false_by_age={
        "under-18": 1, "18-24": 1, "25-34": 3, "35-49": 1, "50-64": 1, "65-and-over": 1, "not-recorded": 3,
    },
    false_by_ethnicity={"black": 3, "white": 2, "asian": 1, "mixed": 1, "another": 1, "not-recorded": 3},
    false_known_by={"self-defined": 4, "observed-in-person": 2, "observed-from-image": 2, "not-recorded": 3},
    outcomes_under_18={"no-further-action": 1, "other-lawful-outcome": 1},
    outcomes_vulnerable={"none": 1, "other-lawful-outcome": 1},
)  # fmt: skip
"""Of the forty, counted by hand from the table."""
OF_ALL = {"seen": 12_845, "raised": 45, "true": 15, "false": 12, "arrests": 5, "disagreements": 5, "corrections": 10}
"""The five deployments together, likewise."""


class Story(NamedTuple):
    """What was played, and where it lies."""

    folder: Path
    force: Force
    posts: dict[int, Post]
    said: dict[str, Any]
    """What commands said on the way, by when."""

    def record(self, serial: int) -> dict[str, Any]:
        """The final record of a deployment, as its file has it."""
        return read(self.folder / "records" / f"{serial}.json")

    def counted(self, serial: int) -> Counted:
        return msgspec.convert(self.record(serial)["read"]["record"]["counted"], Counted)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("forty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(opening.PRAGMAS, "synchronous", 0)
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(sealing, "SCRYPT_N", 2**4)
        force = Force({**PEOPLE, **OPERATORS}, [PACK], Clocks())
        for module in ("asking", "authority", "retention"):
            patch.setattr(f"lfr_kernel.cli.{module}.read_clocks", force.clocks)
        patch.chdir(folder)
        patch.setenv("LFR_VAULT", "vault")
        patch.setenv("COLUMNS", "100")
        patch.delenv("LFR_AS", raising=False)
        with force.open(force.found(folder / "vault")) as vault:
            site = Site(vault, force, folder)
            site.rows = rows()
            yield _play(site)
            site.close()


def _play(site: Site) -> Story:
    folder = site.folder
    (folder / "organisation.pub").write_bytes(msgspec.json.encode(site.force.root.organisation))
    (folder / "pass").write_text("control room\n", encoding="utf-8")
    (folder / "pass").chmod(0o600)
    done("recipient", "new", "control-room", "--out", "control-room", "--passphrase-file", "pass")
    forty = Post(site, 1, assessors=2, on_disagreement="third-person", stop_min_false=10)
    forty.open()
    forty.saw(9_000)
    forty.recall(RECALLED)
    forty.play(FORTY)
    said: dict[str, Any] = {"retention": done("retention", "status", "--json")}
    done("record", "calibrate", 1, "--people", 50, "--passages", 60, "--how", "ten minutes at the gate", "--as", "fay")
    forty.end("--text", "it rained", seen=12_345, lost={"probe_late": 3, "gated_too_small": 20})
    said["draft"] = call("record", 1, "--format", "json", "--out", "draft.json").err
    said["too early"] = call("record", 1, "--final", "--out", "no.txt")

    empty = Post(site, 2)
    empty.open()
    empty.end()
    abandoned = Post(site, 3)
    abandoned.end()
    revoked = Post(site, 4, assessors=1)
    revoked.open()
    revoked.play(SINGLE)
    revoked.end("--revoke", seen=200)
    few = Post(site, 5, assessors=2)
    few.open()
    few.play(FEW)
    few.end(seen=300)

    site.clocks.pass_(days=2)
    arrested = forty.ids["arrested"]
    said["after a day"] = done("retention", "run"), done("alerts", "show", arrested, "--reason", "court", "--as", "eva")
    done("record", "arrests", 1, "--number", 7, "--how", "custody desk", "--as", "dee")
    site.clocks.pass_(days=30)
    said["after a month"] = done("retention", "run")
    said["gone"] = call("alerts", "show", arrested, "--reason", "court", "--as", "eva"), done("alerts", "list")
    (folder / "records").mkdir()
    for serial in range(1, 6):
        done("record", serial, "--final", "--format", "json", "--out", f"records/{serial}.json")
    done("audit", "export", "log.jsonl")
    posts = {one.number: one for one in (forty, empty, abandoned, revoked, few)}
    return Story(folder, site.force, posts, said)


# What was counted


def test_the_record_counts_the_forty_as_they_were_counted_by_hand(story: Story) -> None:
    assert len(FORTY) == 40
    assert story.counted(1) == COUNTED


def test_the_record_counts_what_the_chain_and_the_commands_come_to(story: Story) -> None:
    lines = (story.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    chain = [json.loads(json.loads(line)["body"]) for line in lines]
    for serial, post in story.posts.items():
        counted = story.counted(serial)
        found = recounted([one for one in chain if one["facts"].get("deployment") == serial], post.done)
        assert found == {name: getattr(counted, name) for name in found}, f"deployment {serial}"


def test_before_its_alerts_expire_a_record_is_a_draft_that_says_the_same(story: Story) -> None:
    until = "40 of its alerts are still there, and may be decided on or corrected, until 2030-07-02T00:00Z"
    assert until in flat(story.said["draft"])
    draft = read(story.folder / "draft.json")["read"]["record"]
    assert not draft["is_final"]
    # Nobody can say yet that it was never decided.
    assert msgspec.convert(draft["counted"], Counted) == msgspec.structs.replace(COUNTED, expired_open=0)
    refused: Called = story.said["too early"]
    assert refused.code == 2
    assert f"the record of deployment 1 cannot be final yet: {until}" in flat(refused.err)


def test_the_stop_rule_stopped_it_three_times_and_the_record_says_so(story: Story) -> None:
    suspensions = story.record(1)["read"]["record"]["suspensions"]
    assert [(one["false"], one["seen"]) for one in suspensions] == [(10, 9_000), (10, 9_000), (11, 9_000)]


def test_the_record_says_what_people_counted_beside_the_system(story: Story) -> None:
    made = story.record(1)["read"]["record"]
    assert made["arrests_in_operation"] == 7
    assert [(one["people"], one["passages"], one["by"]) for one in made["calibrations"]] == [(50, 60, "person fay")]
    assert (made["watchlist"]["under_18"], made["watchlist"]["vulnerable"], made["watchlist"]["withdrawn"]) == (2, 2, 1)


# What is kept, and for how long


def test_pictures_go_after_a_day_and_alerts_after_a_month(story: Story) -> None:
    (kept, *_) = json.loads(story.said["retention"])["deployments"]
    assert [kept[name]["count"] for name in ("alert", "evidence", "text")] == [40, 40, 1]
    purged, shown = story.said["after a day"]
    assert "pair" not in flat(shown)
    assert "Its pictures have expired, and are destroyed." in flat(shown)
    assert "closed: true (document), outcome arrest, grounds valid, case C/5" in flat(shown)
    assert "deployment 1: 40 pairs of pictures are destroyed" in _summed(purged)
    assert "deployment 1: 40 alerts are destroyed" in _summed(story.said["after a month"])
    called, listed = story.said["gone"]
    assert called.code == 2
    assert "it never was here, or has expired and is gone" in flat(called.err)
    assert flat(listed) == "there are no alerts"


def _summed(said: str) -> str:
    return said


# What was handed on


@pytest.mark.parametrize(
    ("file", "what", "who", "why", "steps"),
    [
        ("arrest", "arrested", "person dee", "court", ["looked", "looked", "assessed", "assessed", "engaged", "closed"]),
        (
            "complaint", "somebody else: light", "person eva", "subject-access",
            ["looked", "looked", "assessed", "assessed", "engaged", "closed"],
        ),
    ],
)  # fmt: skip
def test_what_was_handed_on_is_whole_and_opens_for_its_recipient_alone(  # noqa: PLR0917
    story: Story, tmp_path: Path, file: str, what: str, who: str, why: str, steps: list[str]
) -> None:
    sealed = story.folder / f"{file}.json.sealed"
    key = ("--key", story.folder / "control-room.key", "--passphrase-file", story.folder / "pass")
    done("recipient", "open", sealed, *key, "--into", tmp_path)
    envelope = msgspec.json.decode((tmp_path / f"{file}.json").read_bytes(), type=Envelope)
    organisation = read_organisation(story.folder / "organisation.pub")
    certificate = msgspec.json.decode(envelope.body, type=Exported).certificate
    signing = organisation.certificate(certificate).signing
    found = verify(envelope, ALERT, Exported, [bytes.fromhex(signing)])
    assert (found.kept.id, found.disclosed_by, found.disclosed_to) == (story.posts[1].ids[what], who, "control-room")
    assert (found.reason, found.deployment, found.authority, found.state) == (why, 1, "EX/1", "outcome")
    assert [type(one.body).__name__.lower() for one in found.steps] == steps
    assert found.proposal.about is not None
    assert found.proposal.about.person == "ada"
    assert found.pictures is not None
    assert found.pictures.listed is not None
    for packed, seed in ((found.pictures.probe, 100), (found.pictures.listed, 0)):
        assert np.abs(STILLS.decode(packed).astype(int) - picture(seed)).mean() < 2
    assert b"came along" not in sealed.read_bytes()


def test_whoever_looks_into_a_complaint_is_written_down_and_has_decided_nothing(story: Story) -> None:
    lines = (story.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    chain = [json.loads(json.loads(line)["body"]) for line in lines]
    consulted = [(one["by"], one["reason"]) for one in chain if one["act"] == "alert_consulted"]
    assert consulted == [("person eva", "complaint"), ("person eva", "court")]
    assert [one["reason"] for one in chain if one["act"] == "alert_disclosed"] == ["court", "subject-access"]


def test_the_log_of_it_all_is_whole_and_names_nobody_who_was_proposed(story: Story) -> None:
    key = story.force.root.organisation.key
    assert "entries" in done("audit", "verify", story.folder / "log.jsonl", "--root", key)
    log = (story.folder / "log.jsonl").read_text(encoding="utf-8")
    assert not [word for word in ("observed-in-person", "C/5", "came along", "look-alike") if word in log]


# How it reads


KEY_FIGURES = {
    "Alerts raised": "40",
    "… that were true: the right person was recognised": "14",
    "… that were false: somebody else was": "11",
    "… of which nobody established it": "15",
    "Expired before anybody had decided": "4",
    "Corrections of what was recorded": "9",
    "Arrests that came from alerts": "4",
    "All arrests in the operation, whatever they came from": "7",
}


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_every_format_that_is_text_says_the_key_figures(story: Story, kind: str) -> None:
    done("record", 1, "--format", kind, "--out", story.folder / f"1.{kind}")
    text = flat((story.folder / f"1.{kind}").read_text(encoding="utf-8"))
    for label, figure in KEY_FIGURES.items():
        assert label in text
        after = text.split(label, 1)[1]
        assert figure in _words(after)[:1], (label, after[:80])


def _words(text: str) -> list[str]:
    """The words of a text without its marks."""
    import re  # noqa: PLC0415

    return re.findall(r"\w+", re.sub(r"<[^>]*>", " ", text))


def test_the_table_for_programs_says_them_as_numbers(story: Story) -> None:
    done("record", 1, "--format", "csv", "--out", story.folder / "1.csv")
    with (story.folder / "1.csv").open(encoding="utf-8", newline="") as file:
        values = {row["item"]: row["value"] for row in csv.DictReader(file)}
    assert {label: values[label] for label in KEY_FIGURES} == KEY_FIGURES


def test_the_pdf_is_made_of_the_same(story: Story) -> None:
    done("record", 1, "--format", "pdf", "--out", story.folder / "1.pdf")
    assert (story.folder / "1.pdf").read_bytes().startswith(b"%PDF-")
