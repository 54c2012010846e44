"""The evaluation report that a profile cites: read, held to the digest, and judged against what runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Struct

from lfr_kernel.decoding import extra_of, is_choice
from lfr_kernel.governance.basis import NO_REPORT, Basis, Coverage, InForce, judge
from lfr_kernel.governance.tested import CitedReport, Curve, Histogram
from lfr_kernel.runtime import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.basis import Setting
    from lfr_kernel.profile import BasisSection, Profile

__all__ = [
    "CitationError",
    "in_force",
    "most_looks",
    "read_cited",
    "read_report",
    "recognition_settings",
    "rests_on",
]

T = TypeVar("T", bound=Struct)

NEVER_COUNTS = "device"
"""The option by which plugins say where a model runs."""


class CitationError(PermanentError, ValueError):
    """A profile cites a report that is not there, is none, or is another one; the text says what came and what to do.

    A false citation is worse than none: it stops the start.
    """


class Report(Struct, frozen=True):
    """A report.json, as far as a run reads it: the rest is for people, and for a change of threshold."""

    covers: Coverage


class _Described(Struct, frozen=True):
    curve: Curve
    looks: int | None = None


class _People(Struct, frozen=True):
    listed: int


class _Curves(Struct, frozen=True):
    """A report.json, as far as a change of threshold reads it."""

    covers: Coverage
    descriptive: tuple[_Described, ...] = ()
    histogram: Histogram | None = None
    people: _People | None = None


def read_cited(section: BasisSection) -> Coverage | None:
    """Read the report that a profile cites; None if it cites none. Blocks on the file.

    Raises:
        CitationError: there is no such file, it is no report, or it has another digest than the one cited.
    """
    found = _cited(section, Report)
    return None if found is None else found[1].covers


def read_report(section: BasisSection) -> CitedReport | None:
    """Read the report that a profile cites, with its figures over thresholds; takes and raises as `read_cited` does."""
    found = _cited(section, _Curves)
    if found is None:
        return None
    digest, report = found
    by_looks = {one.looks: one for one in report.descriptive}
    described = by_looks.get(report.covers.looks, by_looks.get(None))
    looks = report.covers.looks if described is None else described.looks
    curve = None if described is None else described.curve
    histogram = report.histogram.curve if report.histogram is not None and report.histogram.looks == looks else None
    return CitedReport(
        report=digest,
        covers=report.covers,
        curves=tuple(one for one in (curve, histogram) if one is not None and one.thresholds),
        looks=looks,
        listed=None if report.people is None else report.people.listed,
    )


def _cited(section: BasisSection, into: type[T]) -> tuple[str, T] | None:
    if section.report is None or section.digest is None:
        return None
    path = Path(section.report).expanduser()
    content = _content(path)
    try:
        report = msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CitationError(
            f"evaluation report {path}: expected a report.json as `lfr-kernel evaluate` writes it, got something else "
            f"({error}); see [basis] report"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != section.digest.lower():
        raise CitationError(
            f"evaluation report {path}: expected SHA-256 {section.digest.lower()}, which [basis] cites, got {digest}; "
            "put the report back that was cited, or read this one and cite its digest"
        )
    return digest, report


def _content(path: Path) -> bytes:
    reason = "found something that is not a file"
    try:
        if path.is_file():
            return path.read_bytes()
        if not path.exists():
            reason = "found none there"
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
    raise CitationError(
        f"evaluation report {path}: expected the file that [basis] cites, {reason}; "
        "correct the path, or remove report and digest to run without evidence, which every output will say"
    )


def rests_on(
    profile: Profile, cited: Coverage | None, *, detector: str | None, embedder: str | None, listed: int | None
) -> Basis:
    """Judge what the threshold of a profile rests on.

    Args:
        profile: as `load_profile` returned it.
        cited: what `read_cited` returned.
        detector: digest of the model; None if it is not loaded.
        embedder: likewise.
        listed: people on the list; None if there is none yet.
    """
    if cited is None or profile.basis.digest is None:
        return NO_REPORT
    return judge(cited, profile.basis.digest.lower(), in_force(profile, detector, embedder, listed))


def in_force(profile: Profile, detector: str | None, embedder: str | None, listed: int | None) -> InForce:
    """Return what is in force when a profile starts; takes what `rests_on` does."""
    return InForce(
        detector=detector,
        embedder=embedder,
        listed=listed,
        looks=most_looks(profile),
        threshold=profile.watchlist.threshold,
        target_fpir=profile.basis.target_fpir,
        settings=recognition_settings(profile),
    )


def most_looks(profile: Profile) -> int | None:
    """Return how many faces of one passage are embedded at most; None if its tracker does not say."""
    looks: int | None = getattr(profile.tracker.options, "looks", None)
    return looks


def recognition_settings(profile: Profile) -> dict[str, Setting]:
    """Return the settings of a profile that change similarities or which faces are used, flat and sorted by key.

    A plugin is named by its stage, its options below that: `detector` and `detector.longest_side`; what photographs
    must have stands below `enrolment`. Numbers, switches
    and choices stand as they are; free text and lists as a digest, for they may hold a path or a secret, and reports
    are handed around.
    What is not set (None, or empty) is left out, and so is `device`, and what its plugin marks as having no say
    (see `lfr_kernel.api.Plugin`). What its config says with a property `recognition` counts, too.

    Args:
        profile: as `load_profile` returned it.
    """
    found: dict[str, Setting] = {
        "mirror_live": profile.embedder.mirror_live,
        "early_margin": profile.watchlist.early_margin,
    }
    found |= _settings("enrolment", profile.watchlist.gates)
    for stage in ("detector", "embedder", "tracker"):
        section = getattr(profile, stage)
        found[stage] = section.plugin
        found |= _settings(stage, section.options)
        found |= {f"{stage}.{name}": value for name, value in getattr(section.options, "recognition", {}).items()}
    return dict(sorted(found.items()))


def _settings(path: str, options: Struct) -> Iterator[tuple[str, Setting]]:
    hints = get_type_hints(type(options), include_extras=True)
    for field in msgspec.structs.fields(options):
        key, hint, value = f"{path}.{field.encode_name}", hints[field.name], getattr(options, field.name)
        has_no_say = field.encode_name == NEVER_COUNTS or extra_of(hint).get("recognition") is False
        if has_no_say or value is None or value == "":
            continue
        if isinstance(value, Struct):
            yield from _settings(key, value)
        elif isinstance(value, bool | int | float):
            yield key, value
        else:
            plain = msgspec.to_builtins(value, enc_hook=str)
            yield key, plain if is_choice(hint) else _digest(plain)


def _digest(plain: Any) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(plain, order='sorted')).hexdigest()[:16]}"
