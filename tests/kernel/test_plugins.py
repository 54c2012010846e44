"""What is wrong with a plugin is said with its name, its distribution and its version."""

from __future__ import annotations

import importlib
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from lfr_kernel.plugins import (
    API_VERSION,
    CameraPlugin,
    CommandPlugin,
    DetectorPlugin,
    Installed,
    Plugin,
    PluginError,
    Registry,
    SinkPlugin,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def create(*_: Any) -> Any:
    return None


def installed(plugin: object, distribution: str = "lfr-yard", version: str = "1.2") -> Installed:
    return Installed(plugin=plugin, distribution=distribution, version=version)


def detector(**changes: Any) -> DetectorPlugin:
    return DetectorPlugin(**({"name": "yolo", "api": API_VERSION, "create": create} | changes))


@pytest.mark.parametrize(
    ("plugin", "problem"),
    [
        (
            detector(api=99),
            "detector plugin 'yolo' of lfr-yard 1.2 was written for API version 99; this kernel has 1: install",
        ),
        (
            "yolo",
            "lfr_plugins() of lfr-yard 1.2 returned 'yolo'; expected DetectorPlugin, CameraPlugin and so on",
        ),
        (
            Plugin(name="yolo", api=API_VERSION),
            "lfr_plugins() of lfr-yard 1.2 returned Plugin(",
        ),
        (
            detector(name="YOLO v8"),
            "detector plugin 'YOLO v8' of lfr-yard 1.2: expected a name of 1 to 32 lower-case letters, digits, - and _",
        ),
        (
            detector(create=None),
            "detector plugin 'yolo' of lfr-yard 1.2: expected `create` to be a function, got None",
        ),
        (
            SinkPlugin(name="post", api=API_VERSION, create=create, protects="over TLS"),  # type: ignore[arg-type]
            "sink plugin 'post' of lfr-yard 1.2: expected `protects` to be a function, got 'over TLS'",
        ),
        (
            detector(config=dict),
            "detector plugin 'yolo' of lfr-yard 1.2: expected `config` to be a msgspec.Struct class, got <class",
        ),
    ],
)
def test_a_declaration_that_cannot_be_used(plugin: object, problem: str) -> None:
    with pytest.raises(PluginError, match="^" + re.escape(problem)):
        Registry([installed(plugin)])


def test_annotations_that_cannot_be_resolved() -> None:
    class Config(Struct):
        size: NoSuchType  # type: ignore[name-defined]  # noqa: F821  (that is the mistake)

    with pytest.raises(
        PluginError,
        match="the annotations of its config Config cannot be resolved: NameError: name 'NoSuchType' is not defined",
    ):
        Registry([installed(detector(config=Config))])


def test_a_name_that_is_taken_names_both_distributions() -> None:
    with pytest.raises(
        PluginError,
        match=r"detector plugin 'yolo' of lfr-other 3 has the name of one of lfr-yard 1\.2; uninstall one of the two",
    ):
        Registry([installed(detector()), installed(detector(), "lfr-other", "3")])


def test_the_same_name_in_another_stage_is_another_plugin() -> None:
    camera = CameraPlugin(name="yolo", api=API_VERSION, create=create)
    registry = Registry([installed(detector()), installed(camera)])
    assert registry.get("camera", "yolo") is camera
    assert registry.names("detector") == ["yolo"]
    assert len(list(registry)) == 2


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(PluginError) as error:
        Registry([installed(detector(api=0)), installed(detector(name="Y")), installed(detector(), "a", "1")])
    assert len(str(error.value).splitlines()) == 2


def test_asking_for_what_is_not_there_lists_what_is() -> None:
    registry = Registry([installed(detector())])
    with pytest.raises(
        PluginError, match=re.escape("no detector plugin 'yollo' is installed; there are: yolo (did you mean 'yolo'?)")
    ):
        registry.get("detector", "yollo")
    with pytest.raises(PluginError, match="no index plugin 'usearch' is installed; there is none"):
        registry.origin("index", "usearch")


def test_the_origin_of_what_nobody_knows_has_a_name() -> None:
    assert Installed(plugin=None).origin == "an unknown distribution"
    assert installed(None).origin == "lfr-yard 1.2"


# ---- discovery through real entry points -----------------------------------------------------------------------

HEADER = "from lfr_kernel.api import *\n"
ONE = "[DetectorPlugin(name='yolo', api=1, create=lambda config: None)]"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a distribution with an entry point on the module search path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def add(source: str, *, name: str = "lfr-yard", version: str = "1.2.3", value: str | None = None) -> None:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        entry = f"[lfr_kernel.plugins]\nyard = {value or module}\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        importlib.invalidate_caches()

    yield add
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_an_installed_distribution_is_found(install: Callable[..., None]) -> None:
    install(f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return {ONE}\n")
    found = Registry.discover().origin("detector", "yolo")
    assert (found.distribution, found.version) == ("lfr-yard", "1.2.3")


WHERE = r"^plugin 'yard' \(lfr_yard\) of lfr-yard 1\.2\.3"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "import no_such_library",
            WHERE
            + " cannot be loaded: ModuleNotFoundError: No module named 'no_such_library'; fix or uninstall lfr-yard$",
        ),
        ("1 / 0", WHERE + " cannot be loaded: ZeroDivisionError: division by zero; fix or uninstall lfr-yard$"),
        ("import sys; sys.exit(3)", WHERE + " cannot be loaded: SystemExit: 3; fix or uninstall lfr-yard$"),
        ("x = (", WHERE + " cannot be loaded: SyntaxError: "),
        (HEADER, WHERE + r": expected a function lfr_plugins\(\) marked with @hookimpl, found none$"),
        (
            f"{HEADER}def lfr_plugins():\n    return {ONE}\n",
            WHERE + r": expected a function lfr_plugins\(\) marked with @hookimpl, found none$",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugin():\n    return {ONE}\n",
            WHERE + " cannot be loaded: PluginValidationError: unknown hook 'lfr_plugin' in plugin ",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins(config):\n    return {ONE}\n",
            WHERE + " cannot be loaded: PluginValidationError: .* hookimpl definition: lfr_plugins.config. ",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    raise RuntimeError('no licence')\n",
            WHERE + r": lfr_plugins\(\) failed: RuntimeError: no licence; fix or uninstall lfr-yard$",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return [DetectorPlugin(name='yolo', create=print)]\n",
            WHERE + r": lfr_plugins\(\) failed: TypeError: Missing required argument 'api'; fix or uninstall lfr-yard$",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    {ONE}\n",
            WHERE + r": expected lfr_plugins\(\) to return a list of plugins, got None$",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return {ONE}[0]\n",
            WHERE + r": expected lfr_plugins\(\) to return a list of plugins, got DetectorPlugin\(",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return {ONE.replace('api=1', 'api=2')}\n",
            r"^detector plugin 'yolo' of lfr-yard 1\.2\.3 was written for API version 2; this kernel has 1: install a ",
        ),
        (
            f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return {ONE.replace('yolo', 'onnx')}\n",
            r"^detector plugin 'onnx' of lfr-yard 1\.2\.3 has the name of one of lfr-kernel ",
        ),
    ],
)
def test_a_distribution_that_cannot_be_used(source: str, problem: str, install: Callable[..., None]) -> None:
    install(source)
    with pytest.raises(PluginError, match=problem):
        Registry.discover()


def test_an_entry_point_to_a_module_that_is_not_there(install: Callable[..., None]) -> None:
    install("", value="lfr_garden.plugins")
    with pytest.raises(
        PluginError, match=r"'yard' \(lfr_garden.plugins\) of lfr-yard 1\.2\.3 cannot be loaded: ModuleN"
    ):
        Registry.discover()


def test_what_one_distribution_does_wrong_is_not_held_against_the_next(install: Callable[..., None]) -> None:
    install(f"{HEADER}@hookimpl\ndef lfr_plugin():\n    return {ONE}\n", name="lfr-bad")
    install("import no_such_library", name="lfr-worse")
    install(f"{HEADER}@hookimpl\ndef lfr_plugins():\n    return {ONE}\n", name="lfr-xgood")
    with pytest.raises(PluginError) as error:
        Registry.discover()
    first, second = str(error.value).splitlines()
    assert "lfr-bad" in first
    assert "lfr-worse" in second


def test_no_plugin_is_made_by_discovery(install: Callable[..., None]) -> None:
    install(
        f"{HEADER}def fail(*_):\n    raise SystemExit\n@hookimpl\ndef lfr_plugins():\n"
        "    return [CommandPlugin(name='greet', api=1, create=fail)]\n"
    )
    assert isinstance(Registry.discover().get("command", "greet"), CommandPlugin)
