"""A report goes to disk: all of its files beside where they will be, and then into place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lfr_kernel.api import PassingError
from lfr_plugins.lab.evaluation.bluelist_prose import blue_list_prose
from lfr_plugins.lab.evaluation.comparing import written_scores
from lfr_plugins.lab.evaluation.page import page
from lfr_plugins.lab.evaluation.plots import plots
from lfr_plugins.lab.evaluation.prose import prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfr_plugins.lab.evaluation.assembly import Evaluated
    from lfr_plugins.lab.evaluation.bluelist import BlueListReport
    from lfr_plugins.lab.evaluation.report import Report

__all__ = ["encoded", "expect_writeable", "write", "write_blue_list"]


_MAYBE = ("plots/groups_*.svg", "plots/list_size.svg")
"""What an earlier evaluation may have drawn, and this one may not."""


def encoded(report: Report | BlueListReport) -> bytes:
    """Return report.json: the same report gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=2) + b"\n"


def expect_writeable(folder: Path) -> None:
    """Find out before anything is computed whether a report can be written into a folder; leave nothing behind.

    Raises:
        PassingError: it cannot.
    """
    with _told_where(folder):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        tempfile.TemporaryFile(dir=there).close()


def write(evaluated: Evaluated, folder: Path) -> str:
    """Write a report into a folder, in place of an earlier one; what else lies there stays.

    Returns:
        SHA-256 of report.json, hexadecimal: what a profile cites.

    Raises:
        PassingError: it cannot be written; an earlier report is then still there, whole.
    """
    content = encoded(evaluated.report)
    digest = hashlib.sha256(content).hexdigest()
    pictures = plots(evaluated.report)
    text = prose(evaluated.report, digest)
    files: dict[str, bytes] = {
        "report.json": content,
        "report.md": text.encode(),
        "report.html": page(text, pictures, title=f"Evaluation on {evaluated.report.data.name}").encode(),
        "scores.csv": written_scores(evaluated.table).encode(),
        **{f"plots/{name}.svg": picture.encode() for name, picture in pictures.items()},
    }
    _put_all(files, folder, leaving=_MAYBE)
    return digest


def write_blue_list(report: BlueListReport, folder: Path) -> str:
    """Write the report of a blue list, likewise; see `write`."""
    content = encoded(report)
    digest = hashlib.sha256(content).hexdigest()
    text = blue_list_prose(report, digest)
    _put_all(
        {
            "report.json": content,
            "report.md": text.encode(),
            "report.html": page(text, {}, title=f"Blue list of run {report.run}").encode(),
        },
        folder,
    )
    return digest


def _put_all(files: dict[str, bytes], folder: Path, leaving: Sequence[str] = ()) -> None:
    with _told_where(folder):
        _put(files, folder, leaving)


@contextmanager
def _told_where(folder: Path) -> Iterator[None]:
    """Turn what the system says into what to do about it."""
    try:
        yield
    except OSError as error:
        raise PassingError(
            f"the report cannot be written to {folder}: {error.strerror or error}; free some space, or name another "
            "folder with --out"
        ) from error


def _put(files: dict[str, bytes], folder: Path, leaving: Sequence[str]) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    inside = Path(tempfile.mkdtemp(prefix=".evaluation-", dir=folder))
    try:
        new, earlier = inside / "new", inside / "earlier"
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (earlier / name).parent.mkdir(parents=True, exist_ok=True)
            with (new / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        old = [path.relative_to(folder).as_posix() for pattern in leaving for path in folder.glob(pattern)]
        _exchange([*files, *(name for name in old if name not in files)], new, folder, earlier)
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _exchange(names: Sequence[str], new: Path, folder: Path, earlier: Path) -> None:
    """Move files out of the folder, and new ones in; all of them, or none."""
    done: list[tuple[Path, Path]] = []
    try:
        for name in names:
            for source, place in ((folder / name, earlier / name), (new / name, folder / name)):
                if source.exists():
                    os.replace(source, place)  # noqa: PTH105  (pathlib's replace says less)
                    done.append((source, place))
    except BaseException:
        for source, place in reversed(done):
            place.rename(source)
        raise
