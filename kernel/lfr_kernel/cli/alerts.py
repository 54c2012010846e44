"""`lfr-kernel alerts`: look at what was proposed, decide on it, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.alert_screen import STYLES, alert_table, alert_view
from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.governance.alerts.exporting import export as export_alert
from lfr_kernel.governance.alerts.statements import Closed, Described, Engaged
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.alerts.steps import assess as assess_alert
from lfr_kernel.governance.alerts.steps import close, look, resume
from lfr_kernel.governance.alerts.steps import engage as engage_alert
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.alerts.vocabulary import (
    Cause,
    Force,
    Grounds,
    Known,
    Outcome,
    Proof,
    Reason,
    Truth,
    Verdict,
)
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.people.recipients import read_recipient
from lfr_kernel.governance.people.sessions import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lfr_kernel.governance.alerts.statements import Pictures
    from lfr_kernel.governance.alerts.store import Kept
    from lfr_kernel.governance.vault import Vault

__all__ = ["alerts"]

F = TypeVar("F", bound="Callable[..., Any]")
NOT_RECORDED = "not-recorded"
EPILOG = """\b
Example:
  export LFR_VAULT=/var/lib/lfr LFR_AS=dee
  lfr-kernel alerts list
  lfr-kernel alerts show 3f9a --reason assess
  lfr-kernel alerts assess 3f9a --engage
  lfr-kernel alerts engage 3f9a --power pace-24 --force none --minutes 4 --explained --complaint-route
  lfr-kernel alerts outcome 3f9a --outcome arrest --arrests 1 --truth true --proof document --grounds valid"""


def _choice(words: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([str(one) for one in words])


def _alert_argument(function: F) -> F:
    return click.argument("alert", metavar="ALERT")(function)


def _reason_option(function: F) -> F:
    return click.option(
        "--reason", type=_choice(Reason), required=True, help="Why, as a code; it goes into the audit."
    )(function)


def _text_option(function: F) -> F:
    return click.option("--text", default="", help="In your own words; kept encrypted, and gone with the alert.")(
        function
    )


def _correct_option(function: F) -> F:
    return click.option(
        "--correct", "is_correction", is_flag=True, help="Put what was said before right; both are kept."
    )(function)


@click.group(short_help="Look at alerts, decide on them, say what came of them.", epilog=EPILOG)
def alerts() -> None:
    """Look at what was proposed, decide on it, and say what came of it.

    An alert is a proposal. Somebody looks at both pictures, and dismisses it or decides to engage; if they engage, they
    say how, and what came of it; and of every alert, if it becomes known, whether it was the right person. Each step is
    signed, none is ever undone: a mistake is corrected by a further one. ALERT is an id, or the beginning of one.
    """


@alerts.command("list", short_help="The alerts there are, the newest first.")
@vault_option
@click.option("--deployment", "serial", type=click.IntRange(min=1), help="Of this deployment only.")
@click.option("--state", "states", type=_choice(State), multiple=True, help="In this state only; may be repeated.")
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
        chosen = [State(one) for one in states]
        found = listed(vault.database, deployment=serial, states=chosen, limit=None if most is None else most + 1)
        now_ns = vault.clocks().utc_ns
    shown = found[:most]
    if as_json:
        print_json([_facts(one, now_ns) for one in shown])
        return
    console = Console(highlight=False)
    if not found:
        console.print("there are no such alerts" if serial or states else "there are no alerts")
        return
    console.print(alert_table(shown, now_ns))
    if len(found) > len(shown):
        console.print(Text(f"the newest {len(shown)}; there are more: --limit N, --all, --state open", "dim"))


@alerts.command(short_help="Both pictures, side by side, and what is known.")
@_alert_argument
@_reason_option
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
        opened = look(vault, alert, open_session(vault, name), reason=Reason(reason))
        now_ns = vault.clocks().utc_ns
    if as_json:
        facts = {
            **_facts(opened.kept, now_ns),
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


@alerts.command(short_help="Dismiss an alert, or decide to engage.")
@_alert_argument
@click.option("--dismiss", "verdict", flag_value="dismiss", help="It is to lead to nothing.")
@click.option("--engage", "verdict", flag_value="engage", help="Somebody is to be spoken to.")
@_text_option
@_correct_option
@as_option
@vault_option
@json_option
def assess(
    alert: str, verdict: str | None, text: str, name: str | None, folder: Path, *, is_correction: bool, as_json: bool
) -> None:
    """Say what you make of an alert that you have looked at.

    Dismissed does not mean false: whether it was the right person is said with `outcome`. Where two people assess, each
    does so without seeing the other, and the pack says what holds if they disagree.
    """
    if verdict is None:
        raise click.UsageError("expected --dismiss or --engage")
    with opened_vault(folder) as vault:
        kept = assess_alert(
            vault, alert, open_session(vault, name), Verdict(verdict), text=text, is_correction=is_correction
        )
        _say(vault, kept, as_json=as_json)


@alerts.command(short_help="Record that somebody was engaged, and how.")
@_alert_argument
@click.option("--power", required=True, help="Under which power: a code of the pack; `none` where none was used.")
@click.option("--force", type=_choice(Force), required=True, help="Force that was used.")
@click.option("--minutes", type=click.FloatRange(0, 2880), required=True, help="How long they were held up.")
@click.option("--searched/--not-searched", default=False, show_default=True, help="Whether they were searched.")
@click.option("--explained/--not-explained", required=True, help="Whether they were told why.")
@click.option("--complaint-route/--no-complaint-route", required=True, help="Whether they were told where to complain.")
@_text_option
@_correct_option
@as_option
@vault_option
@json_option
def engage(  # noqa: PLR0917  (click hands them in by name)
    alert: str,
    power: str,
    force: str,
    minutes: float,
    text: str,
    name: str | None,
    folder: Path,
    *,
    searched: bool,
    explained: bool,
    complaint_route: bool,
    is_correction: bool,
    as_json: bool,
) -> None:
    """Record an engagement that somebody had decided on."""
    body = Engaged(
        power=power,
        searched=searched,
        force=Force(force),
        minutes=minutes,
        explained=explained,
        complaint_route=complaint_route,
        text=text,
    )
    with opened_vault(folder) as vault:
        kept = engage_alert(vault, alert, open_session(vault, name), body, is_correction=is_correction)
        _say(vault, kept, as_json=as_json)


def _described(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Described | None:
    """Read VALUE,KNOWN,WHO, or `not-recorded`."""
    del ctx
    if value is None:
        return None
    if value == NOT_RECORDED:
        return Described(value=NOT_RECORDED, known=Known.NOT_RECORDED, by="")
    parts = [one.strip() for one in value.split(",", 2)]
    knowns = [str(one) for one in Known]
    if len(parts) != 3 or parts[1] not in knowns or not parts[2]:  # noqa: PLR2004  (the three)
        raise click.BadParameter(
            f"expected what, how it is known and by whom, such as female,observed-in-person,PC 1234, or "
            f"{NOT_RECORDED}; known is one of {', '.join(knowns)}; got {value!r}",
            param=parameter,
        )
    return Described(value=parts[0], known=Known(parts[1]), by=parts[2])


def _described_option(name: str, what: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}",
        callback=_described,
        metavar="WHAT,KNOWN,WHO",
        help=f"Of a false alert: {what}, how it is known, and by whom; or {NOT_RECORDED}.",
    )


@alerts.command(short_help="Record what came of it, and whether it was the right person.")
@_alert_argument
@click.option("--outcome", type=_choice(Outcome), help="What came of it; not for an alert that was dismissed.")
@click.option("--truth", type=_choice(Truth), required=True, help="Whether it was the right person.")
@click.option("--proof", type=_choice(Proof), default="not-known", show_default=True, help="How that is known.")
@click.option(
    "--grounds", type=_choice(Grounds), default=NOT_RECORDED, show_default=True, help="Whether they still stood."
)
@click.option("--arrests", type=click.IntRange(0, 100), default=0, show_default=True, help="From this alert.")
@click.option("--case", default="", help="Reference of the case elsewhere.")
@click.option("--cause", type=_choice(Cause), help="Of a false alert, if it is known.")
@_described_option("sex", "sex (female, male)")
@_described_option("age", "age band (under-18, 18-24, 25-34, 35-49, 50-64, 65-and-over)")
@_described_option("ethnicity", "a group of the pack")
@_text_option
@_correct_option
@as_option
@vault_option
@json_option
def outcome(  # noqa: PLR0917  (click hands them in by name)
    alert: str,
    outcome: str | None,
    truth: str,
    proof: str,
    grounds: str,
    arrests: int,
    case: str,
    cause: str | None,
    sex: Described | None,
    age: Described | None,
    ethnicity: Described | None,
    text: str,
    name: str | None,
    folder: Path,
    *,
    is_correction: bool,
    as_json: bool,
) -> None:
    """Record what came of an alert. True means that the right person was recognised, and nothing else.

    A right match on grounds that no longer stood is true, with the grounds expired or none. Nothing about sex, age or
    ethnicity is ever worked out by this program: a person says it, or nobody does.
    """
    body = Closed(
        outcome=None if outcome is None else Outcome(outcome),
        truth=Truth(truth),
        proof=Proof(proof),
        grounds=Grounds(grounds),
        case=case,
        arrests=arrests,
        cause=None if cause is None else Cause(cause),
        sex=sex,
        age=age,
        ethnicity=ethnicity,
        text=text,
    )
    with opened_vault(folder) as vault:
        kept = close(vault, alert, open_session(vault, name), body, is_correction=is_correction)
        _say(vault, kept, as_json=as_json)


@alerts.command(short_help="Hand an alert on, sealed to its recipient.")
@_alert_argument
@click.option("--to", "recipient", type=FILE, required=True, help="Public key of the recipient, NAME.pub.")
@click.option("--out", type=FILE, required=True, help="The file, such as case-17.json.sealed.")
@_reason_option
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


def _say(vault: Vault, kept: Kept, *, as_json: bool) -> None:
    now_ns = vault.clocks().utc_ns
    if as_json:
        print_json(_facts(kept, now_ns))
        return
    Console(highlight=False).print(Text.assemble(f"alert {kept.id}: ", (kept.state, STYLES[kept.state])))


def _facts(kept: Kept, now_ns: int) -> dict[str, Any]:
    return {
        "id": kept.id,
        "deployment": kept.deployment,
        "camera": kept.camera,
        "state": kept.state,
        "raised": iso_of(kept.raised_ns),
        "act_by": iso_of(kept.act_by_ns),
        "delivered": None if kept.delivered_ns is None else iso_of(kept.delivered_ns),
        "is_actionable": kept.is_actionable(now_ns),
        "expires": iso_of(kept.expires_s * 10**9),
    }
