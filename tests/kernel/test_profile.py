"""A bad profile gets all its mistakes at once; a good one shows no secret."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct
from rich.pretty import pretty_repr

from lfr_kernel.cli.settings import BEGIN, END, describe_config, settings_reference, toml_of, with_reference
from lfr_kernel.decoding import describe_type, struct_of
from lfr_kernel.governance.permit import PermitRefusedError
from lfr_kernel.outgoing import expect_protected, outgoing_of
from lfr_kernel.plugins import (
    API_VERSION,
    AnchorPlugin,
    CameraPlugin,
    DetectorPlugin,
    EmbedderPlugin,
    IndexPlugin,
    Installed,
    NoConfig,
    Registry,
    RetentionPlugin,
    SinkPlugin,
    TrackerPlugin,
)
from lfr_kernel.profile import Profile, ProfileError, load_profile, parse_profile
from lfr_kernel.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILES = Path(__file__).resolve().parents[2] / "profiles"


class VideoConfig(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, description="where it is")]
    timeout_s: Annotated[float, Meta(ge=0.1, le=120, description="how long")] = 10.0


class StillConfig(Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="where it is")]


class PostConfig(Struct, frozen=True, forbid_unknown_fields=True):
    address: Annotated[str, Meta(description="to whom")] = "nobody"


def _create(*_: Any) -> Any:
    raise AssertionError("a profile is checked without making anything")


def _protection(config: PostConfig) -> str | None:
    if config.address == "broken":
        raise RuntimeError("it cannot say")
    return f"sealed to {config.address}" if config.address != "nobody" else None


@pytest.fixture
def registry() -> Registry:
    common: dict[str, Any] = {"api": API_VERSION, "create": _create}
    own = [
        CameraPlugin(name="av", config=VideoConfig, **common),
        CameraPlugin(name="images", config=StillConfig, **common),
        DetectorPlugin(name="onnx", config=NoConfig, **common),
        TrackerPlugin(name="passage", **common),
        EmbedderPlugin(name="onnx", **common),
        IndexPlugin(name="usearch", **common),
        RetentionPlugin(name="durations", **common),
        SinkPlugin(name="console", **common),
        AnchorPlugin(name="print", **common),
    ]
    other = [
        SinkPlugin(name="post", config=PostConfig, **common),
        SinkPlugin(name="sealed", config=PostConfig, protects=_protection, **common),
    ]
    return Registry(
        [Installed(plugin=one, distribution="lfr-kernel", version="0.1.0") for one in own]
        + [Installed(plugin=one, distribution="lfr-post", version="2.0") for one in other]
    )


GOOD = """
name = "yard"
permit = "demo"
[[cameras]]
name = "front"
options = { url = "clip.mp4" }
[watchlist]
images = "photographs"
"""


def check(text: str, registry: Registry, folder: Path) -> tuple[str, ...]:
    """Return the mistakes in a profile."""
    path = folder / "yard.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError) as error:
        load_profile(path, registry)
    for problem in error.value.problems:
        assert f"{path}: {problem}" in str(error.value)
    return error.value.problems


def test_a_good_profile_has_its_defaults_filled_in(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    profile, _ = load_profile(path, registry)
    assert profile.cameras[0].plugin == "av"
    assert profile.cameras[0].options == VideoConfig(url="clip.mp4", timeout_s=10.0)
    assert profile.detector.plugin == "onnx"
    assert profile.detector.options == NoConfig()
    assert profile.watchlist.threshold == 0.62
    assert profile.sinks == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("threshold = 1.5", "watchlist.threshold: expected a number from 0.2 to 1, got 1.5"),
        ("threshold = nan", "watchlist.threshold: expected a number from 0.2 to 1, got nan"),
        ("threshold = '0.6'", "watchlist.threshold: expected a number from 0.2 to 1, got '0.6'"),
        (
            "treshold = 0.5",
            "watchlist.treshold: unknown key, expected one of: images, file, threshold, early_margin, reader, gates",
        ),
        (
            "reader = 'imgaes'",
            (
                "watchlist.reader: expected an installed camera plugin, one of: av, images; got 'imgaes' "
                "(did you mean 'images'?)"
            ),
        ),
        (
            "reader = 'av'",
            (
                "watchlist.reader: expected a camera plugin that reads photographs by their `path`, "
                "got 'av' of lfr-kernel 0.1.0"
            ),
        ),
        ("[sinks]\nplugin = 'console'", "sinks: expected a list of tables, got a table"),
        ("[[sinks]]\nname = 'x'", "sinks[0].plugin: missing, expected text, not empty"),
        ("[runtime]\ndrain_s = 0", "runtime.drain_s: expected a number from 0.1 to 60, got 0"),
        ("[detector]\nplugin = 5", "detector.plugin: expected text, got 5"),
        (
            "[detector]\nplugin = 'yolo'",
            "detector.plugin: expected an installed detector plugin, one of: onnx; got 'yolo'",
        ),
        ("[index]\noptions = 5", "index.options: expected a table, got 5 (index plugin 'usearch' of lfr-kernel 0.1.0)"),
        (
            "[[sinks]]\nplugin = 'post'\noptions = { adress = 'x' }",
            (
                "sinks[0].options.adress: unknown key, expected one of: address (did you mean 'address'?) "
                "(sink plugin 'post' of lfr-post 2.0)"
            ),
        ),
        (
            "[[cameras]]\nname = 'rear'",
            "cameras[1].options.url: missing, expected text, not empty (camera plugin 'av' of lfr-kernel 0.1.0)",
        ),
        (
            "[[cameras]]\nname = 'front'\noptions = { url = 'x' }",
            "cameras[1].name: expected a name that cameras[0] does not have, got 'front'",
        ),
        (
            "[[sinks]]\nplugin = 'post'\n[[sinks]]\nplugin = 'console'\nname = 'post'",
            "sinks[1].name: expected a name that sinks[0] does not have, got 'post'",
        ),
        (
            "[[cameras]]\nname = 'Rear Door'\noptions = { url = 'x' }",
            "cameras[1].name: expected 1 to 32 lower-case letters, digits, - and _, got 'Rear Door'",
        ),
        (
            "[basis]\nreport = 'report.json'",
            "basis.digest: missing, expected the SHA-256 of the report, as `sha256sum`",
        ),
        (
            f"[basis]\ndigest = '{'0' * 64}'",
            "basis.report: missing, expected the path of the report.json that has this",
        ),
        (
            f"[basis]\nreport = 'report.json'\ndigest = '{'0' * 63}'",
            f"basis.digest: expected 64 hexadecimal digits, optional, got '{'0' * 63}'",
        ),
        ("[basis]\ntarget_fpir = 0", "basis.target_fpir: expected a number from 1e-06 to 0.5, got 0"),
        ("[basis]\ntarget_fpir = 0.51", "basis.target_fpir: expected a number from 1e-06 to 0.5, got 0.51"),
        ("[basis]\nprotocol = ''", "basis.protocol: expected text, not empty, optional, got ''"),
        ("[colours]\nx = 1", "colours: unknown key, expected one of: name, permit, cameras, watchlist, detector"),
    ],
)
def test_one_mistake(line: str, problem: str, registry: Registry, tmp_path: Path) -> None:
    # Tables may come in any order; a list of tables goes on where it stopped.
    text = GOOD + line if not line.startswith("[[cameras]]") else GOOD.replace("[watchlist]", f"{line}\n[watchlist]")
    (found,) = check(text, registry, tmp_path)
    assert found.startswith(problem)


def test_a_report_is_cited_wherever_the_profile_lies(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(f"{GOOD}[basis]\nreport = '${{here}}/report.json'\ndigest = '{'aB' * 32}'", encoding="utf-8")
    basis = load_profile(path, registry)[0].basis
    assert (basis.report, basis.digest) == (f"{tmp_path}/report.json", "aB" * 32)
    assert (basis.protocol, basis.target_fpir) == (None, 0.005)


def test_all_mistakes_of_a_citation_come_at_once(registry: Registry, tmp_path: Path) -> None:
    found = check(GOOD + "[basis]\nreport = 5\ntarget_fpir = 2\nprotocoll = 'x'", registry, tmp_path)
    assert [problem.partition(":")[0] for problem in found] == [
        "basis.protocoll",
        "basis.report",
        "basis.target_fpir",
        "basis.digest",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace('permit = "demo"', ""), "permit: missing, expected 'demo' or 'development' or 'authority'"),
        (
            GOOD.replace('"demo"', '"dev"'),
            "permit: expected 'demo' or 'development' or 'authority', got 'dev'",
        ),
        (GOOD.replace("photographs", ""), "watchlist.images: expected a folder or a list of folders, optional, got ''"),
        (
            GOOD.replace('"photographs"', "[]"),
            "watchlist.images: expected a folder or a list of folders, optional, got []",
        ),
    ],
)
def test_a_mistake_in_what_is_required(text: str, problem: str, registry: Registry, tmp_path: Path) -> None:
    assert check(text, registry, tmp_path) == (problem,)


def test_all_mistakes_come_at_once_in_the_order_of_the_file(registry: Registry, tmp_path: Path) -> None:
    text = """
        name = "Yard"
        [watchlist]
        threshold = 7
        [[cameras]]
        plugin = "avi"
        [[cameras]]
        name = "${env:NO_SUCH_VARIABLE}"
        options = { url = 5, timeout = 1 }
        [[sinks]]
        plugin = "post"
        options = { address = 1 }
    """
    assert [problem.partition(":")[0] for problem in check(text, registry, tmp_path)] == [
        "permit",
        "name",
        "watchlist.threshold",
        "watchlist.images",
        "cameras[0].name",
        "cameras[0].plugin",
        "cameras[1].name",
        "cameras[1].options.timeout",
        "cameras[1].options.url",
        "sinks[0].options.address",
    ]


def test_the_heading_counts_the_mistakes(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text("name = 1", encoding="utf-8")
    with pytest.raises(
        ProfileError, match=rf"^{re.escape(str(path))}: 4 mistakes\n  {re.escape(str(path))}: permit: mis"
    ):
        load_profile(path, registry)


GOVERNED = """
    name = "yard"
    permit = "authority"
    [[cameras]]
    name = "gate"
    options = { url = "rtsp://192.0.2.7/" }
    [watchlist]
    file = "list.lfrlist"
    [governance]
    vault = "vault"
    pack = "uk-met"
    start = "sealed"
    [[anchors]]
    plugin = "print"
"""


def test_a_run_under_an_authority_has_a_vault_and_a_sealed_list(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(GOVERNED, encoding="utf-8")
    profile, _ = load_profile(path, registry)
    assert profile.governance is not None
    assert (profile.governance.pack, profile.governance.start) == ("uk-met", "sealed")


@pytest.mark.parametrize(
    ("before", "after", "problems"),
    [
        (
            'permit = "authority"',
            'permit = "demo"',
            [
                "watchlist.images: missing, expected a folder or a list of folders",
                'watchlist.file: expected nothing here: a sealed list needs permit = "authority"',
                'governance: expected nothing here without permit = "authority"',
            ],
        ),
        (
            'file = "list.lfrlist"',
            'images = "photographs"',
            [
                "watchlist.file: missing, expected the sealed list that `lfr-kernel watchlist build` made",
                "watchlist.images: expected nothing here: an authority takes a sealed list only",
            ],
        ),
        (
            '[governance]\n    vault = "vault"\n    pack = "uk-met"\n    start = "sealed"',
            "",
            ['governance: missing, expected a table: permit = "authority" needs vault and pack'],
        ),
        (
            '[[anchors]]\n    plugin = "print"',
            "",
            [
                (
                    "anchors: missing, expected an [[anchors]] table: what the audit is proved by has to leave this "
                    "machine, to a file on another medium or onto paper"
                )
            ],
        ),
        ('start = "sealed"', "", ["governance.start: missing, expected 'sealed' or 'operator-unlock'"]),
    ],
)
def test_a_run_under_an_authority_takes_nothing_else(
    before: str, after: str, problems: list[str], registry: Registry, tmp_path: Path
) -> None:
    assert before in GOVERNED
    assert list(check(GOVERNED.replace(before, after), registry, tmp_path)) == problems


# ---- files -----------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_used(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    with pytest.raises(ProfileError, match="expected a TOML file, found none there; check the path"):
        load_profile(path, registry)
    with pytest.raises(ProfileError, match="expected a TOML file, got a folder"):
        load_profile(tmp_path, registry)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ProfileError, match=r"expected UTF-8 text, got something else from byte 8; is it TOML\?"):
        load_profile(path, registry)
    with pytest.raises(ProfileError, match="cannot be read: File name too long"):
        load_profile(tmp_path / ("x" * 5000), registry)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "expected TOML, got a syntax error: Invalid value (at end of document)"),
        (
            "name = 'a'\nname = 'b'\n",
            "expected TOML, got a syntax error: Cannot overwrite a value (at line 2, column 11)",
        ),
        ("x = " + "9" * 5000, "expected TOML, got a syntax error: Exceeds the limit"),
        ("x = " + "[" * 10000, "expected TOML, got tables or lists nested too deeply"),
        ("\0", "expected TOML, got a syntax error: Invalid statement (at line 1, column 1)"),
    ],
)
def test_what_is_not_toml(text: str, problem: str, registry: Registry, tmp_path: Path) -> None:
    (found,) = check(text, registry, tmp_path)
    assert found.startswith(problem)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever may read everything cannot be refused")
def test_a_file_without_permission(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(GOOD, encoding="utf-8")
    path.chmod(0)
    with pytest.raises(ProfileError, match="cannot be read: Permission denied"):
        load_profile(path, registry)


def test_a_file_that_the_system_refuses(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ProfileError, match=r"yard\.toml: cannot be read: Permission denied"):
        load_profile(tmp_path / "yard.toml", registry)


# ---- placeholders and secrets ----------------------------------------------------------------------------------


def test_here_is_the_folder_of_the_profile(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yard.toml").write_text(GOOD.replace("photographs", "${here}/photographs"), encoding="utf-8")
    profile, _ = load_profile(Path("yard.toml"), registry)
    assert profile.watchlist.images == f"{tmp_path}/photographs"


SECRET = 'hunter2"\\ü'  # noqa: S105  (nobody's)
WITH_SECRETS = """
name = "yard"
permit = "development"
[[cameras]]
name = "front"
options = { url = "rtsp://operator:${env:LFR_TEST_SECRET}@camera/stream?token=${env:LFR_TEST_SECRET}" }
[watchlist]
images = "${here}/${env:LFR_TEST_SECRET}"
[[sinks]]
plugin = "post"
options = { address = "${env:LFR_TEST_SECRET}" }
"""


@pytest.fixture
def secretive(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Profile, Any]:
    monkeypatch.setenv("LFR_TEST_SECRET", SECRET)
    path = tmp_path / "yard.toml"
    path.write_text(WITH_SECRETS, encoding="utf-8")
    return load_profile(path, registry)


def test_secrets_reach_the_options(secretive: tuple[Profile, Any]) -> None:
    profile, _ = secretive
    assert profile.cameras[0].options.url == f"rtsp://operator:{SECRET}@camera/stream?token={SECRET}"
    assert profile.sinks[0].options.address == SECRET


def test_a_profile_never_shows_a_secret(secretive: tuple[Profile, Any]) -> None:
    profile, redact = secretive
    for part in (profile, *profile.cameras, *profile.sinks, profile.watchlist):
        for text in (repr(part), str(part), f"{part}", pretty_repr(part)):
            assert "hunter2" not in text
            assert "operator" not in text
    assert repr(profile.cameras[0]) == "CameraSection(name=…, plugin=…, options=…)"
    assert "threshold=0.6" in repr(profile)
    assert "hunter2" not in redact(f"cannot open {profile.cameras[0].options.url}")


def test_a_mistake_shows_the_variable_and_not_its_value(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LFR_TEST_SECRET", SECRET)
    text = (
        GOOD + 'threshold = "${env:LFR_TEST_SECRET}"\nreader = "${env:LFR_TEST_SECRET}"\n[[sinks]]\nplugin = "post"\n'
    )
    text += 'name = "${env:LFR_TEST_SECRET}"\noptions = { address = ["x", "${env:LFR_TEST_SECRET}"] }'
    problems = check(text, registry, tmp_path)
    assert not any("hunter" in problem for problem in problems)
    assert problems == (
        "watchlist.threshold: expected a number from 0.2 to 1, got '${env:LFR_TEST_SECRET}'",
        "watchlist.reader: expected an installed camera plugin, one of: av, images; got '${env:LFR_TEST_SECRET}'",
        "sinks[0].name: expected 1 to 32 lower-case letters, digits, - and _, got '${env:LFR_TEST_SECRET}'",
        (
            "sinks[0].options.address: expected text, got ['x', '${env:LFR_TEST_SECRET}'] "
            "(sink plugin 'post' of lfr-post 2.0)"
        ),
    )


def test_a_variable_that_is_not_set_is_one_mistake(registry: Registry, tmp_path: Path) -> None:
    assert check(GOOD + 'threshold = "${env:LFR_NOT_SET}"', registry, tmp_path) == (
        "watchlist.threshold: expected the environment variable LFR_NOT_SET to be set, got ${env:LFR_NOT_SET}",
    )


@pytest.mark.parametrize("placeholder", ["${home}", "${env:}", "${}", "${env}"])
def test_an_unknown_placeholder(placeholder: str, registry: Registry, tmp_path: Path) -> None:
    assert check(GOOD.replace("photographs", placeholder), registry, tmp_path) == (
        f"watchlist.images: expected ${{env:NAME}} or ${{here}}, got {placeholder}",
    )


KEYS = st.text(max_size=5) | st.sampled_from(
    [*Profile.__struct_fields__, "plugin", "options", "reader", "images", "url"]
)
TOML = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.datetimes()
    | st.sampled_from(["av", "demo", "post", "${here}", "${env:LFR_NOT_SET}", "${env:PATH}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(data=st.dictionaries(KEYS, TOML, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_a_profile_or_has_problems(data: dict[str, Any], registry: Registry) -> None:
    try:
        parse_profile(data, registry, source="any.toml", here=Path("/here"))
    except ProfileError as error:
        assert error.problems  # noqa: PT017  (any other error must come through)


# ---- what is documented ----------------------------------------------------------------------------------------


def _settings(config: type[Struct], path: str) -> Iterator[tuple[str, str, Any]]:
    """Yield (key path, help, type) of each setting in a Struct and in those within it."""
    hints = get_type_hints(config, include_extras=True)
    for one in describe_config(config):
        inner = struct_of(hints[one["name"]])
        if inner is None:
            yield f"{path}.{one['name']}", one["help"], one["type"]
        else:
            assert inner.__doc__
            yield from _settings(inner, f"{path}.{one['name']}")


def test_every_setting_has_a_description() -> None:
    installed = [one for one in Registry.discover() if one.distribution == "lfr-kernel"]
    assert installed
    found = list(_settings(Profile, "profile"))
    for one in installed:
        found += _settings(one.plugin.config, f"{one.plugin.stage}.{one.plugin.name}")
    assert not [path for path, text, _ in found if not text]


def test_every_default_is_within_its_own_bounds() -> None:
    for one in Registry.discover():
        for field in msgspec.structs.fields(one.plugin.config):
            if not field.required:
                hint = get_type_hints(one.plugin.config, include_extras=True)[field.name]
                factory = field.default_factory
                default = factory() if factory is not msgspec.NODEFAULT else field.default
                assert msgspec.convert(msgspec.to_builtins(default), hint) == default, describe_type(hint)


def test_the_settings_in_the_readme_are_those_of_the_code() -> None:
    text = (PROFILES / "README.md").read_text(encoding="utf-8")
    assert with_reference(text, settings_reference(Registry.discover())) == text, (
        "stale: call lfr_kernel.cli.settings.refresh(Path('profiles/README.md'))"
    )


def test_a_document_without_markers_is_refused() -> None:
    assert with_reference(f"a\n{BEGIN}\nold\n{END}\nb\n", "new\n") == f"a\n{BEGIN}\n\nnew\n\n{END}\nb\n"
    with pytest.raises(ValueError, match="found at least one of them missing"):
        with_reference("a\nb\n", "new")


def test_defaults_are_written_as_toml_writes_them() -> None:
    for value in (5, 0.5, True, 'a"b\\ü', [1, "x"], {"a": [True]}):
        assert tomllib.loads(f"x = {toml_of(value)}") == {"x": value}
    assert toml_of(None) == "-"


@pytest.mark.parametrize("name", ["demo.toml", "van.toml"])
def test_the_profiles_in_the_tree_are_good(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = PROFILES / name
    for variable in re.findall(r"\$\{env:(\w+)\}", path.read_text(encoding="utf-8")):
        monkeypatch.setenv(variable, "secret-" + variable)
    profile, _ = load_profile(path, Registry.discover())
    assert profile.name == path.stem


SINK = """
[[sinks]]
plugin = "{plugin}"
details = {details}
evidence = {evidence}
options = {{ address = "{address}" }}
"""


def with_sink(
    text: str, plugin: str = "post", address: str = "nobody", *, details: bool = True, evidence: bool = True
) -> str:
    flags = {"details": str(details).lower(), "evidence": str(evidence).lower()}
    return text + SINK.format(plugin=plugin, address=address, **flags)


def test_by_default_a_sink_gets_neither_details_nor_pictures(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(GOOD + '[[sinks]]\nplugin = "post"', encoding="utf-8")
    (sink,) = load_profile(path, registry)[0].sinks
    assert (sink.details, sink.evidence) == (False, False)
    assert str(outgoing_of(sink, registry)) == "id, camera, time and state"


def test_pictures_need_details(registry: Registry, tmp_path: Path) -> None:
    assert check(with_sink(GOOD, details=False), registry, tmp_path) == (
        "sinks[0].evidence: expected details = true with it: whoever sees both faces is told who it may be, too",
    )


def test_under_an_authority_pictures_leave_only_where_something_protects_them(
    registry: Registry, tmp_path: Path
) -> None:
    (problem,) = check(with_sink(GOVERNED), registry, tmp_path)
    assert problem == (
        'sinks[0].evidence: under permit = "authority" pictures leave only over TLS or sealed to a key, and nothing '
        "protects what sink plugin 'post' of lfr-post 2.0 delivers with these options; set evidence = false, or "
        "options that protect it: see `lfr-kernel plugins`"
    )
    assert check(with_sink(GOVERNED, "sealed"), registry, tmp_path) == (problem.replace("'post'", "'sealed'"),)
    assert check(with_sink(GOVERNED, "sealed", "broken"), registry, tmp_path) == (
        "sinks[0].evidence: sink plugin 'sealed' of lfr-post 2.0: `protects` failed: RuntimeError: it cannot say",
    )


@pytest.mark.parametrize(
    ("text", "says", "is_bare"),
    [
        (with_sink(GOVERNED, "sealed", "eva"), "details and pictures, sealed to eva", False),
        (with_sink(GOVERNED, evidence=False), "details", False),
        (with_sink(GOVERNED, "sealed", "eva", details=False, evidence=False), "id, camera, time and state", False),
        (with_sink(GOOD), "details and pictures, not protected on their way", True),
    ],
)
def test_what_leaves_is_said(registry: Registry, tmp_path: Path, text: str, says: str, *, is_bare: bool) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(text, encoding="utf-8")
    profile, _ = load_profile(path, registry)
    outgoing = outgoing_of(profile.sinks[0], registry)
    assert str(outgoing).startswith(says)
    assert outgoing.is_bare == is_bare
    expect_protected(profile, registry)


def test_a_run_looks_again_whatever_its_profile_was_read_by(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "yard.toml"
    path.write_text(with_sink(GOVERNED, "sealed", "eva"), encoding="utf-8")
    profile, _ = load_profile(path, registry)
    bare = msgspec.structs.replace(profile.sinks[0], options=PostConfig())
    session = Session(msgspec.structs.replace(profile, sinks=(bare,)), registry)
    with pytest.raises(PermitRefusedError, match="sink 'sealed' would be given pictures: under permit"):
        session.check_permit()
