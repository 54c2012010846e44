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
from lfr_kernel.governance.record.notice import notice_of, sign_of
from lfr_kernel.governance.record.page import Document
from lfr_kernel.governance.record.poster import SIGN_FORMATS
from lfr_kernel.governance.record.rendering import FORMATS
from lfr_kernel.planning import pack_of, vault_of
from lfr_kernel.profile import load_profile

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.alerts.handling import Handling
    from lfr_kernel.governance.authority import Authority
    from lfr_kernel.governance.record.notice import Sign

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
    handling: Handling | None
    ends: dt.datetime | None = None
    serial: int | None = None
    """None: nobody has signed it yet."""


@click.command(short_help="What the public is told: a notice, or a sign.", epilog=EPILOG)
@click.argument("document", metavar="[AUTHORITY.toml]", type=FILE, required=False)
@click.option(
    "--profile", "path", type=FILE, help="For a draft: what is to run. It names the rule pack, whose words are used."
)
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
    if serial is not None and (organisation is not None or path is not None):
        raise click.UsageError(
            "expected no --organisation or --profile with --deployment: whose it is and by which rules stands in what "
            "was signed, and nothing else is told"
        )
    if as_sign and kind not in SIGN_FORMATS:
        raise click.UsageError(f"a sign comes as {', '.join(SIGN_FORMATS)}, and not as {kind}")
    expect_place(kind, out)
    if document is not None:
        told = _drafted(ctx, document, path, organisation, folder)
    elif folder is not None and serial is not None:
        told = _signed(folder, serial)
    else:
        raise click.UsageError("--deployment is one of a vault: give --vault FOLDER")
    _put(_sign(told) if as_sign else _notice(told), kind, out)


def _drafted(
    ctx: click.Context, document: Path, path: Path | None, organisation: str | None, folder: Path | None
) -> _Told:
    profile = None if path is None else load_profile(path, registry_of(ctx))[0]
    name = organisation or _organisation(folder if profile is None else vault_of(profile))
    handling = None if profile is None else handling_of(pack_of(profile).pack.rules)
    return _Told(authority=load_authority(document).authority, organisation=name, handling=handling)


def _organisation(folder: Path | None) -> str:
    if folder is None or not folder.is_dir():
        raise click.UsageError("nothing says whose deployment it is: give --organisation NAME, or --vault FOLDER")
    with opened_vault(folder) as vault:
        return vault.organisation.name


def _signed(folder: Path, serial: int) -> _Told:
    with opened_vault(folder) as vault:
        one = find(vault.database, serial)
        signed, authority = one.authorisation, document_of(vault, one)
        name = vault.organisation.name
    ends = (EPOCH + dt.timedelta(microseconds=one.term.ends_ns // 1_000)).astimezone(authority.ends.tzinfo)
    return _Told(authority=authority, organisation=name, handling=signed.handling, ends=ends, serial=serial)


def _notice(told: _Told) -> Document:
    page = notice_of(
        told.authority,
        told.organisation,
        handling=told.handling,
        ends=told.ends,
        serial=told.serial,
    )
    return structs.replace(page, warning=DRAFT) if told.serial is None else page


def _sign(told: _Told) -> Sign:
    marks = (DRAFT_MARK if told.serial is None else "", "" if told.handling is None else told.handling.mark)
    mark = ". ".join(part for part in marks if part)
    return sign_of(told.authority, told.organisation, mark=mark, ends=told.ends)


def _put(page: Document | Sign, kind: str, out: Path | None) -> None:
    if isinstance(page, Document):
        put_document(page, kind, out)
    else:
        put(SIGN_FORMATS[kind](page), out)
