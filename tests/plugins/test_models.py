"""The built-in weights are those their cards describe, and nothing else is ever loaded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lfr_kernel.api import PermanentError
from lfr_plugins.models import load_card, load_session, overlapping_runs
from lfr_plugins.models.cards import built_in

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["mobilefacenet", "retinaface_mnet025"]


def copied(name: str, folder: Path) -> Path:
    for suffix in ("toml", "onnx"):
        (folder / f"{name}.{suffix}").write_bytes((built_in() / f"{name}.{suffix}").read_bytes())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_card_describes_the_weights_beside_it(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert hashlib.sha256((built_in() / card.file).read_bytes()).hexdigest() == card.sha256
    assert card.licence in {"MIT", "Apache-2.0"}
    assert card.limits
    assert {one.by for one in card.accuracy} <= {"published", "measured"}
    assert all(0 < one.value <= 1 for one in card.accuracy)


@pytest.mark.parametrize("name", NAMES)
def test_a_session_has_the_inputs_and_outputs_of_the_card(name: str) -> None:
    card, session = load_card(name), load_session(name)
    for stated, actual in ((card.inputs, session.get_inputs()), (card.outputs, session.get_outputs())):
        assert [one.name for one in stated] == [one.name for one in actual]
        for tensor, node in zip(stated, actual, strict=True):
            assert node.type == "tensor(float)"
            fixed = [(a, b) for a, b in zip(tensor.shape, node.shape, strict=True) if isinstance(a, int)]
            assert all(a == b for a, b in fixed)


def test_a_session_runs_in_one_thread_unless_it_is_told_otherwise() -> None:
    options = load_session("mobilefacenet").get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert load_session("mobilefacenet", threads=2).get_session_options().intra_op_num_threads == 2


def test_runs_of_a_session_on_the_cpu_may_overlap() -> None:
    session = load_session("mobilefacenet")
    if "DmlExecutionProvider" in session.get_providers():
        assert overlapping_runs(session) == 1
    else:
        assert overlapping_runs(session) > 1


def test_the_embedders_card_says_that_its_training_data_was_withdrawn() -> None:
    training = load_card("mobilefacenet").training
    assert "MS-Celeb-1M" in training.data
    assert "withdrew" in training.provenance
    assert "without asking" in training.provenance


def test_a_changed_file_is_not_loaded(tmp_path: Path) -> None:
    folder = copied("mobilefacenet", tmp_path)
    weights = bytearray((folder / "mobilefacenet.onnx").read_bytes())
    weights[1000] ^= 1
    (folder / "mobilefacenet.onnx").write_bytes(weights)
    card = load_card("mobilefacenet")
    got = hashlib.sha256(weights).hexdigest()
    with pytest.raises(PermanentError, match=f"mobilefacenet.onnx should have SHA-256 {card.sha256}, but has {got}"):
        load_session("mobilefacenet", folder=folder)


def test_a_truncated_file_is_not_loaded(tmp_path: Path) -> None:
    folder = copied("retinaface_mnet025", tmp_path)
    path = folder / "retinaface_mnet025.onnx"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PermanentError, match="restore the file"):
        load_session("retinaface_mnet025", folder=folder)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = copied("mobilefacenet", tmp_path)
    (folder / "mobilefacenet.onnx").unlink()
    with pytest.raises(PermanentError, match=r"missing: expected .*mobilefacenet\.onnx"):
        load_session("mobilefacenet", folder=folder)


def test_a_missing_card_is_named() -> None:
    with pytest.raises(PermanentError, match=r"model 'nothing' has no card: expected .*nothing\.toml"):
        load_card("nothing")


def test_weights_that_are_no_model_are_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    folder = copied("mobilefacenet", tmp_path)
    (folder / "mobilefacenet.onnx").write_bytes(b"no model")
    card = (folder / "mobilefacenet.toml").read_text()
    digest = hashlib.sha256(b"no model").hexdigest()
    (folder / "mobilefacenet.toml").write_text(card.replace(load_card("mobilefacenet").sha256, digest))
    with pytest.raises(PermanentError, match=r"cannot load .*mobilefacenet\.onnx"):
        load_session("mobilefacenet", folder=folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('task = "embedding"', 'task = "embedding"\nemotion = true'), "emotion"),
        (('sha256 = "', 'sha256 = "X'), "sha256"),
        (("[pixels]", "[[pixels"), "mobilefacenet.toml"),
    ],
)
def test_a_card_that_cannot_be_understood_is_refused(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    folder = copied("mobilefacenet", tmp_path)
    card = folder / "mobilefacenet.toml"
    card.write_text(card.read_text().replace(*change))
    with pytest.raises(PermanentError, match=f"cannot be read: .*{why}|{why}.* cannot be read"):
        load_card("mobilefacenet", folder=folder)


def test_reading_a_card_does_not_import_the_runtime() -> None:
    program = (
        "import sys; from lfr_plugins.models import load_card; load_card('mobilefacenet');"
        "sys.exit('onnxruntime' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603  (our own text)
