"""`lfr-kernel models`: what there is, adding to it, and noticing what has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from lfr_plugins.models.cards import load_card
from plugins import zoo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEIGHTS = zoo.arcface()
DETECTOR = zoo.scrfd()


class Bench(NamedTuple):
    """A store, and a folder in which somebody has got a model and its card."""

    store: Path
    folder: Path
    lfr: Callable[..., Any]

    def add(self, card: dict[str, Any], weights: bytes, *options: str) -> Any:
        file, text = self.folder / "downloaded.onnx", self.folder / "card.toml"
        file.write_bytes(weights)
        text.write_text(zoo.as_toml(card), encoding="utf-8")
        return self.lfr("models", "add", file, "--card", text, *options)

    def stored(self) -> list[str]:
        return sorted(path.name for path in self.store.iterdir()) if self.store.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lfr: Callable[..., Any]) -> Bench:
    store = tmp_path / "store"
    monkeypatch.setenv("LFR_MODELS", str(store))
    monkeypatch.setenv("COLUMNS", "80")
    return Bench(store, tmp_path, lfr)


def test_list_shows_bundled_models_and_where_ones_own_go(bench: Bench) -> None:
    result = bench.lfr("models", "list")
    assert result.code == 0
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert lines[0].split() == ["name", "task", "where", "licence", "use"]
    assert lines[1].split() == ["mobilefacenet", "embedding", "bundled", "Apache-2.0", "any"]
    assert f"your own lie in {bench.store}" in result.out.replace("\n", "")
    assert "\x1b" not in result.out


def test_list_as_json(bench: Bench) -> None:
    found = {one["name"]: one for one in json.loads(bench.lfr("models", "list", "--json").out)}
    assert set(found) == {"mobilefacenet", "retinaface_mnet025"}
    assert found["retinaface_mnet025"]["sha256"] == load_card("retinaface_mnet025").sha256
    assert found["retinaface_mnet025"]["licence_reference"] is None


@pytest.mark.parametrize("name", ["mobilefacenet", "retinaface_mnet025"])
def test_show_says_everything_and_fits_80_columns(bench: Bench, name: str) -> None:
    result = bench.lfr("models", "show", name)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    card, said = load_card(name), " ".join(result.out.split())
    assert card.sha256 in said
    for limit in card.limits:
        assert limit.split(".")[0].split(",")[0] in said
    as_json = bench.lfr("models", "show", name, "--json").json
    assert as_json["card"]["training"]["provenance"] == card.training.provenance


def test_a_model_is_added_and_can_be_used(bench: Bench) -> None:
    result = bench.add(zoo.arcface_card(WEIGHTS), WEIGHTS)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"added small to {bench.store}\n"
    assert bench.stored() == ["small.onnx", "small.toml"]
    assert (bench.store / "small.onnx").read_bytes() == WEIGHTS
    assert (bench.store / "small.toml").read_bytes() == (bench.folder / "card.toml").read_bytes()
    assert "small" in bench.lfr("models", "list").out
    assert bench.lfr("models", "verify").code == 0
    assert bench.lfr("models", "show", "small", "--json").json["origin"] == "own"


def test_a_detector_is_added(bench: Bench) -> None:
    assert bench.add(zoo.scrfd_card(DETECTOR), DETECTOR).code == 0
    assert "levels" in bench.lfr("models", "show", "small").out


def test_yunet_is_what_a_card_can_say_of_it(bench: Bench, shared: Callable[[str], Path]) -> None:
    weights = shared("models/yunet_n_dynamic.onnx").read_bytes()
    assert bench.add(zoo.yunet_card(weights), weights).code == 0


def changed(index: int, **facts: Any) -> list[dict[str, Any]]:
    outputs = [dict(one) for one in zoo.scrfd_card(DETECTOR)["outputs"]]
    outputs[index] |= facts
    return outputs


@pytest.mark.parametrize(
    ("card", "weights", "problem"),
    [
        (zoo.arcface_card(WEIGHTS), WEIGHTS[:-1] + b"x", "expected SHA-256"),
        (zoo.arcface_card(b"no model"), b"no model", "is no ONNX model"),
        (
            zoo.arcface_card(WEIGHTS, outputs=[zoo.tensor("embedding", ["B", 16], "template")]),
            WEIGHTS,
            "outputs[0].name: expected 'embedding', the model has 'fc1'",
        ),
        (
            zoo.arcface_card(WEIGHTS, inputs=[zoo.tensor("input", ["B", 3, 112, 112], "crops")]),
            WEIGHTS,
            "inputs[0].name: expected 'input', the model has 'data'",
        ),
        (
            zoo.arcface_card(WEIGHTS, dimension=512),
            WEIGHTS,
            "outputs[0].shape: expected ['B', 512], the model has ['B', 16]",
        ),
        (
            zoo.arcface_card(WEIGHTS, is_normalised=True),
            WEIGHTS,
            "is_normalised: expected templates of length 1, got",
        ),
        (
            zoo.arcface_card(bad := zoo.arcface(bias=float("nan"))),
            bad,
            "expected finite numbers, got others from a run",
        ),
        (
            zoo.arcface_card(two := zoo.arcface(batch=2)),
            two,
            "inputs[0].shape: the model cannot be run on [1, 3, 112, 1",
        ),
        (
            zoo.scrfd_card(DETECTOR, anchors=1),
            DETECTOR,
            "outputs[0]: expected 960 anchors in a picture of 320x192, as [[levels]] make them, got 1920 from a run",
        ),
        (
            zoo.scrfd_card(DETECTOR, outputs=changed(3, shape=["A8", 1])),
            DETECTOR,
            "outputs[3].shape: expected ['A8', 1] (H = 192, W = 320, A8 = 1920), got [480, 1] from a run",
        ),
        (zoo.scrfd_card(DETECTOR, outputs=changed(1, name="boxes_16")), DETECTOR, "got 480 from a run"),
        (
            zoo.scrfd_card(fixed := zoo.scrfd(size=(640, 640))),
            fixed,
            "inputs[0].shape: the model cannot be run on [1, 3, 192, 320]",
        ),
    ],
)
def test_a_model_that_is_not_what_its_card_says_is_not_added(
    bench: Bench, card: dict[str, Any], weights: bytes, problem: str
) -> None:
    result = bench.add(card, weights)
    assert result.code == 1
    assert problem in result.err
    assert "Traceback" not in result.err
    assert bench.stored() == []


def test_every_difference_is_named_at_once(bench: Bench) -> None:
    card = zoo.arcface_card(
        WEIGHTS,
        inputs=[zoo.tensor("input", ["B", 3, 112, 112], "crops")],
        outputs=[zoo.tensor("embedding", ["B", 16], "template")],
    )
    result = bench.add(card, WEIGHTS)
    assert "inputs[0].name" in result.err
    assert "outputs[0].name" in result.err


def test_a_card_with_mistakes_is_wrong_usage_and_all_are_named(bench: Bench) -> None:
    card = zoo.arcface_card(WEIGHTS, is_normalised=None, licence=None, use="everything")
    result = bench.add(card, WEIGHTS)
    assert result.code == 2
    assert "3 mistakes" in result.err
    for path in ("is_normalised: missing", "licence: missing", "use: expected"):
        assert f"{bench.folder / 'card.toml'}: {path}" in result.err
    assert bench.stored() == []


@pytest.mark.parametrize("name", ["small", "mobilefacenet"])
def test_a_name_that_is_taken_is_refused_and_what_has_it_stays(bench: Bench, name: str) -> None:
    assert bench.add(zoo.arcface_card(WEIGHTS), WEIGHTS).code == 0
    before = bench.stored()
    result = bench.add(zoo.arcface_card(other := zoo.arcface(bias=1.0), name=name), other)
    assert result.code == 2
    assert f"there is a model {name!r} already" in result.err
    assert bench.stored() == before
    assert bench.lfr("models", "verify").code == 0


@pytest.mark.parametrize("use", ["non-commercial", "research-only"])
def test_a_restricted_model_needs_a_licence_reference_which_is_shown(bench: Bench, use: str) -> None:
    card = zoo.arcface_card(WEIGHTS, use=use)
    for options in ((), ("--licence-reference", " ")):
        result = bench.add(card, WEIGHTS, *options)
        assert result.code == 2
        assert f"model 'small' is for {use} use by its licence (CC0-1.0)" in result.err
        assert "--licence-reference" in result.err
        assert bench.stored() == []
    assert bench.add(card, WEIGHTS, "--licence-reference", "contract 4711\nof 2026").code == 0
    assert "contract 4711 of 2026" in " ".join(bench.lfr("models", "list").out.split())
    assert "contract 4711 of 2026" in bench.lfr("models", "show", "small").out
    (bench.store / "small.licence").unlink()
    result = bench.lfr("models", "verify", "small")
    assert result.code == 1
    assert "no reference to a licence" in result.out


def test_verify_says_which_file_has_changed(bench: Bench) -> None:
    bench.add(zoo.arcface_card(WEIGHTS), WEIGHTS)
    weights = bytearray(WEIGHTS)
    weights[len(weights) // 2] ^= 0x10
    (bench.store / "small.onnx").write_bytes(weights)
    result = bench.lfr("models", "verify")
    assert result.code == 1
    assert "   ok  mobilefacenet\n" in result.out
    assert "WRONG  small\n" in result.out
    assert f"{bench.store / 'small.onnx'} should have SHA-256" in result.out
    assert bench.lfr("models", "verify", "mobilefacenet").code == 0
    found = json.loads(bench.lfr("models", "verify", "--json").out)
    assert {one["name"]: one["ok"] for one in found} == {
        "mobilefacenet": True,
        "retinaface_mnet025": True,
        "small": False,
    }


def test_a_card_that_was_broken_later_is_named_and_hides_nothing(bench: Bench) -> None:
    bench.add(zoo.arcface_card(WEIGHTS), WEIGHTS)
    (bench.store / "small.toml").write_text("name = ", encoding="utf-8")
    result = bench.lfr("models", "list")
    assert result.code == 1
    assert "mobilefacenet" in result.out
    assert "small cannot be used" in result.out
    assert bench.lfr("models", "verify").code == 1
    assert {one["name"] for one in json.loads(bench.lfr("models", "list", "--json").out)} >= {"small", "mobilefacenet"}


@pytest.mark.parametrize("command", ["show", "verify"])
def test_an_unknown_name_is_wrong_usage(bench: Bench, command: str) -> None:
    result = bench.lfr("models", command, "mobilfacenet")
    assert result.code == 2
    assert "did you mean 'mobilefacenet'?" in result.err


def test_files_that_are_not_there_are_wrong_usage(bench: Bench) -> None:
    result = bench.lfr("models", "add", bench.folder / "none.onnx", "--card", bench.folder / "none.toml")
    assert result.code == 2
    assert "does not exist" in result.err


def test_help_teaches(bench: Bench) -> None:
    out = bench.lfr("models", "--help").out
    for command in ("list", "show", "add", "verify"):
        assert f"\n  {command}" in out
    assert "LFR_MODELS" in out
    assert "Exit codes:" in out


def test_a_card_cannot_steer_the_terminal(bench: Bench) -> None:
    card = zoo.arcface_card(WEIGHTS, summary="a\u009b31mred", licence="MIT\u009b2J", origin="x\u009b0m")
    card["outputs"][0]["meaning"] = card["limits"][0] = "\u009b1m\u2028"
    assert bench.add(card, WEIGHTS).code == 0
    for command in (("list",), ("show", "small")):
        out = bench.lfr("models", *command).out
        assert "\u009b" not in out
        assert "\x1b" not in out
