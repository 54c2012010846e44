"""The steps by which people decide on an alert: `lfr-kernel alerts assess`, `engage` and `outcome`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from lfr_kernel.cli.alert_screen import STYLES
from lfr_kernel.cli.asking import as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.printing import print_json
from lfr_kernel.governance.alerts.statements import Closed, Described, Engaged
from lfr_kernel.governance.alerts.steps import assess as assess_alert
from lfr_kernel.governance.alerts.steps import close
from lfr_kernel.governance.alerts.steps import engage as engage_alert
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
from lfr_kernel.governance.people.sessions import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum
    from pathlib import Path

    from lfr_kernel.governance.alerts.store import Kept
    from lfr_kernel.governance.vault import Vault

__all__ = ["alert_argument", "assess", "choice", "engage", "facts_of", "outcome", "reason_option"]

F = TypeVar("F", bound="Callable[..., Any]")
NOT_RECORDED = "not-recorded"


def choice(words: type[StrEnum]) -> click.Choice[str]:
    """Return a parameter type of these words."""
    return click.Choice([str(one) for one in words])


def alert_argument(function: F) -> F:
    """Add the argument ALERT."""
    return click.argument("alert", metavar="ALERT")(function)


def reason_option(function: F) -> F:
    """Add `--reason`."""
    return click.option("--reason", type=choice(Reason), required=True, help="Why, as a code; it goes into the audit.")(
        function
    )


def text_option(function: F) -> F:
    """Add `--text`."""
    return click.option("--text", default="", help="In your own words; kept encrypted, and gone with the alert.")(
        function
    )


def correct_option(function: F) -> F:
    """Add `--correct`."""
    return click.option(
        "--correct", "is_correction", is_flag=True, help="Put what was said before right; both are kept."
    )(function)


@click.command(short_help="Dismiss an alert, or decide to engage.")
@alert_argument
@click.option("--dismiss", is_flag=True, help="It is to lead to nothing.")
@click.option("--engage", is_flag=True, help="Somebody is to be spoken to; takes a look at both pictures.")
@text_option
@correct_option
@as_option
@vault_option
@json_option
def assess(
    alert: str,
    text: str,
    name: str | None,
    folder: Path,
    *,
    dismiss: bool,
    engage: bool,
    is_correction: bool,
    as_json: bool,
) -> None:
    """Say what you make of an alert that you have looked at.

    Dismissed does not mean false: whether it was the right person is said with `outcome`. Where two people assess, each
    does so without seeing the other, and the pack says what holds if they disagree.
    """
    if dismiss == engage:
        raise click.UsageError(f"expected either --dismiss or --engage, got {'both' if dismiss else 'neither'}")
    verdict = Verdict.DISMISS if dismiss else Verdict.ENGAGE
    with opened_vault(folder) as vault:
        kept = assess_alert(vault, alert, open_session(vault, name), verdict, text=text, is_correction=is_correction)
        say(vault, kept, as_json=as_json)


def _a_number(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    del ctx
    if math.isnan(value):
        raise click.BadParameter("expected a number of minutes, got nan", param=parameter)
    return value


@click.command(short_help="Record that somebody was engaged, and how.")
@alert_argument
@click.option("--power", required=True, help="Under which power: a code of the pack; `none` where none was used.")
@click.option("--force", type=choice(Force), required=True, help="Force that was used.")
@click.option(
    "--minutes", type=click.FloatRange(0, 2880), callback=_a_number, required=True, help="How long they were held up."
)
@click.option("--searched/--not-searched", required=True, help="Whether they were searched.")
@click.option("--explained/--not-explained", required=True, help="Whether they were told why.")
@click.option("--complaint-route/--no-complaint-route", required=True, help="Whether they were told where to complain.")
@text_option
@correct_option
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
        say(vault, kept, as_json=as_json)


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


@click.command(short_help="Record what came of it, and whether it was the right person.")
@alert_argument
@click.option("--outcome", type=choice(Outcome), help="What came of it; not for an alert that was dismissed.")
@click.option("--truth", type=choice(Truth), required=True, help="Whether it was the right person.")
@click.option("--proof", type=choice(Proof), default="not-known", show_default=True, help="How that is known.")
@click.option(
    "--grounds", type=choice(Grounds), default=NOT_RECORDED, show_default=True, help="Whether they still stood."
)
@click.option("--arrests", type=click.IntRange(0, 100), default=0, show_default=True, help="From this alert.")
@click.option("--case", default="", help="Reference of the case elsewhere.")
@click.option("--cause", type=choice(Cause), help="Of a false alert, if it is known.")
@_described_option("sex", "sex (female, male)")
@_described_option("age", "age band (under-18, 18-24, 25-34, 35-49, 50-64, 65-and-over)")
@_described_option("ethnicity", "a group of the pack")
@text_option
@correct_option
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
        say(vault, kept, as_json=as_json)


def say(vault: Vault, kept: Kept, *, as_json: bool) -> None:
    """Print what became of an alert."""
    now_ns = vault.clocks().utc_ns
    if as_json:
        print_json(facts_of(kept, now_ns))
        return
    Console(highlight=False).print(Text.assemble(f"alert {kept.id}: ", (kept.state, STYLES[kept.state])))


def facts_of(kept: Kept, now_ns: int) -> dict[str, Any]:
    """Return what JSON has of an alert."""
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
