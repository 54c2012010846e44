"""Weights are loaded only if they are those of their card, may be used, and run where they were asked to run."""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from lfr_kernel.api import PermanentError
from lfr_plugins.models import devices, load_card, load_model, overlapping_runs, sessions
from lfr_plugins.models.devices import DEVICES, DeviceError, candidates
from lfr_plugins.models.sessions import open_session
from lfr_plugins.models.store import find_model, model_names, own_folder, put, read_weights
from plugins import zoo

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["mobilefacenet", "retinaface_mnet025"]
SMALL = zoo.arcface()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("LFR_MODELS", str(folder))
    return folder


# --- sessions


@pytest.mark.parametrize("name", NAMES)
def test_a_session_has_the_inputs_and_outputs_of_the_card(name: str) -> None:
    card, session = load_card(name), load_model(name).session
    for stated, actual in ((card.inputs, session.get_inputs()), (card.outputs, session.get_outputs())):
        assert [one.name for one in stated] == [one.name for one in actual]
        for tensor, node in zip(stated, actual, strict=True):
            assert node.type == "tensor(float)"
            fixed = [(a, b) for a, b in zip(tensor.shape, node.shape, strict=True) if isinstance(a, int)]
            assert all(a == b for a, b in fixed)


def test_a_session_runs_in_one_thread_unless_it_is_told_otherwise() -> None:
    options = load_model("mobilefacenet").session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_mem_pattern
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    assert load_model("mobilefacenet", threads=2).session.get_session_options().intra_op_num_threads == 2


def test_one_flipped_bit_and_a_model_is_not_loaded(store: Path) -> None:
    name = zoo.put(store, zoo.arcface_card(SMALL), SMALL)
    load_model(name)
    changed = bytearray(SMALL)
    changed[len(changed) // 2] ^= 1
    (store / "small.onnx").write_bytes(changed)
    stated, got = (hashlib.sha256(one).hexdigest() for one in (SMALL, changed))
    with pytest.raises(
        PermanentError, match=rf"small\.onnx should have SHA-256 {stated}, but has {got}; restore the fi"
    ):
        load_model(name)


def test_a_truncated_file_is_not_loaded(store: Path) -> None:
    name = zoo.put(store, zoo.arcface_card(SMALL), SMALL)
    (store / "small.onnx").write_bytes(SMALL[:1000])
    with pytest.raises(PermanentError, match="never change the digest"):
        load_model(name)


def test_missing_weights_are_named(store: Path) -> None:
    name = zoo.put(store, zoo.arcface_card(SMALL), SMALL)
    (store / "small.onnx").unlink()
    with pytest.raises(PermanentError, match=r"missing: expected .*small\.onnx"):
        load_model(name)


@pytest.mark.parametrize("weights", [b"no model", b""])
def test_weights_that_are_no_model_are_refused_even_with_the_right_digest(store: Path, weights: bytes) -> None:
    name = zoo.put(store, zoo.arcface_card(weights), weights)
    with pytest.raises(PermanentError, match=r"small\.onnx"):
        load_model(name)


def test_operators_that_nobody_knows_are_named_with_the_version(store: Path) -> None:
    value = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1])
    weights = zoo.serialised(helper.make_graph([helper.make_node("Horoscope", ["data"], ["fc1"])], "g", [value], []))
    name = zoo.put(store, zoo.arcface_card(weights), weights)
    with pytest.raises(
        PermanentError, match=rf"onnxruntime {ort.__version__} cannot load .*small\.onnx on cpu: .*Horosco"
    ):
        load_model(name)


def test_weights_in_other_files_are_refused_since_no_digest_covers_them(store: Path) -> None:
    value = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1])
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="elsewhere.bin")
    node = helper.make_node("Add", ["data", "w"], ["fc1"])
    weights = zoo.serialised(helper.make_graph([node], "g", [value], [value], initializer=[outside]))
    name = zoo.put(store, zoo.arcface_card(weights), weights)
    with pytest.raises(PermanentError, match="keeps some of its weights in other files"):
        load_model(name)


def test_weights_in_other_files_are_found_in_branches_of_the_graph_too(store: Path) -> None:
    value = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1])
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="elsewhere.bin")
    branch = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
        initializer=[outside],
    )
    node = helper.make_node("If", ["is_so"], ["fc1"], then_branch=branch, else_branch=branch)
    weights = zoo.serialised(helper.make_graph([node], "g", [value], [value]))
    name = zoo.put(store, zoo.arcface_card(weights), weights)
    with pytest.raises(PermanentError, match="keeps some of its weights in other files"):
        load_model(name)


# --- devices

ALL = ["CUDAExecutionProvider", "DmlExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"]


def test_auto_takes_the_best_there_is() -> None:
    assert candidates("auto", ALL[::-1], "x") == ["cuda", "directml", "openvino", "cpu"]
    assert candidates("auto", ["AzureExecutionProvider", "CPUExecutionProvider"], "x") == ["cpu"]


def test_what_is_asked_for_is_the_only_one_tried() -> None:
    for device, provider in DEVICES.items():
        assert candidates(device, ALL, "x") == [device]
        assert provider.name in ALL


@pytest.mark.parametrize("device", ["cuda", "directml", "openvino"])
def test_a_device_that_is_missing_is_an_error_that_says_what_to_do(device: str) -> None:
    with pytest.raises(DeviceError) as error:
        candidates(device, ["AzureExecutionProvider", "CPUExecutionProvider"], "onnxruntime 9.9")
    assert f'device = "{device}" needs' in str(error.value)
    assert "onnxruntime 9.9 has only AzureExecutionProvider, CPUExecutionProvider" in str(error.value)
    assert f"pip install onnxruntime-{'gpu' if device == 'cuda' else device}" in str(error.value)
    assert 'or set device = "cpu"' in str(error.value)


def test_only_directml_forbids_runs_that_overlap() -> None:
    assert {device: overlapping_runs(device) > 1 for device in DEVICES} == {
        "cuda": True,
        "directml": False,
        "openvino": True,
        "cpu": True,
    }


def missing_here() -> str:
    there = ort.get_available_providers()
    missing = [device for device, provider in DEVICES.items() if provider.name not in there]
    if not missing:
        pytest.skip("this onnxruntime has every provider")
    return missing[0]


def test_a_model_is_never_loaded_on_another_device_than_was_asked_for() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeviceError, match=f"onnxruntime {ort.__version__} has only"):
            load_model("mobilefacenet", device=missing_here())
    assert load_model("mobilefacenet", device="cpu").device == "cpu"


class SilentlyCpu(ort.InferenceSession):
    """What ONNX Runtime does where a provider's libraries are missing: a real session, on the CPU, and no error."""

    def __init__(self, weights: bytes, options: Any, *, providers: list[Any], **rest: Any) -> None:
        assert providers[0][0] == "CUDAExecutionProvider" or len(providers) == 1
        super().__init__(weights, options, providers=["CPUExecutionProvider"], **rest)


def test_a_provider_that_is_there_and_does_not_work_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [ALL[0], ALL[3]])
    monkeypatch.setattr(sessions.ort, "InferenceSession", SilentlyCpu)
    with pytest.raises(DeviceError) as error:
        open_session(SMALL, "small.onnx", device="cuda")
    assert "CUDAExecutionProvider of onnxruntime" in str(error.value)
    assert "does not work here, and CPUExecutionProvider took its place; it needs an NVIDIA GPU" in str(error.value)
    assert 'or set device = "cpu"' in str(error.value)


class NoDriver(ort.InferenceSession):
    """What a provider does where its driver is too old, or its device is in use."""

    def __init__(self, weights: bytes, options: Any, *, providers: list[Any], **rest: Any) -> None:
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA failure 35: CUDA driver version is insufficient")
        super().__init__(weights, options, providers=providers, **rest)


def test_a_provider_that_fails_is_an_error_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [ALL[0], ALL[3]])
    monkeypatch.setattr(sessions.ort, "InferenceSession", NoDriver)
    with pytest.raises(DeviceError, match=r"CUDAExecutionProvider of .* failed: .*CUDA failure 35.*it needs an NVIDIA"):
        open_session(SMALL, "small.onnx", device="cuda")


@pytest.mark.parametrize("broken", [SilentlyCpu, NoDriver])
def test_auto_passes_over_a_provider_that_does_not_work_and_says_so(
    broken: type[ort.InferenceSession], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [ALL[0], ALL[3]])
    monkeypatch.setattr(sessions.ort, "InferenceSession", broken)
    session, device = open_session(SMALL, "small.onnx")
    assert device == "cpu"
    assert session.get_providers() == ["CPUExecutionProvider"]
    said = capsys.readouterr()
    assert "device_passed_over" in said.out + said.err
    assert "CUDAExecutionProvider" in said.out + said.err


def test_prelu_is_rewritten_on_the_cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []

    class Watched(SilentlyCpu):
        def __init__(self, weights: bytes, *rest: Any, **options: Any) -> None:
            given.append(weights)
            super().__init__(weights, *rest, **options)

    weights = read_weights(find_model("mobilefacenet"))
    monkeypatch.setattr(sessions.ort, "InferenceSession", Watched)
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [ALL[0], ALL[3]])
    open_session(weights, "mobilefacenet.onnx")
    assert given[0] == weights
    assert b"PRelu" in given[0]
    assert b"PRelu" not in given[1]


def test_cuda_is_told_to_take_no_more_memory_than_it_needs() -> None:
    assert devices.provider_options("cuda") == {"arena_extend_strategy": "kSameAsRequested"}
    assert devices.provider_options("cpu") == {}


# --- the store


def test_ones_own_models_lie_where_the_variable_says_or_in_the_users_data(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_folder() == store
    monkeypatch.delenv("LFR_MODELS")
    assert own_folder().parts[-2:] == ("lfr-kernel", "models")


def test_bundled_models_are_there_without_a_folder_of_ones_own(store: Path) -> None:
    assert not store.exists()
    assert model_names() == dict.fromkeys(NAMES, "bundled")


def test_a_name_that_is_unknown_is_answered_with_those_that_are_known(store: Path) -> None:
    assert not store.exists()
    with pytest.raises(PermanentError, match=r"there are: mobilefacenet, .*\(did you mean 'mobilefacenet'\?\)"):
        find_model("mobilfacenet")


def test_a_model_of_ones_own_cannot_take_the_place_of_a_bundled_one(store: Path) -> None:
    zoo.put(store, zoo.arcface_card(SMALL, name="mobilefacenet"), SMALL)
    with pytest.raises(PermanentError, match=r"mobilefacenet\.toml has the name of a bundled model"):
        find_model("mobilefacenet")


@pytest.mark.parametrize("use", ["non-commercial", "research-only"])
def test_a_restricted_model_is_loaded_only_with_a_licence_reference(store: Path, use: str) -> None:
    name = zoo.put(store, zoo.arcface_card(SMALL, use=use), SMALL)
    with pytest.raises(PermanentError, match=rf"'small' is for {use} use by its licence .*no reference to a licence"):
        load_model(name)
    zoo.put(store, zoo.arcface_card(SMALL, use=use), SMALL, reference=" \n")
    with pytest.raises(PermanentError, match="no reference"):
        load_model(name)
    zoo.put(store, zoo.arcface_card(SMALL, use=use), SMALL, reference="contract 4711")
    assert load_model(name).card.use == use
    assert find_model(name).licence_reference == "contract 4711"


def stored(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()} if store.exists() else {}


@pytest.mark.parametrize("failing", range(6))
def test_nothing_half_written_is_left_whenever_writing_fails(
    store: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = zoo.arcface_card(SMALL, use="research-only")
    text = zoo.as_toml(card).encode()
    zoo.put(store, card, SMALL)
    parsed = find_model("small").card
    for path in store.iterdir():
        path.unlink()
    calls = 0

    def counted(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(type(store), "replace", counted(type(store).replace))
    with pytest.raises(PermanentError, match=r"cannot be written to .*No space left on device; set LFR_MODELS"):
        put(parsed, text=text, weights=SMALL, licence_reference="contract 4711")
    assert stored(store) == {}
    put(parsed, text=text, weights=SMALL, licence_reference="contract 4711")
    assert stored(store) == {"small.toml": text, "small.onnx": SMALL, "small.licence": b"contract 4711\n"}


def test_a_reference_that_a_killed_run_left_does_not_licence_the_next_model(store: Path) -> None:
    zoo.put(store, zoo.arcface_card(SMALL), SMALL, reference="of another model")
    card = find_model("small").card
    (store / "small.toml").unlink()
    put(card, text=zoo.as_toml(zoo.arcface_card(SMALL)).encode(), weights=SMALL, licence_reference=None)
    assert find_model("small").licence_reference is None


def test_a_run_gives_what_the_graph_computes(store: Path) -> None:
    name = zoo.put(store, zoo.arcface_card(SMALL), SMALL)
    crops = np.zeros((1, 3, 112, 112), np.float32)
    (found,) = load_model(name).session.run(["fc1"], {"data": crops})
    np.testing.assert_allclose(found, np.full((1, 16), 0.5), rtol=1e-6)
