"""The parts of a profile, as frozen Structs: defaults, bounds and help in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct, field

from lfr_kernel.stages.quality import EnrolmentGates

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AnchorSection",
    "BasisSection",
    "CameraSection",
    "EmbedderSection",
    "GovernanceSection",
    "Profile",
    "RuntimeSection",
    "SinkSection",
    "StageSection",
    "WatchlistSection",
]

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z", title="1 to 32 lower-case letters, digits, - and _")]
Text = Annotated[str, Meta(min_length=1)]
Options = Annotated[Any, Meta(title="a table", description="the plugin's own settings: see `lfr-kernel plugins`")]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a profile. Prints numbers and switches only: any text of it may hold a secret."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield name, len(value)
            else:
                yield name, value if isinstance(value, int | float | Section) else "…"


class CameraSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[cameras]]`: one source of pictures."""

    name: Annotated[Name, Meta(description="how alerts and screens call it")]
    plugin: Annotated[Text, Meta(description="camera plugin")] = "av"
    options: Options = field(default_factory=dict)


class StageSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[detector]`, `[tracker]`, `[index]`, `[retention]`: which plugin, and its settings."""

    plugin: Annotated[str, Meta(description="plugin of this stage; the built-in one if not given")] = ""
    options: Options = field(default_factory=dict)


class EmbedderSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[embedder]`: which plugin, and how it is used."""

    plugin: Annotated[str, Meta(description="embedder plugin; the built-in one if not given")] = ""
    mirror_live: Annotated[
        bool,
        Meta(
            description="average each passing face with its mirror image: two calls of the embedder for each of the "
            "few faces of a passage that are embedded, and fewer people missed who show their face only once"
        ),
    ] = True
    options: Options = field(default_factory=dict)


class WatchlistSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[watchlist]`: who is looked for."""

    images: Annotated[
        Text | Annotated[tuple[Text, ...], Meta(min_length=1)] | None,
        Meta(
            title="a folder or a list of folders",
            description="photographs of those who are looked for; one person a file, or a sub-folder with several. "
            "Required with the permits `demo` and `development`",
        ),
    ] = None
    file: Annotated[
        Text | None,
        Meta(
            description="the sealed list that `lfr-kernel watchlist build` made. Required with the permit `authority`, "
            "which takes no folder"
        ),
    ] = None
    threshold: Annotated[
        float,
        Meta(
            ge=0.2,
            le=1.0,
            description="pooled cosine similarity from which a passage alerts. For the bundled models, up to 444 "
            "listed people and one face a passage 0.61 keeps falsely alerted people under 0.5 %: docs/recognition.md",
        ),
    ] = 0.62
    early_margin: Annotated[
        float,
        Meta(
            ge=0.0,
            le=0.5,
            description="while a passage lasts, with k faces pooled, it alerts from threshold + early_margin / k; once "
            "it is over, from the threshold itself. An early alert is one of many looks: without a margin false alerts "
            "are some 1.5 to 2 times as many",
        ),
    ] = 0.06
    reader: Annotated[Text, Meta(description="camera plugin that reads photographs; it takes `path`")] = "images"
    gates: EnrolmentGates = field(default_factory=EnrolmentGates)


class BasisSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[basis]`: the evaluation report that the threshold rests on, and what the next one is made with."""

    report: Annotated[
        Text | None, Meta(description="the report.json of the evaluation that the threshold was chosen by")
    ] = None
    digest: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{64}\Z", title="64 hexadecimal digits")] | None,
        Meta(
            description="SHA-256 of that file, required with it: a report that was changed since, or another one, "
            "stops the start"
        ),
    ] = None
    protocol: Annotated[
        Text | None, Meta(description="the CSV of people and pictures that `lfr-kernel evaluate --for` tests with")
    ] = None
    target_fpir: Annotated[
        float,
        Meta(
            ge=1e-6,
            le=0.5,
            description="share of passages of people not listed that may raise an alert: what the threshold is chosen "
            "for, and a report must have been",
        ),
    ] = 0.005


class OutletSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What leaves this machine by a plugin, of which there may be several."""

    plugin: Annotated[Text, Meta(description="plugin that takes it")]
    name: Annotated[Name, Meta(description="to tell two of a kind apart; the plugin's name if not given")] = ""
    options: Options = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.plugin


class AnchorSection(OutletSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[anchors]]`: where anchors of the audit go, off this machine or onto paper."""


class SinkSection(OutletSection, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[sinks]]`: where alerts go."""

    details: Annotated[
        bool,
        Meta(
            description="more than id, camera, time and state leaves: person, similarity, quality and all else that an "
            "alert says"
        ),
    ] = False
    evidence: Annotated[
        bool,
        Meta(
            description="whether this sink may see probe and listed photograph; needs `details = true`. With the "
            "permit `authority` only where they leave over TLS or sealed to a key"
        ),
    ] = False


class RuntimeSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[runtime]`: how the machine is used."""

    compute_threads: Annotated[int, Meta(ge=0, le=64, description="threads for inference; 0: one a core")] = 0
    call_deadline_s: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds after which a plugin's call is abandoned")
    ] = 10.0
    drain_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="seconds that a stop waits for what is under way; cutting the rest short takes up to 3 more",
        ),
    ] = 5.0
    max_restarts: Annotated[
        int, Meta(ge=0, le=100, description="restarts of one stage within a minute before the run fails")
    ] = 5
    retention_period_s: Annotated[
        float, Meta(ge=1, le=3600, description="seconds between looks for records that have expired")
    ] = 60.0


class GovernanceSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[governance]`: by which rules a run with the permit `authority` stands, and which vault keeps account of it."""

    vault: Annotated[Text, Meta(description="the installation's folder, which `lfr-kernel installation new` has made")]
    pack: Annotated[
        Text, Meta(description="the rule pack: the name of a built-in one, or a TOML file; the organisation signed it")
    ]
    start: Annotated[
        Literal["sealed", "operator-unlock"],
        Meta(
            description="`sealed`: starts again by itself after a loss of power, so that whoever steals the running "
            "machine can decrypt the list; `operator-unlock`: a start waits for an operator's key"
        ),
    ]
    stricter: Annotated[
        dict[str, Any],
        Meta(
            title="a table",
            description="rules of the pack that this profile makes stricter, by name: see docs/rules.md",
        ),
    ] = field(default_factory=dict)


class Profile(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole profile."""

    name: Annotated[Name, Meta(description="of the profile, in every output")]
    permit: Annotated[
        Literal["demo", "development", "authority"],
        Meta(
            description="`demo` plays files only, with ten people at most; `development` opens cameras too, and is not "
            "for use on the public; `authority` captures only while a signed authority is in force"
        ),
    ]
    cameras: Annotated[tuple[CameraSection, ...], Meta(min_length=1, title="one [[cameras]] table or more")]
    watchlist: WatchlistSection
    detector: StageSection = field(default_factory=StageSection)
    tracker: StageSection = field(default_factory=StageSection)
    embedder: EmbedderSection = field(default_factory=EmbedderSection)
    index: StageSection = field(default_factory=StageSection)
    basis: BasisSection = field(default_factory=BasisSection)
    governance: GovernanceSection | None = None
    sinks: tuple[SinkSection, ...] = ()
    anchors: tuple[AnchorSection, ...] = ()
    retention: StageSection = field(default_factory=StageSection)
    runtime: RuntimeSection = field(default_factory=RuntimeSection)
