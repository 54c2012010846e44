"""The one module that plugins import."""

from __future__ import annotations

import inspect
import subprocess
import sys

from lfr_kernel import api


def test_every_name_is_there_and_every_class_and_function_is_documented() -> None:
    undocumented = []
    for name in api.__all__:
        thing = getattr(api, name)
        is_ours = getattr(thing, "__module__", "").startswith("lfr_kernel")
        if is_ours and (inspect.isclass(thing) or inspect.isfunction(thing)) and not inspect.getdoc(thing):
            undocumented.append(name)
    assert not undocumented


def test_the_contract_of_every_stage_is_there() -> None:
    contracts = {"Camera", "Detector", "Tracker", "Embedder", "Index", "AlertSink", "Retention"}
    declarations = {f"{one.removeprefix('Alert')}Plugin" for one in contracts} | {
        "CommandPlugin",
        "AnchorSink",
        "AnchorPlugin",
    }
    assert contracts | declarations | {"API_VERSION", "hookimpl", "NoConfig", "Plugin"} <= set(api.__all__)


def test_the_api_brings_no_vision_library_and_no_screen() -> None:
    heavy = ("av", "cv2", "onnxruntime", "usearch", "scipy", "textual", "lfr_plugins")
    text = f"import sys, lfr_kernel.api; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.strip() == "[]"


def test_finding_the_built_in_plugins_brings_no_vision_library() -> None:
    heavy = ("av", "cv2", "onnxruntime", "usearch", "scipy", "textual")
    text = (
        "import sys; from lfr_kernel.plugins import Registry; Registry.discover();"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.strip() == "[]"
