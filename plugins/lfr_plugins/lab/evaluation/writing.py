"""A report goes to disk: all of its files beside where they will be, and then into place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
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
    from lfr_plugins.lab.evaluation.assembly import Evaluated
    from lfr_plugins.lab.evaluation.bluelist import BlueListReport
    from lfr_plugins.lab.evaluation.report import Report

__all__ = ["encoded", "write", "write_blue_list"]


def encoded(report: Report | BlueListReport) -> bytes:
    """Return report.json: the same report gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=2) + b"\n"


def write(evaluated: Evaluated, folder: Path) -> str:
    """Write a report into a folder, in place of an earlier one.

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
    _put_all(files, folder)
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


def _put_all(files: dict[str, bytes], folder: Path) -> None:
    try:
        _put(files, folder)
    except OSError as error:
        raise PassingError(
            f"the report cannot be written to {folder}: {error.strerror or error}; free some space, or name another "
            "folder with --out"
        ) from error


def _put(files: dict[str, bytes], folder: Path) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".evaluation-", dir=folder.parent))
    try:
        for name, content in files.items():
            path = beside / name
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in files:
            os.replace(beside / name, folder / name)  # noqa: PTH105  (pathlib's replace says less)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
