"""`lfr-kernel org`: the organisation's root key, and what is signed with it, on a machine that is kept offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.asking import FILE, passphrase_of, passphrase_option
from lfr_kernel.governance.instant import read_clocks
from lfr_kernel.governance.keys.envelopes import read_envelope, write_envelope
from lfr_kernel.governance.people.organisation import KEY_FILE, PUBLIC_FILE, Root, new_organisation, unlock_root
from lfr_kernel.governance.people.packs import read_pack
from lfr_kernel.governance.people.roster import read_roster
from lfr_kernel.governance.people.statements import moment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["org"]

EPILOG = """\b
Example:
  lfr-kernel org init --name "Example Police" --out /media/root
  lfr-kernel org roster roster.toml --root /media/root/organisation.key --out roster.json
  lfr-kernel org packs uk-met --root /media/root/organisation.key --out packs.json
  lfr-kernel org certify request.json --root /media/root/organisation.key --out certificate.json"""
ROSTER_EPILOG = """\b
number = 7                       # rises with each roster
[[people]]
name = "ada"
file = "ada.pub"                 # from `person new`; or signing = "…" and sealing = "…"
roles = ["authoriser"]
expires = 2030-12-31T23:59:59Z
# revoked = 2030-01-31T12:00:00Z"""


@click.group(short_help="Sign rosters, rule packs and installations, offline.", epilog=EPILOG)
def org() -> None:
    """Make the organisation's root key, and sign with it who acts, by which rules, and where.

    Whoever holds the root key decides who may do what at every installation of the organisation. Do all of this on a
    machine that no network reaches, and carry nothing but the signed files away from it.
    """


def _unlock(root: Path, passphrase_file: Path | None) -> Root:
    return unlock_root(root, passphrase_of(f"the root key {root}", passphrase_file))


def _say(*parts: str | tuple[str, str]) -> None:
    Console(highlight=False).print(Text.assemble(*parts), soft_wrap=True)


@org.command(short_help="Make the root key.")
@click.option("--name", required=True, help="Name of the organisation.")
@click.option("--out", "folder", type=FILE, required=True, help="Folder for organisation.key and organisation.pub.")
@passphrase_option
def init(name: str, folder: Path, passphrase_file: Path | None) -> None:
    """Make an organisation's root key, sealed under a passphrase, and its public part beside it.

    Nothing is overwritten. Without the key, or without its passphrase, no roster can be signed again: keep a copy of
    the file, and the passphrase apart from both.
    """
    made = new_organisation(name, folder, passphrase_of("the root key", passphrase_file, is_new=True))
    _say(("made ", "dim"), str(folder / KEY_FILE), (", to be kept offline, and ", "dim"), str(folder / PUBLIC_FILE))
    _say(f"the root key of {made.name} is {made.key}\n", ("read it out to whoever founds an installation", "dim"))


@org.command(short_help="Sign who may act.", epilog=ROSTER_EPILOG)
@click.argument("file", metavar="ROSTER.toml", type=FILE)
@click.option("--root", type=FILE, required=True, help="organisation.key")
@click.option("--out", type=FILE, required=True, help="The signed roster; the one before may lie there.")
@passphrase_option
def roster(file: Path, root: Path, out: Path, passphrase_file: Path | None) -> None:
    """Sign a roster: who may act, with which keys, in which roles, and until when."""
    found = read_roster(file, moment(read_clocks().utc_ns))
    write_envelope(out, _unlock(root, passphrase_file).sign_roster(found, out))
    _say(("signed ", "dim"), f"roster {found.number}, {len(found.people)} people", (" as ", "dim"), str(out))


@org.command(short_help="Sign which rule packs count.")
@click.argument("references", metavar="PACK...", nargs=-1, required=True)
@click.option("--root", type=FILE, required=True, help="organisation.key")
@click.option("--out", type=FILE, required=True, help="The signed digests.")
@passphrase_option
def packs(references: tuple[str, ...], root: Path, out: Path, passphrase_file: Path | None) -> None:
    """Sign the digests of rule packs: built-in ones by name, others by file.

    What the packs say of people (roles that one person may not combine, idle minutes, hours of a session) is signed
    with them. Where several say something, the strictest counts. A template that nobody has completed is refused.
    """
    found = [read_pack(one) for one in references]
    write_envelope(out, _unlock(root, passphrase_file).sign_packs(found, moment(read_clocks().utc_ns)))
    for one in found:
        _say(("signed ", "dim"), f"{one.name} {one.digest}")
    _say(("as ", "dim"), str(out))


@org.command(short_help="Certify an installation.")
@click.argument("request", metavar="REQUEST.json", type=FILE)
@click.option("--root", type=FILE, required=True, help="organisation.key")
@click.option("--out", type=FILE, required=True, help="The certificate.")
@passphrase_option
def certify(request: Path, root: Path, out: Path, passphrase_file: Path | None) -> None:
    """Certify the keys of an installation, as `installation new` wrote them into request.json.

    Compare the key that this prints with the one that `installation new` printed there: the request proves that
    somebody holds that key, and not who.
    """
    asked = read_envelope(request)
    key = _unlock(root, passphrase_file)
    envelope = key.certify(asked, moment(read_clocks().utc_ns))
    write_envelope(out, envelope)
    made = key.organisation.certificate(envelope)
    _say(("certified ", "dim"), f"{made.name}, {made.installation}, key {made.signing}", (" as ", "dim"), str(out))
