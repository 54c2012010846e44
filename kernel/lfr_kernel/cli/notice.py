"""`lfr-kernel notice`: what the public is told of a deployment, as a page or as a sign."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click
from msgspec import Struct, structs

from lfr_kernel.cli.asking import FILE, opened_vault
from lfr_kernel.cli.paging import expect_place, put, put_document
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.governance.alerts.handling import handling_of
from lfr_kernel.governance.authority import load_authority
from lfr_kernel.governance.deployment.register import document_of, find
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.record.notice import notice_of, sign_of
from lfr_kernel.governance.record.page import Document
from lfr_kernel.governance.record.poster import SIGN_FORMATS
from lfr_kernel.governance.record.rendering import FORMATS
from lfr_kernel.governance.rules import built_in_packs, load_pack
from lfr_kernel.planning import pack_of, vault_of
from lfr_kernel.profile import load_profile

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.authority import Authority
    from lfr_kernel.governance.record.notice import Sign
    from lfr_kernel.governance.rules import LoadedPack

__all__ = ["notice"]

DRAFT = "DRAFT: made from a document that nobody has signed yet. No deployment may run under it."
DRAFT_MARK = "DRAFT: not signed"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPILOG = """\b
Example:
  lfr-kernel notice authority.toml --profile van.toml                    a draft, to read
  lfr-kernel notice --deployment 14 --vault /var/lib/lfr --format html --out notice.html
  lfr-kernel notice --deployment 14 --vault /var/lib/lfr --sign --format pdf --out sign.pdf"""


class _Told(Struct, frozen=True, kw_only=True):
    """What a notice is made of."""

    authority: Authority
    organisation: str
    titles: dict[str, str]
    handling: Handling | None
    mark: str
    is_signed: bool
    ends: dt.datetime | None = None
    serial: int | None = None


@click.command(short_help="What the public is told: a notice, or a sign.", epilog=EPILOG)
@click.argument("document", metavar="[AUTHORITY.toml]", type=FILE, required=False)
@click.option("--profile", "path", type=FILE, help="What is to run: it names the rule pack, whose words are used.")
@click.option(
    "--deployment", "serial", type=click.IntRange(min=1), metavar="N", help="Of this deployment of the vault."
)
@click.option("--vault", "folder", type=FILE, envvar="LFR_VAULT", show_envvar=True, help="Folder of the vault.")
@click.option("--organisation", metavar="NAME", help="Whose deployment it is; the vault knows, where there is one.")
@click.option(
    "--sign", "as_sign", is_flag=True, help="A large sign for the place, A3 landscape, instead of the notice."
)
@click.option(
    "--format", "kind", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="A sign has the "
    "formats text, html and pdf.",
)  # fmt: skip
@click.option("--out", type=FILE, help="Write it to this file.")
@click.pass_context
def notice(  # noqa: PLR0917  (click hands them in by name)
    ctx: click.Context,
    document: Path | None,
    path: Path | None,
    serial: int | None,
    folder: Path | None,
    organisation: str | None,
    kind: str,
    out: Path | None,
    *,
    as_sign: bool,
) -> None:
    """Write what the public is told of a deployment: who, where, when, why, on what grounds, and where to complain.

    It is made from the authority that was signed (--deployment), or as a draft from a document that is to be
    (AUTHORITY.toml). Nothing in it is written by hand beside the authority, so it cannot say anything else.
    """
    if (document is None) == (serial is None):
        raise click.UsageError("expected either AUTHORITY.toml or --deployment N")
    if serial is not None and organisation is not None:
        raise click.UsageError(
            "expected no --organisation with --deployment: whose it is stands in what was signed, and nothing else is "
            "told"
        )
    if as_sign and kind not in SIGN_FORMATS:
        raise click.UsageError(f"a sign comes as {', '.join(SIGN_FORMATS)}, and not as {kind}")
    expect_place(kind, out)
    pack = _pack(ctx, path)
    if document is not None:
        told = _drafted(document, pack, _organisation(ctx, organisation, path, folder))
    elif folder is not None and serial is not None:
        told = _signed(folder, serial, pack, organisation)
    else:
        raise click.UsageError("--deployment is one of a vault: give --vault FOLDER")
    _put(_sign(told) if as_sign else _notice(told), kind, out)


def _pack(ctx: click.Context, path: Path | None) -> LoadedPack | None:
    if path is None:
        return None
    registry = registry_of(ctx)
    profile, _ = load_profile(path, registry)
    return pack_of(profile)


def _organisation(ctx: click.Context, given: str | None, path: Path | None, folder: Path | None) -> str:
    if given is not None:
        return given
    if path is not None:
        registry = registry_of(ctx)
        folder = vault_of(load_profile(path, registry)[0])
    if folder is None or not folder.is_dir():
        raise click.UsageError("nothing says whose deployment it is: give --organisation NAME, or --vault FOLDER")
    with opened_vault(folder) as vault:
        return vault.organisation.name


def _drafted(path: Path, pack: LoadedPack | None, organisation: str) -> _Told:
    return _Told(
        authority=load_authority(path).authority,
        organisation=organisation,
        titles=_titles(pack),
        handling=None if pack is None else handling_of(pack.pack.rules),
        mark="" if pack is None else pack.pack.rules.mark,
        is_signed=False,
    )


def _signed(folder: Path, serial: int, pack: LoadedPack | None, organisation: str | None) -> _Told:
    with opened_vault(folder) as vault:
        one = find(vault.database, serial)
        signed, authority = one.authorisation, document_of(vault, one)
        name = organisation or vault.organisation.name
    known = pack or _built_in(signed.pack)
    if known is None or known.digest != signed.pack_digest:
        raise RefusedError(
            f"deployment {serial} runs under pack {signed.pack}, SHA-256 {signed.pack_digest}, whose words a notice "
            "needs: give --profile, with a profile that names this very pack"
        )
    ends = (EPOCH + dt.timedelta(microseconds=one.term.ends_ns // 1_000)).astimezone(authority.ends.tzinfo)
    return _Told(
        authority=authority,
        organisation=name,
        titles=_titles(known),
        handling=signed.handling,
        mark=known.pack.rules.mark,
        is_signed=True,
        ends=ends,
        serial=serial,
    )


def _built_in(name: str) -> LoadedPack | None:
    return load_pack(name) if name in built_in_packs() else None


def _titles(pack: LoadedPack | None) -> dict[str, str]:
    if pack is None:
        return {}
    rules = pack.pack.rules
    return {one.code: one.title for one in rules.categories} | {one.code: one.title for one in rules.legal_bases}


def _notice(told: _Told) -> Document:
    page = notice_of(
        told.authority,
        told.organisation,
        titles=told.titles,
        handling=told.handling,
        mark=told.mark,
        ends=told.ends,
        serial=told.serial,
    )
    return page if told.is_signed else structs.replace(page, warning=DRAFT)


def _sign(told: _Told) -> Sign:
    mark = told.mark if told.is_signed else ". ".join(part for part in (DRAFT_MARK, told.mark) if part)
    return sign_of(told.authority, told.organisation, mark=mark, ends=told.ends)


def _put(page: Document | Sign, kind: str, out: Path | None) -> None:
    if isinstance(page, Document):
        put_document(page, kind, out)
    else:
        put(SIGN_FORMATS[kind](page), out)
