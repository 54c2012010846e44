"""The house rules that can be checked: who may import whom, what is public, how long a module may be."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import lfr_kernel
import lfr_plugins
import lfr_tui

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (lfr_kernel, lfr_plugins, lfr_tui)
PUBLIC = ("lfr_kernel.api", "lfr_kernel.runtime", "lfr_kernel.messages", "lfr_kernel.telemetry", "lfr_kernel.cli")
MODULES = sorted(
    module.name for package in PACKAGES for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)
LONGEST = 400
LONGEST_RUNTIME = 1_000


def _path(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _declared(tree: ast.Module) -> list[str] | None:
    """Return what a module lists in `__all__`, if it does."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
        ):
            found = ast.literal_eval(node.value)
            assert isinstance(found, list)
            return [str(one) for one in found]
    return None


def _offered(tree: ast.Module) -> set[str]:
    """Return the public names that a package defines, or takes over from its own modules."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lfr_"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {one.id for one in node.targets if isinstance(one, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_promises_it_has(name: str) -> None:
    module = importlib.import_module(name)
    declared = getattr(module, "__all__", [])
    assert len(declared) == len(set(declared))
    assert not [one for one in declared if not hasattr(module, one)]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_package_promises_all_that_it_offers_and_no_more(name: str) -> None:
    tree = ast.parse(_path(name).read_text(encoding="utf-8"))
    assert set(_declared(tree) or []) == _offered(tree)


def test_no_module_is_too_long() -> None:
    lengths = {name: _length(_path(name)) for name in MODULES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_the_runtime_stays_small() -> None:
    folder = Path(lfr_kernel.__path__[0]) / "runtime"
    assert sum(_length(path) for path in folder.glob("*.py")) <= LONGEST_RUNTIME


def test_who_may_import_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    api = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    assert api.lint_imports(no_cache=True) == api.EXIT_STATUS_SUCCESS


def test_each_package_is_typed() -> None:
    for package in PACKAGES:
        assert (Path(package.__path__[0]) / "py.typed").is_file()
