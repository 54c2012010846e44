"""`lfr-kernel alerts`: look at what was proposed, decide on it, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.alert_screen import alert_table, alert_view
from lfr_kernel.cli.alert_steps import alert_argument, assess, choice, engage, facts_of, outcome, reason_option
from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.steps import look, resume
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.alerts.vocabulary import Reason
from lfr_kernel.governance.deployment.register import find
from lfr_kernel.governance.people.sessions import open_session

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.governance.alerts.statements import Pictures

__all__ = ["alerts"]

SEALED = ".sealed"

EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr LFR_AS=dee
  lfr-kernel alerts list
  lfr-kernel alerts show 3f9a --reason assess
  lfr-kernel alerts assess 3f9a --engage
  lfr-kernel alerts engage 3f9a --power pace-24 --force none --minutes 4 \\
      --not-searched --explained --complaint-route
  lfr-kernel alerts outcome 3f9a --outcome arrest --arrests 1 --truth true --proof document --grounds valid"""


@click.group(short_help="Look at alerts, decide on them, say what came of them.", epilog=EPILOG)
def alerts() -> None:
    """Look at what was proposed, decide on it, and say what came of it.

    An alert is a proposal. Somebody looks at both pictures, and dismisses it or decides to engage; if they engage, they
    say how, and what came of it; and of every alert, if it becomes known, whether it was the right person. Each step is
    signed, none is ever undone: a mistake is corrected by a further one. ALERT is an id, or the beginning of one.
    """


for step in (assess, engage, outcome):
    alerts.add_command(step)


@alerts.command("list", short_help="The alerts there are, the newest first.")
@vault_option
@click.option("--deployment", "serial", type=click.IntRange(min=1), help="Of this deployment only.")
@click.option("--state", "states", type=choice(State), multiple=True, help="In this state only; may be repeated.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=40, show_default=True, metavar="N", help="How many at most."
)
@click.option("--all", "is_all", is_flag=True, help="All of them.")
@json_option
def list_(
    folder: Path, serial: int | None, states: tuple[str, ...], limit: int, *, is_all: bool, as_json: bool
) -> None:
    """List alerts: ids, times and states, and nothing of whom they are about."""
    most = None if is_all else limit
    with opened_vault(folder) as vault:
        if serial is not None:
            find(vault.database, serial)  # refuses one that there never was
        chosen = [State(one) for one in states]
        found = listed(vault.database, deployment=serial, states=chosen, limit=None if most is None else most + 1)
        now_ns = vault.clocks().utc_ns
    shown = found[:most]
    if as_json:
        print_json([facts_of(one, now_ns) for one in shown])
        return
    console = Console(highlight=False)
    if not found:
        console.print("there are no such alerts" if serial or states else "there are no alerts")
        return
    console.print(alert_table(shown, now_ns), soft_wrap=True)
    if len(found) > len(shown):
        console.print(Text(f"the newest {len(shown)}; there are more: --limit N, --all, --state open", "dim"))


@alerts.command(short_help="Both pictures, side by side, and what is known.")
@alert_argument
@reason_option
@as_option
@vault_option
@click.option("--pictures", "with_pictures", is_flag=True, help="With --json: the pictures as well, in base64.")
@json_option
@click.pass_context
def show(
    ctx: click.Context,
    alert: str,
    reason: str,
    name: str | None,
    folder: Path,
    *,
    with_pictures: bool,
    as_json: bool,
) -> None:
    """Show an alert: both pictures, the similarity on its scale, who it may be, and what was decided.

    That you look, and why, is written into the audit first. While two people assess it, neither sees whether the other
    has, and how.
    """
    with opened_vault(folder) as vault:
        signer = open_session(vault, name)
        # What a program is not given, nobody has seen.
        seen = with_pictures or not as_json
        opened = look(vault, alert, signer, reason=Reason(reason), with_pictures=seen)
        now_ns = vault.clocks().utc_ns
    if as_json:
        facts = {
            **facts_of(opened.kept, now_ns),
            "proposal": opened.proposal,
            "steps": opened.steps,
            "has_disagreed": opened.case.has_disagreed,
            "pictures": opened.pictures if with_pictures else opened.pictures is not None,
        }
        print_json(facts)
        return
    console = Console(highlight=False)
    console.print(alert_view(console, opened, _unpacked(ctx, opened.pictures), now_ns))


def _unpacked(
    ctx: click.Context, pictures: Pictures | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None] | None:
    if pictures is None:
        return None
    reader = registry_of(ctx).get("camera", pictures.reader)
    if reader.stills is None:
        raise click.ClickException(
            f"camera plugin {pictures.reader!r} packed these pictures and cannot unpack them any more: install the "
            "version that packed them"
        )
    stills = reader.stills()
    return stills.decode(pictures.probe), None if pictures.listed is None else stills.decode(pictures.listed)


@alerts.command(short_help="Hand an alert on, sealed to its recipient.")
@alert_argument
@click.option("--to", "recipient", type=FILE, required=True, help="Public key of the recipient, NAME.pub.")
@click.option("--out", type=FILE, required=True, help="The file, such as case-17.json.sealed.")
@reason_option
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@as_option
@vault_option
@json_option
def export(  # noqa: PLR0917  (click hands them in by name)
    alert: str,
    recipient: Path,
    out: Path,
    reason: str,
    text: str | None,
    name: str | None,
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Hand an alert with its pictures and every step on to a case system, before it expires here.

    Only the recipient can open the file (lfr-kernel recipient open). Who gave what to whom, and why, goes into the
    audit.
    """
    # Whoever looks at alerts does not wait for what hands one on.
    from lfr_kernel.governance.alerts.exporting import export as export_alert  # noqa: PLC0415
    from lfr_kernel.governance.people.recipients import read_recipient  # noqa: PLC0415

    if not out.name.endswith(SEALED) or out.name == SEALED:
        raise click.BadParameter(
            f"expected a name that ends in {SEALED}, which `recipient open` takes off again, got {str(out)!r}",
            param_hint="--out",
        )
    to = read_recipient(recipient)
    with opened_vault(folder) as vault:
        signer = open_session(vault, name)
        kept = export_alert(vault, alert, signer, to, out, reason=Reason(reason), text=text)
    if as_json:
        print_json({"alert": kept.id, "recipient": to.name, "file": str(out)})
        return
    Console(highlight=False).print(
        Text(f"alert {kept.id} is sealed to {printable(to.name)}: {printable(str(out))}"), soft_wrap=True
    )


@alerts.command("resume", short_help="Let alerts out again that the stop rule has suspended.")
@click.argument("serial", type=click.IntRange(min=1))
@click.option(
    "--reason",
    type=click.Choice(["cause-removed", "evidence-reviewed", "recorded-by-mistake"]),
    required=True,
    help="Why, as a code; it goes into the audit.",
)
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@as_option
@vault_option
def resume_(serial: int, reason: str, text: str | None, name: str | None, folder: Path) -> None:
    """Let alerts of deployment SERIAL out again: an act of an authoriser or of data protection.

    The next false alert suspends them again, as long as there are more than the pack allows.
    """
    with opened_vault(folder) as vault:
        resume(vault, open_session(vault, name), serial, reason=reason, text=text)
    Console(highlight=False).print(Text(f"alerts of deployment {serial} are let out again"))
