"""A change of threshold: two people, a reason, figures; and every way in which it is refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from governance.deployment.support import (
    COVERS,
    DETECTOR,
    LIVE,
    MODEL,
    PACK,
    REPORT,
    Letters,
    Site,
    look,
    pack_with,
)
from governance.lists.support import a_row
from governance.vaults import FAR, PEOPLE
from lfr_kernel.governance.deployment.binding import SignedAct
from lfr_kernel.governance.deployment.opening import permitted
from lfr_kernel.governance.deployment.register import end
from lfr_kernel.governance.deployment.rethreshold import Acted, Wish, confirm, propose
from lfr_kernel.governance.deployment.statements import Head, ThresholdChange
from lfr_kernel.governance.deployment.thresholds import (
    Changed,
    changes_in,
    read_thresholds,
    threshold_of,
    thresholds_of,
)
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.people.sessions import end_session
from lfr_kernel.governance.people.statements import Member, Role
from lfr_kernel.governance.tested import figures_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.conftest import FoundVault
    from lfr_kernel.governance.deployment.plan import Plan
    from lfr_kernel.governance.tested import CitedReport

WORDS = "three false alerts within the hour"


def proposed(
    site: Site,
    threshold: float = 0.7,
    by: str = "ada",
    *,
    plan: Plan | None = None,
    tested: CitedReport | None = REPORT,
) -> Acted:
    wish = Wish(threshold=threshold, reason="false-alerts", text=WORDS)
    return propose(site.vault, site.signers[by], plan or site.plan(), 1, wish=wish, tested=tested)


def changed(site: Site, threshold: float = 0.7) -> Acted:
    proposed(site, threshold)
    return confirm(site.vault, site.signers["eva"], 1)


def in_force(site: Site) -> float:
    return threshold_of(thresholds_of(site.vault, site.deployment()), 0.64)


@pytest.mark.parametrize(("first", "second"), [("ada", "eva"), ("eva", "ada")])
def test_two_people_change_it_in_either_order(site: Site, first: str, second: str) -> None:
    site.authorise()
    entry, proposal = proposed(site, by=first)
    assert in_force(site) == 0.64
    confirmed, statement = confirm(site.vault, site.signers[second], 1)
    assert in_force(site) == 0.7
    assert (statement.was, statement.threshold, statement.reason) == (0.64, 0.7, "false-alerts")
    assert statement.confirms is not None
    assert statement.confirms.number == entry
    assert structs.replace(statement, confirms=None, by=proposal.by, at=proposal.at) == proposal
    (change,) = thresholds_of(site.vault, site.deployment())
    roles = {"ada": "authoriser", "eva": "data-protection"}
    assert change == Changed(
        entry=confirmed,
        since_ns=site.clocks.now.utc_ns,
        in_force_ns=None,
        was=0.64,
        threshold=0.7,
        by=(f"{roles[first]} {first}", f"{roles[second]} {second}"),
        reason="false-alerts",
        report=REPORT.report,
    )
    site.expect_chain()


def test_the_figures_before_and_after_are_signed_with_it(site: Site) -> None:
    site.authorise()
    statement = changed(site).statement
    assert (statement.before, statement.after) == (figures_at(REPORT, 0.64), figures_at(REPORT, 0.7))
    assert statement.report == "a" * 64


def test_the_words_are_kept_encrypted_and_apart_from_the_chain(site: Site) -> None:
    site.authorise()
    entry = proposed(site).entry
    assert site.vault.database.text(entry, site.vault.text_key(1)) == WORDS
    assert WORDS.encode() not in site.remains()
    (body,) = site.acts("threshold_proposed")
    assert body["reason"] == "false-alerts"


def test_a_change_continues_the_one_before(site: Site) -> None:
    site.authorise()
    changed(site, 0.7)
    proposed(site, 0.66, by="eva")
    assert confirm(site.vault, site.signers["ada"], 1).statement.was == 0.7
    assert [(one.was, one.threshold) for one in thresholds_of(site.vault, site.deployment())] == [
        (0.64, 0.7),
        (0.7, 0.66),
    ]


def test_of_several_proposals_the_last_one_counts(site: Site) -> None:
    site.authorise()
    first = proposed(site, 0.7).entry
    second = proposed(site, 0.66).entry
    with pytest.raises(
        RefusedError, match=rf"expected the last proposal, entry {second}, got {first}: look at it first"
    ):
        confirm(site.vault, site.signers["eva"], 1, proposal=first)
    confirm(site.vault, site.signers["eva"], 1, proposal=second)
    assert in_force(site) == 0.66
    with pytest.raises(RefusedError, match="no change of threshold is proposed for deployment 1"):
        confirm(site.vault, site.signers["eva"], 1)


@pytest.mark.parametrize("name", ["ben", "cem", "dee", "fay"])
def test_nobody_else_proposes_or_confirms(site: Site, name: str) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="threshold_proposed needs the role authoriser or data-protection"):
        proposed(site, by=name)
    proposed(site)
    with pytest.raises(RefusedError, match="threshold_confirmed needs the role authoriser or data-protection"):
        confirm(site.vault, site.signers[name], 1)
    assert in_force(site) == 0.64


def test_who_proposed_it_does_not_confirm_it(site: Site) -> None:
    site.authorise()
    proposed(site)
    with pytest.raises(RefusedError, match="it takes two people, and ada proposed it: whoever has both roles is one"):
        confirm(site.vault, site.signers["ada"], 1)
    assert in_force(site) == 0.64


@pytest.fixture
def crowded(tmp_path: Path, found_vault: FoundVault) -> Iterator[Site]:
    """A site where gil has both roles, and hal authorises, too."""
    people = {**PEOPLE, "gil": ("authoriser", "data-protection"), "hal": ("authoriser",)}
    vault, force = found_vault(people=people, packs=[PACK])
    made = Site(vault, force, tmp_path)
    made.signers |= {name: force.session(vault, name) for name in ("gil", "hal")}
    yield made
    made.close()


def test_whoever_has_both_roles_is_one_person_all_the_same(crowded: Site) -> None:
    crowded.authorise()
    proposed(crowded, by="gil")
    with pytest.raises(RefusedError, match="it takes two people, and gil proposed it"):
        confirm(crowded.vault, crowded.signers["gil"], 1)
    confirm(crowded.vault, crowded.signers["ada"], 1)
    (change,) = thresholds_of(crowded.vault, crowded.deployment())
    assert change.by == ("data-protection gil", "authoriser ada")


def test_two_who_authorise_are_not_one_of_each(crowded: Site) -> None:
    crowded.authorise()
    proposed(crowded, by="ada")
    with pytest.raises(
        RefusedError,
        match=r"expected an authoriser and somebody with the role data-protection, got ada \(authoriser\) and hal",
    ):
        confirm(crowded.vault, crowded.signers["hal"], 1)


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_below_the_pack_and_below_the_authority_it_is_refused(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match=r"threshold 0\.63: expected 0\.64 at least, which authority EX/1 names as"):
        proposed(site, 0.63)
    with pytest.raises(RefusedError) as caught:
        proposed(site, 0.6)
    lines = str(caught.value).splitlines()
    assert lines[0] == "threshold 0.6: 3 reasons"
    assert lines[1].startswith("  expected 0.61 at least (min_threshold of pack uk-met)")
    assert lines[2].startswith("  expected 0.64 at least, which authority EX/1 names")
    assert lines[3].startswith("  expected a threshold of 0.62 at least, the lowest that the cited report recommends")
    assert site.acts("threshold_proposed") == []


@pytest.mark.parametrize("threshold", [0.1, 1.01, float("nan"), float("inf")])
def test_what_is_no_threshold_is_refused(site: Site, threshold: float) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match=r"expected a threshold from 0\.2 to 1, got"):
        proposed(site, threshold)


def test_what_is_in_force_already_is_no_change(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="it is in force already"):
        proposed(site, 0.64)


def with_report(**changes: Any) -> CitedReport:
    return structs.replace(REPORT, covers=structs.replace(COVERS, **changes))


def test_outside_of_what_was_tested_it_is_refused_where_the_pack_demands_a_report(site: Site) -> None:
    site.authorise()
    for changes, text in (
        ({"embedder": "f" * 64}, "the cited report tested embedder ffffffffffff…, and"),
        ({"threshold": 0.72}, "expected a threshold of 0.72 at least, the lowest that the cited report recommends"),
        ({"threshold": None}, "no threshold met FPIR 0.005 in the cited report"),
        ({"listed": 1}, "expected 1.1 people on the list at most, 1.1 times the 1 of the cited report"),
    ):
        with pytest.raises(RefusedError, match=text.replace("(", r"\(")):
            proposed(site, tested=with_report(**changes))
    with pytest.raises(RefusedError, match=r"pack uk-met asks for an evaluation report \(require_report\)"):
        proposed(site, tested=None)
    # The detector is known once something has run.
    proposed(site, tested=with_report(detector="f" * 64))
    site.crash(site.running())
    with pytest.raises(RefusedError, match="the cited report tested detector ffffffffffff…, and"):
        proposed(site, tested=with_report(detector="f" * 64))


def test_where_the_pack_demands_none_it_is_said_that_there_are_no_figures(site: Site) -> None:
    plan = site.plan(loaded=pack_with(require_report=False))
    site.authorise(plan)
    statement = proposed(site, plan=plan, tested=None).statement
    assert (statement.report, statement.after.fpir, statement.after.note) == (
        None,
        None,
        "no evaluation report is cited",
    )


def test_another_profile_changes_nothing(site: Site) -> None:
    site.authorise()
    with pytest.raises(RefusedError, match="profile spring with pack uk-met is not what authority EX/1 is for"):
        proposed(site, plan=site.plan(profile_digest="0" * 64))


def test_a_deployment_that_is_over_keeps_its_threshold(site: Site) -> None:
    site.authorise()
    proposed(site)
    end(site.vault, 1, signer=site.signers["dee"], why="closed")
    with pytest.raises(RefusedError, match="deployment 1 is ending: its threshold changes no more"):
        proposed(site, 0.66)
    with pytest.raises(RefusedError, match="deployment 1 is ending: its threshold changes no more"):
        confirm(site.vault, site.signers["eva"], 1)


def test_a_session_for_another_deployment_does_not_count(site: Site) -> None:
    site.authorise()
    end_session(site.vault, "ada")
    site.signers["ada"] = site.force.session(site.vault, "ada", deployment=2)
    with pytest.raises(RefusedError, match="good for deployment 2, and threshold_proposed belongs to deployment 1"):
        proposed(site)


def test_a_change_that_somebody_else_makes_meanwhile_is_not_overlooked(site: Site) -> None:
    """Another process changes it between the reading of the list and the signature."""
    site.authorise()
    proposed(site, 0.7)
    vault = site.force.open(site.vault.folder)
    original = vault.database.transaction

    def meanwhile() -> Any:
        other = threading.Thread(target=lambda: confirm(site.vault, site.signers["eva"], 1))
        vault.database.transaction = original  # type: ignore[method-assign]
        other.start()
        other.join()
        return original()

    vault.database.transaction = meanwhile  # type: ignore[method-assign]
    wish = Wish(threshold=0.66, reason="false-alerts", text=None)
    with vault, pytest.raises(RefusedError, match="the threshold of deployment 1 was changed meanwhile"):
        propose(vault, site.signers["ada"], site.plan(), 1, wish=wish, tested=REPORT)


# ---- what opens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"detector": "f" * 64}, "the cited report tested detector ffffffffffff…, and"),
        ({"embedder": "f" * 64}, "the cited report tested embedder ffffffffffff…, and"),
        ({"threshold": 0.65}, r"expected a threshold of 0\.65 at least, the lowest that the cited report recommends"),
        ({"listed": 1}, r"expected 1\.1 people on the list at most, 1\.1 times the 1 of the cited report"),
        (None, r"pack uk-met asks for an evaluation report \(require_report\)"),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_nothing_opens_outside_of_what_was_tested(
    site: Site, changes: dict[str, Any] | None, text: str, *, again: bool
) -> None:
    if again:
        site.crash(site.running())
    else:
        site.authorise()
    starts = len(site.acts("capture_started"))
    governed = site.governed()
    governed.issue("authority", LIVE)
    governed.cited = None if changes is None else structs.replace(COVERS, **changes)
    with pytest.raises(RefusedError, match=rf"profile spring leaves what was tested: {text}"):
        governed.open_list(MODEL, "letters", Letters())
    assert len(site.acts("capture_started")) == starts
    # Nothing was unsealed: with what was tested it opens.
    assert site.path.exists() != again
    governed.cited = COVERS
    governed.open_list(MODEL, "letters", Letters())


def test_a_list_up_to_a_tenth_longer_than_tested_opens(site: Site) -> None:
    site.rows = [a_row(f"p{number}", number) for number in range(11)]
    site.authorise()
    governed = site.governed()
    governed.issue("authority", LIVE)
    governed.cited = structs.replace(COVERS, listed=10)
    governed.open_list(MODEL, "letters", Letters())
    assert len(site.acts("capture_started")) == 1


def test_under_a_pack_that_demands_no_report_all_of_it_opens(site: Site) -> None:
    plan = site.plan(loaded=pack_with(require_report=False), has_report=False)
    site.authorise(plan)
    governed = site.governed(plan)
    governed.issue("authority", LIVE)
    governed.cited = governed.detector = None
    governed.open_list(MODEL, "letters", Letters())
    assert site.acts("capture_started")[0]["facts"]["detector"] is None


def test_a_start_uses_what_two_people_made_of_the_threshold(site: Site) -> None:
    site.authorise()
    entry = changed(site).entry
    site.clocks.pass_(minutes=1)
    governed = site.running()
    assert governed.threshold == 0.7
    (start,) = site.acts("capture_started")
    assert (start["facts"]["threshold"], start["facts"]["detector"]) == (0.7, DETECTOR)
    assert look(governed).threshold is None
    (change,) = thresholds_of(site.vault, site.deployment())
    assert (change.entry, change.in_force_ns) == (entry, site.clocks.now.utc_ns)


def test_a_change_below_what_was_tested_since_is_not_started_with(site: Site) -> None:
    site.authorise()
    changed(site)
    governed = site.governed()
    governed.issue("authority", LIVE)
    governed.cited = structs.replace(COVERS, threshold=0.71)
    with pytest.raises(RefusedError, match=r"expected a threshold of 0\.71 at least.*, got 0\.7:"):
        governed.open_list(MODEL, "letters", Letters())


def test_a_run_finds_the_change_and_writes_down_when_it_has_it(site: Site) -> None:
    governed = site.running()
    assert look(governed).threshold is None
    entry = changed(site).entry
    news = look(governed).threshold
    assert news is not None
    assert (news.was, news.change.threshold, news.change.entry, news.refused) == (0.64, 0.7, entry, ())
    # It is news for as long as the index does not have it.
    assert (look(governed).threshold, governed.threshold) == (news, 0.64)
    site.clocks.pass_(minutes=1)
    governed.took_up(news)
    assert (look(governed).threshold, governed.threshold) == (None, 0.7)
    (act,) = site.acts("threshold_in_force")
    assert act["facts"] == {"deployment": 1, "threshold": 0.7, "since": entry}
    (change,) = thresholds_of(site.vault, site.deployment())
    assert change.in_force_ns == site.clocks.now.utc_ns == change.since_ns + 60 * 10**9
    site.expect_chain()


def test_a_change_that_is_signed_during_a_look_is_news_at_that_or_the_next_one(site: Site) -> None:
    governed = site.running()
    look(governed)
    database = governed._vault.database
    read, reads = database.data_version, []

    def reading() -> int:
        found = read()
        if not reads:
            changed(site)
        reads.append(found)
        return found

    database.data_version = reading  # type: ignore[method-assign]
    assert any(look(governed).threshold is not None for _ in range(2))


def test_a_proposal_alone_is_no_news(site: Site) -> None:
    governed = site.running()
    proposed(site)
    assert look(governed).threshold is None


def test_what_two_people_signed_with_a_program_of_their_own_is_not_taken_up_below_the_floor(site: Site) -> None:
    governed = site.running()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lfr_kernel.governance.deployment.rethreshold._reasons", lambda *_, **__: iter(()))
        proposed(site, 0.5)
    confirm(site.vault, site.signers["eva"], 1)
    news = look(governed).threshold
    assert news is not None
    assert len(news.refused) == 3
    governed.took_up(news)
    assert (look(governed).threshold, governed.threshold) == (None, 0.64)
    assert site.acts("threshold_in_force") == []
    site.crash(governed)
    with pytest.raises(RefusedError, match=r"authority EX/1: threshold: authorised from 0\.64, but .* from 0\.5"):
        permitted(site.vault, site.plan(), LIVE, swap=())


def test_a_crash_between_index_and_chain_is_made_up_for_by_the_next_start(site: Site) -> None:
    governed = site.running()
    changed(site)
    assert look(governed).threshold is not None
    site.crash(governed)
    assert site.running().threshold == 0.7
    assert site.deployment().is_capturing


# ---- in force, as a replay -------------------------------------------------------------------------------------------

CROWD = {
    "ada": (Role.AUTHORISER,),
    "eva": (Role.DATA_PROTECTION,),
    "gil": (Role.AUTHORISER, Role.DATA_PROTECTION),
    "hal": (Role.AUTHORISER,),
}


def member(name: str) -> Member:
    return Member(name=name, signing=name.encode().hex() * 10, sealing="", roles=CROWD[name], expires=FAR)


def may_confirm(first: str, second: str) -> bool:
    both = {Role.AUTHORISER, Role.DATA_PROTECTION}
    return first != second and any(
        one in CROWD[first] and other in CROWD[second] for one in both for other in both - {one}
    )


class Replay:
    """What anybody who reads acts in order makes of them; keeps the acts of whoever kept to the rules."""

    def __init__(self) -> None:
        self.threshold = 0.64
        self.acts: list[SignedAct[ThresholdChange]] = []
        self.pending: SignedAct[ThresholdChange] | None = None
        self.expected: list[tuple[int, float]] = []

    def propose(self, name: str, threshold: float) -> None:
        statement = ThresholdChange(
            serial=1,
            installation="i",
            authority="EX/1",
            was=self.threshold,
            threshold=threshold,
            report=None,
            before=figures_at(None, self.threshold),
            after=figures_at(None, threshold),
            reason="correction",
            confirms=None,
            by=f"person {name}",
            at="",
        )
        self.pending = self._append("threshold_proposed", name, statement)

    def confirm(self, name: str) -> None:
        if self.pending is None or not may_confirm(self.pending.member.name, name):
            return
        self._append("threshold_confirmed", name, confirming(self.pending, name))
        self.threshold = self.pending.statement.threshold
        self.expected.append((len(self.acts), self.threshold))
        self.pending = None

    def _append(self, act: str, name: str, statement: ThresholdChange) -> SignedAct[ThresholdChange]:
        number = len(self.acts) + 1
        made = SignedAct(
            number=number, digest=f"{number:064x}", at_ns=number, act=act, member=member(name), statement=statement
        )
        self.acts.append(made)
        return made


def confirming(proposal: SignedAct[ThresholdChange], name: str) -> ThresholdChange:
    head = Head(number=proposal.number, digest=proposal.digest)
    return structs.replace(proposal.statement, confirms=head, by=f"person {name}", at="later")


NAMES = st.sampled_from(sorted(CROWD))
STEPS = st.lists(st.tuples(NAMES, st.none() | st.sampled_from([0.6, 0.64, 0.7, 0.8])), max_size=30)


def replayed(steps: list[tuple[str, float | None]]) -> Replay:
    replay = Replay()
    for name, threshold in steps:
        if threshold is None:
            replay.confirm(name)
        else:
            replay.propose(name, threshold)
    return replay


@given(STEPS)
def test_what_is_in_force_is_what_a_replay_of_the_acts_makes_of_it(steps: list[tuple[str, float | None]]) -> None:
    replay = replayed(steps)
    changes = changes_in(replay.acts)
    assert [(one.entry, one.threshold) for one in changes] == replay.expected
    assert threshold_of(changes, 0.64) == replay.threshold
    for one in changes:
        names = [by.split()[1] for by in one.by]
        assert len(set(names)) == 2
        assert {by.split()[0] for by in one.by} == {"authoriser", "data-protection"}


@given(STEPS, NAMES, NAMES, st.sampled_from([0.61, 0.7]))
def test_no_one_person_and_no_two_of_one_role_change_it(
    steps: list[tuple[str, float | None]], first: str, second: str, threshold: float
) -> None:
    replay = replayed(steps)
    replay.propose(first, threshold)
    assert replay.pending is not None
    statement = confirming(replay.pending, second)
    replay._append("threshold_confirmed", second, statement)
    if may_confirm(first, second):
        assert changes_in(replay.acts)[-1].threshold == threshold
    else:
        with pytest.raises(RefusedError, match=r"it takes two people, and|expected an authoriser and somebody with"):
            changes_in(replay.acts)


def test_a_change_from_another_profile_is_none(site: Site) -> None:
    site.authorise()
    changed(site)
    known = read_thresholds(site.vault, site.deployment())
    with pytest.raises(
        RefusedError, match=r"changes the threshold from 0\.64, and it was 0\.65: it was signed for anot"
    ):
        threshold_of(known.changes, 0.65)
