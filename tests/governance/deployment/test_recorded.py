"""What was done with a list counts if its file and the audit have it; and nobody looks into one that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from governance.deployment.support import HOUR, LIVE, MODEL, Letters, pack_with
from governance.lists.support import a_row
from lfr_kernel.governance.deployment.register import recall
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.lists.acts import consult, recorded, review_list, sample_list
from lfr_kernel.governance.lists.file import ListFile
from lfr_kernel.governance.lists.sampling import Checked
from lfr_kernel.governance.lists.statements import Review, Sample, Signatory

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.deployment.support import Site


def signatory(site: Site, name: str) -> Signatory:
    shift = site.vault.shifts.find(name)
    assert shift is not None
    return Signatory.of(site.signers[name], shift.envelope)


def claim_review(site: Site, by: str = "cem") -> ListFile:
    """Write a review into the file, and into no audit."""
    listed = ListFile.open(site.path)
    of = {"list": listed.header.id, "root": listed.header.root}
    review = Review(**of, reviewer=signatory(site, by), at=site.now, questioned=0, expired=0)
    return listed.reviewed(site.signers[by], review)


def claim_sample(site: Site, by: str = "fay") -> ListFile:
    """Write a sample of all three rows into the file, and into no audit."""
    listed = ListFile.open(site.path)
    of = {"list": listed.header.id, "root": listed.header.root}
    sample = Sample(**of, n=3, seed="00", findings={"ok": 3}, at=site.now, by=signatory(site, by))
    return listed.sampled(site.signers[by], sample)


def note(site: Site, act: str, by: str, **facts: Any) -> None:
    """Write an act into the audit, and nothing into the file."""
    header = ListFile.open(site.path).header
    with site.vault.database.transaction() as transaction:
        of = {"list": header.id, "root": header.root, **facts}
        site.vault.act(transaction, act, by=site.signers[by], facts=of)


NOBODY = "nobody has reviewed it: another person than its builder has to"
NO_SAMPLE = r"expected a dip sample of 3 entries \(min_sample of pack uk-met\), got 0"


def test_a_review_that_the_audit_does_not_have_is_none(site: Site) -> None:
    site.a_list(reviewer=None)
    claim_review(site)
    with pytest.raises(RefusedError, match=NOBODY):
        site.authorise()
    note(site, "list_reviewed", "cem")
    site.authorise()


def test_a_review_that_the_file_does_not_have_is_none(site: Site) -> None:
    site.a_list(reviewer=None)
    note(site, "list_reviewed", "cem")
    with pytest.raises(RefusedError, match=NOBODY):
        site.authorise()


def test_a_sample_that_the_audit_or_the_file_does_not_have_is_none(site: Site) -> None:
    site.a_list(sampled=0)
    claim_sample(site)
    with pytest.raises(RefusedError, match=NO_SAMPLE):
        site.authorise()
    site.path.unlink()
    site.a_list(sampled=0)
    note(site, "list_sampled", "fay", n=3, seed="00")
    with pytest.raises(RefusedError, match=NO_SAMPLE):
        site.authorise()
    claim_sample(site)
    site.authorise()


@pytest.mark.parametrize(
    ("by", "facts"),
    [
        ("fay", {"n": 2, "seed": "00"}),
        ("fay", {"n": 3, "seed": "01"}),
        ("fay", {"n": 3, "seed": "00", "root": "0" * 64}),
        ("fay", {"n": 3, "seed": "00", "list": "0" * 32}),
        ("cem", {"n": 3, "seed": "00"}),
    ],
)
def test_file_and_audit_tell_the_same_of_a_sample(site: Site, by: str, facts: dict[str, Any]) -> None:
    site.a_list(sampled=0)
    claim_sample(site)
    note(site, "list_sampled", by, **facts)
    with pytest.raises(RefusedError, match=NO_SAMPLE):
        site.authorise()


def test_one_act_does_not_cover_two_claims(site: Site) -> None:
    site.a_list()
    claim_review(site)
    listed = claim_sample(site)
    listed.verify_public()
    assert (len(listed.reviews), len(listed.samples)) == (2, 2)
    done = recorded(site.vault, listed)
    assert (len(done.reviews), len(done.samples)) == (1, 1)
    note(site, "list_reviewed", "cem")
    note(site, "list_sampled", "fay", n=3, seed="00")
    done = recorded(site.vault, listed)
    assert (done.reviews, done.samples) == (listed.reviews, listed.samples)


def test_a_claim_that_was_added_after_the_authorisation_opens_nothing(site: Site) -> None:
    plan = site.plan(loaded=pack_with(build_max_age_h=48.0))
    site.rows = [a_row("ada", 1, expires=site.now + 72 * HOUR)]
    site.authorise(plan, starts=site.now + 25 * HOUR, ends=site.now + 26 * HOUR)
    site.clocks.pass_(hours=25.5)
    claim_review(site)
    governed = site.governed(plan)
    governed.issue("authority", LIVE)
    with pytest.raises(RefusedError, match=r"it was reviewed 25\.5 h ago, expected 24 h at most"):
        governed.open_list(MODEL, "letters", Letters())
    assert site.path.exists()
    note(site, "list_reviewed", "cem")
    governed.open_list(MODEL, "letters", Letters())


def found(site: Site, listed: ListFile, **findings: str) -> ListFile:
    """Sample it again, with these findings."""
    return sample_list(site.vault, site.signers["fay"], listed, Checked(seed="01", findings=findings))


def test_a_list_of_which_a_sample_found_rows_wrong_is_not_authorised(site: Site) -> None:
    made = site.a_list()
    clean = made.path.read_bytes()
    sampled = found(site, made, e1="wrong-person", e2="ok", e3="poor-photograph", e4="skipped")
    text = (
        r"a dip sample found something wrong with 2 of its entries \(e1 wrong-person, e3 poor-photograph\): build it "
        "again without them, or with what was wrong put right, and have that one sampled and reviewed"
    )
    with pytest.raises(RefusedError, match=text):
        site.authorise()
    found(site, sampled, e1="ok", e2="ok", e3="ok", e4="ok")
    with pytest.raises(RefusedError, match=text):
        site.authorise()
    made.path.write_bytes(clean)
    with pytest.raises(RefusedError, match=text):
        site.authorise()
    assert site.acts("authorised") == []
    made.path.unlink()
    site.a_list()
    site.authorise()


def test_a_list_that_was_found_wrong_since_opens_once_the_row_is_recalled(site: Site) -> None:
    made = site.a_list()
    entry = site.rows[0].about.entry
    site.authorise()
    found(site, made, **{entry: "grounds-lapsed"})
    governed = site.governed()
    governed.issue("authority", LIVE)
    with pytest.raises(RefusedError, match=rf"wrong with 1 of its entries \({entry} grounds-lapsed\)"):
        governed.open_list(MODEL, "letters", Letters())
    recall(site.vault, site.signers["cem"], 1, entry, reason="grounds-lapsed", text=None)
    governed.open_list(MODEL, "letters", Letters())


LOOKS: dict[str, Callable[[Site, ListFile], object]] = {
    "review": lambda site, copy: review_list(site.vault, site.signers["cem"], copy, questioned=0, expired=0),
    "sample": lambda site, copy: sample_list(
        site.vault, site.signers["fay"], copy, Checked(seed="00", findings={"row": "ok"})
    ),
    "look": lambda site, copy: consult(site.vault, site.signers["eva"], copy, 3),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_copy_of_a_list_that_was_opened_is_neither_reviewed_nor_sampled_nor_shown(site: Site, look: str) -> None:
    made = site.a_list()
    copy = site.folder / "copy.lfrlist"
    copy.write_bytes(made.path.read_bytes())
    site.authorise()
    LOOKS[look](site, ListFile.open(copy))  # until then, anybody may who has the role
    governed = site.running()
    before = site.acts()
    for _ in range(2):
        with pytest.raises(
            RefusedError, match=r"copy\.lfrlist was opened for deployment 1: what is left of it is a copy, which nobody"
        ):
            LOOKS[look](site, ListFile.open(copy))
        site.clocks.pass_(minutes=60)
        site.crash(governed)
    assert [one for one in site.acts() if one["act"].startswith("list_")] == [
        one for one in before if one["act"].startswith("list_")
    ]
