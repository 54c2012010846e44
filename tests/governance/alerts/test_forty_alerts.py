"""Forty alerts through every path there is, and what the record says of them: by hand, by the chain, in every format.

Five deployments are played once: the forty, one that saw nobody, one that was never opened, one that was revoked, and
one with three alerts. Then two days pass, and thirty more.
"""

from __future__ import annotations

import base64
import csv
import itertools
import json
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from governance.alerts.forty import COUNTED, FORTY, OF_ALL
from governance.alerts.playing import STILLS, picture, read
from governance.alerts.recounting import recounted
from governance.outing import call, done
from lfr_kernel.governance.alerts.exporting import ALERT, Exported
from lfr_kernel.governance.keys.signing import Envelope, verify
from lfr_kernel.governance.people.organisation import read_organisation
from lfr_kernel.governance.record.rendering import FORMATS
from lfr_kernel.governance.record.statements import Counted, Record
from lfr_kernel.governance.record.statistics import figures_of
from lfr_kernel.governance.record.wording import document_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.alerts.playing import Story
    from governance.outing import Called


def flat(text: str) -> str:
    return " ".join(text.split())


# What was counted


def test_the_record_counts_the_forty_as_they_were_counted_by_hand(story: Story) -> None:
    assert len(FORTY) == 40
    assert story.counted(1) == COUNTED


def test_the_record_counts_what_the_chain_and_the_commands_come_to(story: Story) -> None:
    chain = story.chain()
    for serial, post in story.posts.items():
        counted = story.counted(serial)
        found = recounted([one for one in chain if one["facts"].get("deployment") == serial], post.done)
        assert found == {name: getattr(counted, name) for name in found}, f"deployment {serial}"


def test_before_its_alerts_expire_a_record_is_a_draft_that_says_the_same(story: Story) -> None:
    until = "40 of its alerts are still there, and may be decided on or corrected, until 2030-07-03T00:00Z"
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


# What people see


def last_shown(story: Story, what: str, who: str) -> str:
    """What somebody saw when they last looked at an alert."""
    post = story.posts[1]
    shown = [one for one in post.done if (one.alert, one.who, one.command) == (post.ids[what], who, "show")]
    return flat(shown[-1].said)


def test_neither_of_two_sees_what_the_other_made_of_it_until_both_have(story: Story) -> None:
    half, split = "one of two assesses it, and the other never does", "two disagree, and there is no third"
    assert "person dee assessed: dismiss" in last_shown(story, half, "dee")
    assert "next: somebody else assesses it" in last_shown(story, half, "dee")
    assert "assessed" not in last_shown(story, half, "dan")
    assert "--dismiss | --engage" in last_shown(story, half, "dan")
    assert "person dee assessed: engage" in last_shown(story, split, "dan")
    assert "person dan assessed: dismiss" in last_shown(story, split, "dan")


@pytest.mark.parametrize(
    ("what", "is_said"),
    [
        ("under 18", "take care under 18"),
        ("vulnerable", "take care vulnerable"),
        ("under 18 and vulnerable", "take care under 18 and vulnerable"),
        ("too late for anybody to act on", "It came too late for anybody to act on it."),
        (
            "dismissed; somebody else, nobody knows why; the entry was recalled meanwhile",
            "entry withdrawn since: recalled, or expired",
        ),
    ],
)
def test_whoever_decides_is_told_what_they_have_to_know(story: Story, what: str, is_said: str) -> None:
    shown = last_shown(story, what, "dee")
    assert is_said in shown
    assert "PROPOSED MATCH" in shown
    may_engage = "too late" not in what and "recalled" not in what
    assert ("--engage" in shown) == may_engage, "nobody is sent to what is refused"
    assert "seen by the camera" in shown


# What is kept, and for how long


def test_pictures_go_after_a_day_and_alerts_after_a_month(story: Story) -> None:
    (kept, *_) = json.loads(story.said["retention"])["deployments"]
    assert [kept[name]["count"] for name in ("alert", "evidence", "text")] == [40, 40, 1]
    purged, shown = story.said["after a day"]
    assert destroyed(purged) == {(1, "pairs of pictures"): 40, (4, "pairs of pictures"): 2, (5, "pairs of pictures"): 3}
    assert "Its pictures have expired, and are destroyed." in flat(shown)
    assert "closed: true (document), outcome arrest, grounds valid, case C/5" in flat(shown)
    assert destroyed(story.said["after a month"]) == {(1, "alerts"): 40, (4, "alerts"): 2, (5, "alerts"): 3}
    assert story.said["after a month"].count("deployment 1: ") == 2, "they were raised before and after midnight"
    called, listed = story.said["gone"]
    assert called.code == 2
    assert "it never was here, or has expired and is gone" in flat(called.err)
    assert flat(listed) == "there are no alerts"


def destroyed(said: str) -> Counter[tuple[int, str]]:
    """How many of what of each deployment; every line of what was said is one of these."""
    found: Counter[tuple[int, str]] = Counter()
    for line in said.splitlines():
        matched = re.fullmatch(r"deployment (\d): (\d+) ([a-z ]+) are destroyed", line)
        assert matched is not None, line
        found[int(matched[1]), matched[3]] += int(matched[2])
    return found


# What was handed on


STEPS = ["looked", "looked", "assessed", "assessed", "engaged", "closed"]


@pytest.mark.parametrize(
    ("file", "what", "who", "why"),
    [
        ("arrest", "arrested", "person dee", "court"),
        ("complaint", "somebody else: light", "person eva", "subject-access"),
    ],
)
def test_what_was_handed_on_is_whole_and_opens_for_its_recipient_alone(
    story: Story, tmp_path: Path, *, file: str, what: str, who: str, why: str
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
    assert [type(one.body).__name__.lower() for one in found.steps] == STEPS
    assert found.proposal.about is not None
    assert found.proposal.about.person == "ada"
    assert found.pictures is not None
    assert found.pictures.listed is not None
    for packed, seed in ((found.pictures.probe, 100), (found.pictures.listed, 0)):
        assert np.abs(STILLS.decode(packed).astype(int) - picture(seed)).mean() < 2
    assert b"came along" not in sealed.read_bytes()


def test_whoever_looks_into_a_complaint_is_written_down_and_has_decided_nothing(story: Story) -> None:
    chain = story.chain()
    consulted = [(one["by"], one["reason"]) for one in chain if one["act"] == "alert_consulted"]
    assert consulted == [("person eva", "complaint"), ("person eva", "court")]
    assert [one["reason"] for one in chain if one["act"] == "alert_disclosed"] == ["court", "subject-access"]


def test_the_log_of_it_all_is_whole_and_says_of_no_alert_what_was_decided(story: Story) -> None:
    key = story.force.root.organisation.key
    done("audit", "verify", story.folder / "log.jsonl", "--root", key)
    # What alerts came to is counted there in the moment before they go, and nothing of it is any one alert's.
    log = [one for one in story.chain() if one["act"] != "alerts_expired"]
    telling = ("true", "false", "dismiss", "light", "C/5", "came along", "said-so", "PC 1", "kit", "pace-24")
    words = {word for one in log for word in _strings(one)}
    assert words.isdisjoint(telling)
    assert "dismissed" in words


def _strings(value: object) -> Iterator[str]:
    """Yield every text in something that came from JSON."""
    if isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, str):
        yield value


# How it reads


KEY_FIGURES = {
    "Alerts raised": "40",
    "… that were true: the right person was recognised": "14",
    "… that were false: somebody else was": "10",
    "… of which nobody established it": "16",
    "Expired before anybody had decided": "4",
    "Corrections of what was recorded": "10",
    "Arrests that came from alerts": "4",
    "All arrests in the operation, whatever they came from": "7",
}


def as_file(story: Story, kind: str, serial: int = 1) -> Path:
    """Return the record of a deployment as a file of this format."""
    out = story.folder / f"{serial}.{kind}"
    done("record", serial, "--format", kind, "--out", out)
    return out


@pytest.mark.parametrize(("kind", "tag"), [("md", r"[|]"), ("html", r"</?d[dt]>")])
def test_a_page_has_the_key_figures_beside_what_they_are_of(story: Story, kind: str, tag: str) -> None:
    cells = [flat(one) for one in re.split(tag, as_file(story, kind).read_text(encoding="utf-8")) if one.strip()]
    for label, figure in KEY_FIGURES.items():
        after = cells[cells.index(label) + 1]
        assert after.split(" of ")[0] == figure, label


def test_plain_text_has_them_too_on_80_columns(story: Story) -> None:
    text = as_file(story, "text").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80
    for label, figure in KEY_FIGURES.items():
        # The label folds in its column, so that the figure stands within it.
        beginning = re.escape(" ".join(label.split()[:3]))
        assert re.search(rf"^{beginning}.*  {figure}( of 40 .*)?$", text, re.MULTILINE), label


def test_the_table_for_programs_has_them_as_numbers(story: Story) -> None:
    with as_file(story, "csv").open(encoding="utf-8", newline="") as file:
        values = {row["item"]: row["value"] for row in csv.DictReader(file)}
    assert {label: values[label] for label in KEY_FIGURES} == KEY_FIGURES


def test_the_pdf_is_the_same_document(story: Story) -> None:
    made = msgspec.convert(story.record(1)["read"]["record"], Record)
    figures = figures_of(made.counted, group_ratio=2, calibrations=made.calibrations)
    content = as_file(story, "pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content == FORMATS["pdf"](document_of(made, figures))


def test_the_signed_file_is_verified_with_the_organisations_key(story: Story) -> None:
    files = [story.folder / "records" / f"{serial}.json" for serial in range(1, 6)]
    said = flat(done("record", "verify", *files, "--root", story.folder / "organisation.pub"))
    assert said.count(" verified") == said.count(", final, ") == 5


def test_each_file_that_does_not_verify_is_named_and_the_others_are_verified_all_the_same(
    story: Story, tmp_path: Path
) -> None:
    good, bad = story.folder / "records" / "1.json", tmp_path / "bad.json"
    bad.write_bytes(good.read_bytes()[:-40])
    found = call("record", "verify", bad, good, "--root", story.folder / "organisation.pub")
    assert found.code == 2
    said = flat(found.out)
    assert said.index("bad.json: expected a signed record (JSON)") < said.index("NOT VERIFIED") < said.index("1.json")
    assert said.endswith(" verified")


# Rolled up


def rollup(story: Story, folder: Path, *options: object) -> Called:
    return call("record", "rollup", folder, "--root", story.folder / "organisation.pub", *options)


def test_each_ending_has_its_record(story: Story) -> None:
    endings = [story.record(serial)["read"]["record"]["ending"] for serial in range(1, 6)]
    assert endings == ["completed", "saw nobody", "abandoned", "revoked", "completed"]


def test_a_roll_up_adds_the_five(story: Story) -> None:
    out = story.folder / "all.rollup"
    assert rollup(story, story.folder / "records", "--format", "json", "--out", out).code == 0
    made = read(out)
    assert made["deployments"] == 5
    assert made["endings"] == {"completed": 2, "saw nobody": 1, "abandoned": 1, "revoked": 1}
    counted = msgspec.convert(made["counted"], Counted)
    of_all = {
        "seen": counted.seen,
        "raised": counted.raised,
        "true": counted.true,
        "false": counted.false,
        "arrests": counted.arrests_from_alerts,
        "disagreements": counted.disagreements,
        "corrections": counted.corrections,
    }
    assert of_all == OF_ALL
    assert counted == summed([story.counted(serial) for serial in range(1, 6)])


def summed(all_: list[Counted]) -> Counted:
    """Add field by field, in the plainest way."""
    found: dict[str, Any] = {}
    for name in Counted.__struct_fields__:
        values = [getattr(one, name) for one in all_]
        if isinstance(values[0], dict):
            codes = {code for one in values for code in one}
            found[name] = {code: sum(one.get(code, 0) for one in values) for code in codes}
        else:
            found[name] = tuple(sorted(itertools.chain(*values))) if isinstance(values[0], tuple) else sum(values)
    return Counted(**found)


@pytest.mark.parametrize("kind", ["text", "md", "html", "csv", "pdf"])
def test_a_roll_up_comes_in_every_format(story: Story, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "all"
    assert rollup(story, story.folder / "records", "--format", kind, "--out", out).code == 0
    content = out.read_bytes()
    assert content.startswith(b"%PDF-") if kind == "pdf" else content.count(b"45") > 0


def test_nothing_is_rolled_up_while_one_is_missing(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.folder / "records", tmp_path / "records")
    (tmp_path / "records" / "3.json").unlink()
    refused = rollup(story, tmp_path / "records")
    assert (refused.code, refused.out) == (2, "")
    assert "the record of deployment 3 of van-3 is missing" in flat(refused.err)


def test_nothing_is_rolled_up_while_one_was_changed(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.folder / "records", tmp_path / "records")
    path = tmp_path / "records" / "1.json"
    signed = read(path)
    body = base64.b64decode(signed["record"]["payload"])
    assert body.count(b'"truth":{"false":10') == 1
    fewer = body.replace(b'"truth":{"false":10', b'"truth":{"false":1')
    signed["record"]["payload"] = base64.b64encode(fewer).decode()
    path.write_text(json.dumps(signed), encoding="utf-8")
    refused = rollup(story, tmp_path / "records")
    assert (refused.code, refused.out) == (2, "")
    assert "1.json" in refused.err


def test_nothing_is_rolled_up_with_a_draft_among_them(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.folder / "records", tmp_path / "records")
    shutil.copy(story.folder / "draft.json", tmp_path / "records" / "1.json")
    refused = rollup(story, tmp_path / "records")
    assert (refused.code, refused.out) == (2, "")
    assert "make it again once they cannot" in flat(refused.err)
