"""`lfr-kernel threshold`: from what similarity on somebody is proposed as a match, as an act of two people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lfr_kernel.citation import read_report
from lfr_kernel.cli.asking import FILE, as_option, json_option, opened_vault, vault_option
from lfr_kernel.cli.printing import print_json, printable
from lfr_kernel.cli.registry import registry_of
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.register import find
from lfr_kernel.governance.deployment.rethreshold import LOWEST, Wish, confirm, detector_of, propose
from lfr_kernel.governance.deployment.thresholds import read_thresholds, started_with
from lfr_kernel.governance.people.sessions import open_session
from lfr_kernel.planning import plan_of, vault_of
from lfr_kernel.profile import load_profile

if TYPE_CHECKING:
    from pathlib import Path

    from lfr_kernel.governance.deployment.statements import ThresholdChange
    from lfr_kernel.governance.deployment.thresholds import Changed, Thresholds
    from lfr_kernel.governance.tested import Figure, FiguresAt

__all__ = ["threshold"]

CODES = click.Choice(
    ["false-alerts", "missed-people", "new-evidence", "list-changed", "camera-or-light", "public-safety", "correction"]
)
EPILOG = """\b
Example:
  lfr-kernel threshold propose 1 0.66 --profile van.toml --reason false-alerts --as ada
  lfr-kernel threshold show 1
  lfr-kernel threshold confirm 1 --as eva"""


@click.group(short_help="Change the threshold: two people, a reason, figures.", epilog=EPILOG)
def threshold() -> None:
    """Change from what similarity on somebody is proposed as a match.

    It takes two people: one who authorises, and one who answers for data protection, in either order. Before and after
    stand beside it, from the evaluation report that the profile cites.
    """


@threshold.command("propose", short_help="Propose another threshold.")
@click.argument("serial", type=click.IntRange(min=1))
@click.argument("value", type=click.FloatRange(min=LOWEST, max=1))
@click.option("--profile", "path", type=FILE, required=True, help="What runs: it names vault, pack and report.")
@click.option("--reason", type=CODES, required=True, help="Why, as a code; it goes into the audit.")
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@as_option
@click.pass_context
def propose_(  # noqa: PLR0917  (click hands them in by name)
    ctx: click.Context, serial: int, value: float, path: Path, reason: str, text: str | None, name: str | None
) -> None:
    """Propose VALUE for a deployment that is authorised or open. Nothing changes until somebody else confirms it."""
    registry = registry_of(ctx)
    profile, _ = load_profile(path, registry)
    plan, tested = plan_of(profile, path, registry), read_report(profile.basis)
    wish = Wish(threshold=value, reason=reason, text=text)
    with opened_vault(vault_of(profile)) as vault:
        entry, made = propose(vault, open_session(vault, name), plan, serial, wish=wish, tested=tested)
        detector = detector_of(vault, serial)
    console = Console(highlight=False)
    console.print(Text(f"proposed in entry {entry}: deployment {serial}, {_change(made)}"), soft_wrap=True)
    console.print(_figures(made))
    if detector is None and plan.pack.rules.require_report:
        _say(console, "the detector is not known before a start: that one holds it against the report", "yellow")
    _say(console, f"nothing has changed yet: lfr-kernel threshold confirm {serial} --proposal {entry} --as ANOTHER")


@threshold.command("confirm", short_help="Confirm what somebody else proposed.")
@click.argument("serial", type=click.IntRange(min=1))
@click.option("--proposal", type=click.IntRange(min=1), help="Number of its entry; without it, the last one.")
@click.option("--text", help="Why, in words; kept encrypted, the audit holds its keyed digest.")
@vault_option
@as_option
def confirm_(serial: int, proposal: int | None, text: str | None, folder: Path, name: str | None) -> None:
    """Put a proposal into force. A kernel that runs takes it up within a second; otherwise the next start does."""
    with opened_vault(folder) as vault:
        entry, made = confirm(vault, open_session(vault, name), serial, proposal=proposal, text=text)
    console = Console(highlight=False)
    console.print(Text(f"confirmed in entry {entry}: deployment {serial}, {_change(made)}"), soft_wrap=True)
    console.print(_figures(made))


@threshold.command("show", short_help="Which threshold is in force, and how it came to be.")
@click.argument("serial", type=click.IntRange(min=1))
@vault_option
@json_option
def show(serial: int, folder: Path, *, as_json: bool) -> None:
    """Show every change of threshold of a deployment, and what waits for a second person."""
    with opened_vault(folder) as vault:
        deployment = find(vault.database, serial)
        known, started = read_thresholds(vault, deployment), started_with(vault, deployment)
    if as_json:
        print_json(_facts(serial, known, started))
        return
    console = Console(highlight=False)
    if not known.changes:
        said = "the profile's: no kernel has run yet" if started is None else f"{started:.6g}, the profile's"
        console.print(f"in force: {said}")
    for one in known.changes:
        _say(console, _line(one))
    if known.pending is not None:
        waiting = known.pending
        by = f"{waiting.member.name} ({', '.join(waiting.member.roles)})"
        _say(console, f"waits, entry {waiting.number} by {by}: {_change(waiting.statement)}", "yellow")
        console.print(_figures(waiting.statement))


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style), soft_wrap=True)


def _change(one: ThresholdChange) -> str:
    return f"threshold {one.was:.6g} to {one.threshold:.6g}, reason {one.reason}"


def _line(one: Changed) -> str:
    kernel = "no kernel has run with it" if one.in_force_ns is None else f"in a kernel since {_time(one.in_force_ns)}"
    return (
        f"entry {one.entry}, {_time(one.since_ns)}: {one.was:.6g} to {one.threshold:.6g}, reason {one.reason}, by "
        f"{' and '.join(one.by)}; {kernel}"
    )


def _figures(one: ThresholdChange) -> Group:
    """Return before and after side by side, as far as the report says them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", f"before, {one.was:.6g}", f"after, {one.threshold:.6g}"):
        table.add_column(heading, overflow="fold")
    for label, name in (("FPIR", "fpir"), ("FNIR", "fnir")):
        table.add_row(label, *(_rate(getattr(at, name), at.threshold) for at in (one.before, one.after)))
    return Group(
        table, *(Text(text, style="yellow") for text in _notes(one)), Text(_source(one.report, one.after), style="dim")
    )


def _notes(one: ThresholdChange) -> list[str]:
    return [note for note in dict.fromkeys((one.before.note, one.after.note)) if note]


def _rate(figure: Figure | None, threshold: float) -> str:
    if figure is None or figure.rate.value is None or figure.rate.low is None or figure.rate.high is None:
        return "not in the report"
    rate, at = figure.rate, "" if figure.threshold == threshold else f"\nat {figure.threshold:.6g}"
    share = f"{rate.value:.3%} ({rate.low:.3%} to {rate.high:.3%})"
    return f"{share}\n{rate.events} of {rate.n} people{at}"


def _source(report: str | None, at: FiguresAt) -> str:
    if report is None:
        return "no evaluation report is cited"
    looks = "all faces" if at.looks is None else f"{at.looks} face{'' if at.looks == 1 else 's'} a passage"
    listed = "" if at.listed is None else f", a list of {at.listed}"
    return f"report {report[:12]}…: {looks}{listed}; intervals of 95 %, Clopper and Pearson"


def _facts(serial: int, known: Thresholds, started: float | None) -> dict[str, Any]:
    waiting = known.pending
    return {
        "deployment": serial,
        "threshold": known.changes[-1].threshold if known.changes else started,
        "changes": [
            {
                "entry": one.entry,
                "at": iso_of(one.since_ns),
                "in_force_at": None if one.in_force_ns is None else iso_of(one.in_force_ns),
                "was": one.was,
                "threshold": one.threshold,
                "reason": one.reason,
                "by": one.by,
                "report": one.report,
            }
            for one in known.changes
        ],
        "waiting": None
        if waiting is None
        else {"entry": waiting.number, "by": waiting.member.name, "change": waiting.statement},
    }


def _time(at_ns: int) -> str:
    return f"{iso_of(at_ns)[:19].replace('T', ' ')}Z"
