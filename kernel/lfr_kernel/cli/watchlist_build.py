"""`lfr-kernel watchlist build`: a manifest becomes a sealed list."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault
from lfr_kernel.cli.printing import print_json
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.cli.watchlist_screen import verdicts_csv, verdicts_table
from lfr_kernel.enrolment import read_photograph
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.lists.acts import build_list, expect_signed_pack
from lfr_kernel.governance.lists.build import Examiner, draft_list
from lfr_kernel.governance.lists.manifest import read_exclusions, read_manifest
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.governance.people.statements import moment
from lfr_kernel.governance.rules import verify_runnable
from lfr_kernel.memory import limit_arenas
from lfr_kernel.planning import pack_of, vault_of
from lfr_kernel.profile import load_profile
from lfr_kernel.runtime import SystemClock, ThreadLane
from lfr_kernel.session import cores

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from lfr_kernel.governance.lists.build import Draft
    from lfr_kernel.governance.lists.file import ListFile
    from lfr_kernel.governance.lists.manifest import Exclusions, Manifest
    from lfr_kernel.governance.rules import LoadedPack
    from lfr_kernel.plugins import CameraPlugin, Registry
    from lfr_kernel.profile import Profile

__all__ = ["build"]


@click.command(short_help="Make a sealed list of a manifest.")
@click.argument("manifest", type=FILE)
@click.option("--out", type=FILE, required=True, help="Where the list goes; never over another file.")
@click.option(
    "--profile",
    "profile_path",
    type=FILE,
    required=True,
    help="The profile that will run it: it names vault and pack, and its models and gates make the templates.",
)
@click.option("--name", "list_name", help="What the list is called, in clear; without it, as the file.")
@click.option("--exclude", type=FILE, help="CSV of person and reason: who may not be listed, applied first.")
@click.option("--verdicts", type=FILE, help="Write the verdict of every row to this CSV.")
@click.option("--accept-rejections", is_flag=True, help="Write the list although rows were rejected; ask nobody.")
@json_option
@as_option
@click.pass_context
def build(  # noqa: PLR0917  (click hands them in by name)
    ctx: click.Context,
    manifest: Path,
    out: Path,
    profile_path: Path,
    list_name: str | None,
    exclude: Path | None,
    verdicts: Path | None,
    name: str | None,
    *,
    accept_rejections: bool,
    as_json: bool,
) -> None:
    """Read a manifest and its photographs, say what becomes of each row, and write a sealed, signed list.

    Each row gets a verdict. If some are rejected nothing is written unless somebody accepts that: at the prompt, or
    with --accept-rejections. Manifest, verdicts and photographs are as sensitive as the list, and not encrypted: keep
    them where the pack's rules say, or destroy them.

    Exit code 1: nothing was written, since rows were rejected and nobody accepted it.
    """
    registry = registry_of(ctx)
    profile, _ = load_profile(profile_path, registry)
    pack = pack_of(profile)
    verify_runnable(pack)
    limit_arenas()
    with opened_vault(vault_of(profile)) as vault, ExitStack() as stack:
        signer = open_session(vault, name)
        # All that can be refused is refused before the photographs are looked at.
        vault.may("list_built", signer)
        expect_signed_pack(vault, pack)
        if out.exists():
            raise RefusedError(f"{out} is there already: a list is never overwritten; choose another name")
        read = read_manifest(manifest)
        exclusions = None if exclude is None else read_exclusions(exclude)
        draft = stack.enter_context(
            _draft(registry, profile, read, exclusions, pack, out.parent, moment(vault.clocks().utc_ns))
        )
        if verdicts is not None:
            write_whole(verdicts, verdicts_csv(draft.verdicts).encode())
        console = Console(stderr=True, highlight=False)
        console.print(verdicts_table(draft.verdicts, draft.counts))
        if draft.has_rejections and not accept_rejections and not _accepted(draft):
            console.print(
                Text("nothing was written: mend the manifest, or accept that these rows are left off", "yellow"),
                soft_wrap=True,
            )
            if as_json:
                _print_json(draft, None)
            ctx.exit(1)
        made = build_list(vault, signer, draft, out, name=list_name or out.stem, pack=pack)
        if as_json:
            _print_json(draft, made)
        else:
            console.print(
                Text(f"list {made.header.id} is in {out}: rows {len(made)}, root {made.header.root}"), soft_wrap=True
            )


def _accepted(draft: Draft) -> bool:
    if not sys.stdin.isatty():
        return False
    left_off = len(draft.verdicts) - len(draft)
    return click.confirm(f"Leave {left_off} rows off and write the list of {len(draft)}?", err=True)


def _print_json(draft: Draft, made: ListFile | None) -> None:
    told = [one for one in draft.verdicts if one.state != "accepted"]
    found = {
        "list": None if made is None else made.header.id,
        "root": None if made is None else made.header.root,
        "file": None if made is None else str(made.path),
        "rows": len(draft),
        "counts": draft.counts,
        "verdicts": told,
    }
    print_json(found)


def _draft(  # noqa: PLR0917  (one of each)
    registry: Registry,
    profile: Profile,
    manifest: Manifest,
    exclusions: Exclusions | None,
    pack: LoadedPack,
    folder: Path,
    now: dt.datetime,
) -> Draft:
    """Make the models of the profile, and a draft with them; show how far it is where there is a terminal."""
    reader: CameraPlugin = registry.get("camera", profile.watchlist.reader)
    if reader.stills is None:
        raise RefusedError(
            f"camera plugin {reader.name!r}, the profile's reader of photographs, cannot pack portraits: expected one "
            "that offers `stills`, such as 'images'; see [watchlist] reader"
        )
    if not folder.is_dir():
        raise RefusedError(f"folder {folder} does not exist: the list cannot be written there")
    with ExitStack() as stack:
        detector: Any = registry.get("detector", profile.detector.plugin).create(profile.detector.options)
        stack.enter_context(closing(detector))
        embedder: Any = registry.get("embedder", profile.embedder.plugin).create(profile.embedder.options)
        stack.enter_context(closing(embedder))
        workers = profile.runtime.compute_threads or cores()
        lane = stack.enter_context(closing(ThreadLane("compute", clock=SystemClock(), workers=workers)))
        bar = stack.enter_context(
            Progress(
                TextColumn("photographs"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                disable=not sys.stderr.isatty(),
            )
        )
        task = bar.add_task("photographs", total=len(manifest.rows))
        examiner = Examiner(
            read=partial(read_photograph, reader=reader),
            stills=reader.stills(),
            detector=detector,
            embedder=embedder,
            gates=profile.watchlist.gates,
        )
        return anyio.run(
            partial(
                draft_list,
                manifest,
                pack=pack,
                exclusions=exclusions,
                examiner=examiner,
                lane=lane,
                folder=folder,
                now=now,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        )
