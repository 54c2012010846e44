"""Who calls one command waits for that one: what the others need is not loaded, and is what it says all the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

import lfr_kernel.cli
from governance.vaults import PACK, PEOPLE, Clocks, Force
from lfr_kernel.cli.app import cli
from lfr_kernel.cli.registry import MODULES, OWN

if TYPE_CHECKING:
    from collections.abc import Callable

LOADED = """
import json, sys
from lfr_kernel.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print("\\n" + json.dumps({"code": end.code, "modules": sorted(sys.modules)}))
"""
HEAVY = ("numpy", "scipy", "cv2", "av", "onnxruntime", "usearch", "matplotlib", "segno", "typst", "jinja2", "pluggy")
"""What no command needs that only reads the vault, and what takes longest to load."""
OF_A_RUN = ("lfr_plugins", "lfr_kernel.wiring", "lfr_kernel.planning", "lfr_kernel.telemetry", "lfr_kernel.cli.screen")
CLASH = """
import click
from lfr_kernel.api import *

@click.command()
def alerts():
    click.echo("not ours")

@hookimpl
def lfr_plugins():
    return [CommandPlugin(name="alerts", api=1, create=lambda: alerts)]
"""


def loaded_by(*arguments: str) -> dict[str, Any]:
    """Call the command line in a process of its own; return its exit code and what it had loaded at its end."""
    done = subprocess.run(  # noqa: S603  (our own command)
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, encoding="utf-8", check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def among(modules: list[str], *names: str) -> list[str]:
    return [one for one in names if any(module == one or module.startswith(f"{one}.") for module in modules)]


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    force = Force(PEOPLE, [PACK], Clocks())
    folder = force.found(tmp_path / "vault")
    force.open(folder).close()
    return folder


@pytest.mark.parametrize("name", sorted(OWN))
def test_the_table_of_commands_says_what_each_says_of_itself(name: str) -> None:
    context = click.Context(cli, obj={})
    command = cli.get_command(context, name)
    assert command is not None
    assert (command.name, command.short_help) == (name, OWN[name])


def test_every_command_that_there_is_stands_in_the_table() -> None:
    folder = Path(lfr_kernel.cli.__file__).parent
    top: set[str] = set()
    below: set[str] = set()
    for path in folder.glob("*.py"):
        module = import_module(f"lfr_kernel.cli.{path.stem}")
        found = [one for one in vars(module).values() if isinstance(one, click.Command) and one is not cli]
        top |= {one.name or "" for one in found}
        below |= {name for one in found if isinstance(one, click.Group) for name in one.commands}
    assert set(OWN) <= top
    assert top - set(OWN) <= below
    assert set(MODULES) <= set(OWN)


def test_each_line_of_the_table_fits_the_help(lfr: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = lfr("--help").out
    for name, summary in OWN.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", out, re.MULTILINE), name


def test_a_list_of_alerts_loads_neither_numbers_nor_plugins(vault: Path) -> None:
    found = loaded_by("alerts", "list", "--vault", str(vault))
    assert found["code"] == 0
    assert among(found["modules"], "lfr_kernel.cli.alerts") == ["lfr_kernel.cli.alerts"]
    assert among(found["modules"], *HEAVY, *OF_A_RUN) == []


def test_a_command_loads_no_other_command() -> None:
    found = loaded_by("session", "--help")
    assert found["code"] == 0
    commands = [f"lfr_kernel.cli.{MODULES.get(name, name)}" for name in OWN]
    assert among(found["modules"], *commands) == ["lfr_kernel.cli.session"]


def test_the_version_is_known_though_nobody_looked_it_up() -> None:
    from importlib.metadata import version  # noqa: PLC0415

    assert lfr_kernel.__version__ == version("lfr-kernel")
    with pytest.raises(AttributeError, match="module 'lfr_kernel' has no attribute 'version'"):
        lfr_kernel.version  # type: ignore[attr-defined]  # noqa: B018


def test_a_command_that_there_is_not_is_named(lfr: Callable[..., Any]) -> None:
    result = lfr("alert", "list")
    assert (result.code, result.out) == (2, "")
    assert "No such command 'alert'" in result.err
    assert "Try 'lfr-kernel --help' for help." in result.err


def test_a_plugin_takes_the_name_of_no_command(
    lfr: Callable[..., Any], site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.distribution("lfr-clash", CLASH)
    for arguments in (("--help",), ("hello",)):
        result = lfr(*arguments)
        assert result.code == 2
        assert result.err.startswith("error: command plugin 'alerts' of lfr-clash 1.2.3 has the name of a command of")
    # Nor does it stand in for it, where nobody looks for plugins.
    monkeypatch.delenv("LFR_VAULT", raising=False)
    result = lfr("alerts", "list", "--vault", tmp_path)
    assert "not ours" not in result.out
    assert "expected a vault that was founded" in result.err
