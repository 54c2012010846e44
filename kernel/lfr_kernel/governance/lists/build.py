"""A manifest becomes a draft, with a verdict for each row; an accepted draft becomes a sealed, signed list."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.lists.entries import Entry, Row, Verdict
from lfr_kernel.governance.lists.file import write_list
from lfr_kernel.governance.lists.review import judge_row, listing, rejection, vet
from lfr_kernel.governance.lists.spool import Span, Spool
from lfr_kernel.governance.lists.statements import ListFacts
from lfr_kernel.governance.photograph import PHOTO_S, Unfit, examine, work_through
from lfr_kernel.runtime import PermanentError, describe

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from numpy.typing import NDArray

    from lfr_kernel.governance.keys.signing import Envelope, Signer
    from lfr_kernel.governance.lists.file import ListFile
    from lfr_kernel.governance.lists.manifest import Exclusions, Manifest, ManifestRow
    from lfr_kernel.governance.rules import LoadedPack
    from lfr_kernel.messages import Picture
    from lfr_kernel.runtime import Lane
    from lfr_kernel.stages.camera import StillCodec
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.quality import Gates

__all__ = ["BuildError", "Draft", "Examiner", "draft_list"]


VET_S = 600.0
"""How long comparing all photographs with each other may take."""


class BuildError(PermanentError, ValueError):
    """A list cannot be built: not for what is in it, but since a model or the disk failed."""


class Examiner(Struct, frozen=True, kw_only=True, eq=False):
    """What photographs are read, examined and packed with."""

    read: Callable[[Path], Picture]
    """Blocks; raises whatever it likes for what it cannot read."""
    stills: StillCodec
    detector: Detector
    embedder: Embedder
    """The mirror image is averaged in."""
    gates: Gates
    """What a photograph must have."""

    @property
    def max_concurrency(self) -> int:
        """How many photographs may be examined at once."""
        return min(self.detector.max_concurrency, self.embedder.max_concurrency)


class _Looked(Struct, frozen=True, kw_only=True, eq=False):
    """A photograph that may be listed. Its portrait lies in the spool."""

    template: NDArray[np.float32]
    portrait: Span
    quality: float
    digest: str
    """Of the file's content."""


class Draft:
    """A list that is not written yet: everything that was taken in, and what is said of each row."""

    def __init__(
        self,
        verdicts: Sequence[Verdict],
        entries: Sequence[Entry],
        looked: Sequence[_Looked],
        templates: NDArray[np.float32],
        spool: Spool,
        *,
        model: str,
        exclusions: str | None,
    ) -> None:
        """Take over templates and spool; `draft_list` makes one."""
        self.verdicts = tuple(verdicts)
        """One a row, in the order of the manifest."""
        self._questions = {one.entry: one.text for one in verdicts if one.state == "questioned"}
        self._listed = {one.entry for one in verdicts if one.state != "rejected"}
        self._entries = entries
        self._looked = looked
        self._templates = templates
        self._spool = spool
        self._model = model
        self._exclusions = exclusions

    def __len__(self) -> int:
        """How many rows would be listed."""
        return len(self._listed)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows got each verdict, by code."""
        return dict(sorted(Counter(one.code for one in self.verdicts).items()))

    @property
    def has_rejections(self) -> bool:
        """Whether somebody must accept that rows are left off."""
        return len(self) < len(self.verdicts)

    def write(
        self,
        path: Path,
        *,
        name: str,
        pack: LoadedPack,
        signer: Signer,
        recipient: X25519PublicKey,
        now: dt.datetime,
        certificate: Envelope | None = None,
    ) -> ListFile:
        """Write the list; whoever calls this has accepted the rejections. Blocks.

        Args:
            path: of the file, in a folder that exists.
            name: of the list.
            pack: whose rules the rows were judged by.
            signer: the builder.
            recipient: the installation's X25519 public key.
            now: when the list is made.
            certificate: see `write_list`.

        Raises:
            RefusedError: nothing is left to list, or more than the pack allows.
        """
        most = pack.pack.rules.max_entries
        if not len(self):
            raise RefusedError("every row was rejected: nothing is left to list; see the verdicts")
        if len(self) > most:
            raise RefusedError(
                f"pack {pack.pack.name} allows {most} entries, got {len(self)}: leave {len(self) - most} of them out"
            )
        facts = ListFacts(
            name=name,
            made=now.replace(microsecond=0),
            model=self._model,
            dimension=self._templates.shape[1],
            pack=pack.pack.name,
            pack_digest=pack.digest,
            exclusions=self._exclusions,
            verdicts=self.counts,
        )
        return write_list(
            path,
            self._rows(),
            total=len(self),
            facts=facts,
            signer=signer,
            recipient=recipient,
            certificate=certificate,
        )

    def _rows(self) -> Iterator[Row]:
        for entry, looked, template in zip(self._entries, self._looked, self._templates, strict=True):
            if entry.entry in self._listed:
                yield Row(
                    about=entry,
                    template=template.astype("<f4").tobytes(),
                    portrait=self._spool.get(looked.portrait),
                    quality=looked.quality,
                    question=self._questions.get(entry.entry, ""),
                )

    def erase(self) -> None:
        """Overwrite the templates and let go of the portraits."""
        self._templates.fill(0)
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.erase()


async def draft_list(
    manifest: Manifest,
    *,
    pack: LoadedPack,
    exclusions: Exclusions | None,
    examiner: Examiner,
    lane: Lane,
    folder: Path,
    now: dt.datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Draft:
    """Judge every row of a manifest, and take in what may be listed. Memory grows by its text and one template a row.

    Args:
        manifest: what to list.
        pack: the rules.
        exclusions: who may not be listed; None: nobody said.
        examiner: reads, examines and packs.
        lane: where the work runs, as many photographs at a time as it has workers.
        folder: where portraits may lie in a temporary file, encrypted: that of the list.
        now: with its offset.
        progress: told (done, all) after each photograph.

    Raises:
        BuildError: detector or embedder failed; the text names the photograph. What only cannot be read is a verdict.
    """
    rules = pack.pack.rules
    judged = [judge_row(row, manifest.path, rules, exclusions, now) for row in manifest.rows]
    verdicts = {one.entry: one for one in judged if isinstance(one, Verdict)}
    candidates = [one for one in judged if isinstance(one, Entry)]
    rows = {row.entry: row for row in manifest.rows}
    matrix = np.zeros((len(candidates), examiner.embedder.dimension), np.float32)
    looked: dict[int, _Looked] = {}
    spool = Spool(folder)
    done = 0

    async def work(number: int) -> None:
        nonlocal done
        entry = candidates[number]
        path = manifest.path.parent / entry.photo
        try:
            found = await lane.run(_look, path, examiner, spool, deadline_s=PHOTO_S, discard=_erase)
        except Exception as error:  # noqa: BLE001  (whatever it was, say which photograph it was)
            raise BuildError(f"photograph {path}: {describe(error)}; nothing was written") from None
        if isinstance(found, _Looked):
            matrix[number] = found.template
            _erase(found)
            looked[number] = found
        else:
            verdicts[entry.entry] = rejection(rows[entry.entry], found[0], found[1])
        done += 1
        progress(done, len(candidates))

    try:
        at_once = min(lane.workers, examiner.max_concurrency)
        await work_through(len(candidates), work, at_once=at_once)
        kept = sorted(looked)
        entries = [candidates[number] for number in kept]
        templates = matrix[kept]
    except BaseException:
        spool.close()
        raise
    finally:
        matrix.fill(0)
    try:
        verdicts |= await lane.run(
            _vetted, templates, entries, [looked[number].digest for number in kept], rows, deadline_s=VET_S
        )
    except BaseException:
        templates.fill(0)
        spool.close()
        raise
    return Draft(
        [verdicts[row.entry] for row in manifest.rows],
        entries,
        [looked[number] for number in kept],
        templates,
        spool,
        model=examiner.embedder.digest,
        exclusions=exclusions.digest if exclusions else None,
    )


def _look(path: Path, examiner: Examiner, spool: Spool) -> _Looked | tuple[str, str]:
    """Take in one photograph, or return why not: a code and a sentence."""
    try:
        if not path.is_file():
            return "unreadable", f"expected a file at {path}, found " + ("none" if not path.exists() else "no file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        picture = examiner.read(path)
    except Exception as error:  # noqa: BLE001  (a reader may raise what it likes)
        return "unreadable", describe(error)
    found = examine(picture, examiner.detector, examiner.embedder, examiner.gates)
    if isinstance(found, Unfit):
        return found.code, found.text
    portrait = spool.put(examiner.stills.encode(found.portrait))
    found.portrait.fill(0)
    return _Looked(template=found.template, portrait=portrait, quality=found.quality, digest=digest)


def _erase(found: _Looked | tuple[str, str]) -> None:
    if isinstance(found, _Looked):
        found.template.fill(0)


def _vetted(
    templates: NDArray[np.float32], entries: Sequence[Entry], digests: Sequence[str], rows: dict[str, ManifestRow]
) -> dict[str, Verdict]:
    """Return the verdict of each photograph that was taken in."""
    names = [f"{one.photo} in line {rows[one.entry].line}" for one in entries]
    vetted = vet(templates, [one.person for one in entries], names, digests)
    verdicts = {}
    for number, entry in enumerate(entries):
        row = rows[entry.entry]
        if number in vetted.rejected:
            verdicts[entry.entry] = rejection(row, *vetted.rejected[number])
        else:
            verdicts[entry.entry] = listing(row, vetted.questioned.get(number))
    return verdicts
