"""What is signed about a list, and lies in front of it in clear: counts and digests, and nothing about anybody."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from lfr_kernel.governance.keys.signing import Envelope  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.people.statements import Moment  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.lists.entries import Entry

__all__ = ["Counts", "Front", "Header", "ListFacts", "Review", "Sample", "Signatory", "Tally"]

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="a SHA-256, hexadecimal")]
ListId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", title="32 hexadecimal digits")]
Key = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="an Ed25519 public key, hexadecimal")]


class Signatory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs, as the statement itself says: the signature of it covers this."""

    name: str
    key: Key
    certificate: Envelope | None
    """By which a person lets a session's key sign; None if the key is the signer's own."""

    @classmethod
    def of(cls, signer: Signer, certificate: Envelope | None = None) -> Signatory:
        """Describe a signer."""
        return cls(name=signer.name, key=signer.public.hex(), certificate=certificate)

    @property
    def public(self) -> bytes:
        """The key's 32 bytes."""
        return bytes.fromhex(self.key)


class ListFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What whoever builds a list says of it as a whole."""

    name: str
    made: Moment
    model: Digest
    """SHA-256 of the embedder's weights: templates of another one mean nothing to it."""
    dimension: Annotated[int, Meta(ge=1, le=65_536)]
    """Numbers in a template."""
    pack: str
    pack_digest: Digest
    exclusions: Digest | None
    """SHA-256 of the exclusion list that was applied; None if there was none."""
    verdicts: dict[str, int]
    """How many rows of the manifest got each verdict, by code: the rejected ones too."""


class Counts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows there are of what."""

    people: int
    categories: dict[str, int]
    sources: dict[str, int]
    conviction_status: dict[str, int]
    under_18: int
    vulnerable: int
    questioned: int
    earliest_expiry: Moment | None
    latest_expiry: Moment | None


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the builder signs, and the reviewer after. Cited by the authority through `id` and `root`."""

    format: str = "lfr-list-1"
    id: ListId
    """128 bits, random."""
    facts: ListFacts
    counts: Counts
    rows: Annotated[int, Meta(ge=0)]
    root: Digest
    """Of the Merkle tree over the chunks as they lie in the file."""
    key_commitment: Digest
    """HMAC-SHA256 under the data key, so that a chunk can be opened with one key only."""
    seal_digest: Digest
    """SHA-256 of the data key as sealed to the installation."""
    builder: Signatory


class Review(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else than the builder has looked at the list."""

    list: ListId
    root: Digest
    reviewer: Signatory
    at: Moment
    questioned: int
    """Rows that a person had to look at."""
    expired: int
    """Rows whose expiry was past."""


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows were drawn at random and checked."""

    list: ListId
    root: Digest
    n: int
    seed: str
    """Hexadecimal: whoever has it can draw the same rows."""
    findings: dict[str, int]
    """How many rows by what was found, `ok` among them."""
    at: Moment
    by: Signatory


class Front(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first part of the file: readable without a key."""

    header: Envelope
    """Kind `watchlist`: signed by the builder, and by each reviewer in the order of `reviews`."""
    seal: str | None
    """Base64: the data key, sealed to the installation's X25519 key. None in a working copy."""
    reviews: tuple[Envelope, ...]
    """Kind `watchlist-review`."""
    samples: tuple[Envelope, ...]
    """Kind `watchlist-sample`."""


class Tally:
    """Counts rows as they are written."""

    def __init__(self) -> None:
        self._people: set[str] = set()
        self._by: dict[str, Counter[str]] = {"category": Counter(), "source": Counter(), "conviction_status": Counter()}
        self._flags: Counter[str] = Counter()
        self._expiries: tuple[Moment, Moment] | None = None

    def add(self, entry: Entry, *, is_questioned: bool) -> None:
        """Count one row."""
        self._people.add(entry.person)
        for field, counter in self._by.items():
            counter[getattr(entry, field)] += 1
        self._flags.update(under_18=+entry.under_18, vulnerable=+entry.vulnerable, questioned=+is_questioned)
        first, last = self._expiries or (entry.expires, entry.expires)
        self._expiries = min(first, entry.expires), max(last, entry.expires)

    def counts(self) -> Counts:
        """Return the counts."""
        first, last = self._expiries or (None, None)
        return Counts(
            people=len(self._people),
            categories=_sorted(self._by["category"]),
            sources=_sorted(self._by["source"]),
            conviction_status=_sorted(self._by["conviction_status"]),
            under_18=self._flags["under_18"],
            vulnerable=self._flags["vulnerable"],
            questioned=self._flags["questioned"],
            earliest_expiry=first,
            latest_expiry=last,
        )


def _sorted(counter: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items()))
