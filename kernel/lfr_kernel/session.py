"""A session: one profile, run from permit to summary.

In this order, and each step is refused by the one before it: permit, cited report, models, watchlist, actors. What was
opened is closed and erased in reverse, whatever happens.
"""

from __future__ import annotations

import math
import os
import secrets
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from msgspec import Struct, structs

from lfr_kernel.citation import in_force, read_cited
from lfr_kernel.enrolment import enrol, find_photos
from lfr_kernel.governance.basis import NO_REPORT, judge
from lfr_kernel.governance.deployment.looking import Tally
from lfr_kernel.governance.permit import PermitRefusedError, issue_builtin
from lfr_kernel.governance.rules import load_pack
from lfr_kernel.memory import harden, limit_arenas
from lfr_kernel.messages import Biometric
from lfr_kernel.models import Models
from lfr_kernel.outgoing import expect_protected
from lfr_kernel.pipeline import Parts, Pipeline
from lfr_kernel.plugins import PluginError
from lfr_kernel.runtime import LfrError, SystemClock, ThreadLane, describe
from lfr_kernel.stages.desk import EvidenceStore
from lfr_kernel.stages.detector import LOAD_S
from lfr_kernel.stages.residency import MAX_RESIDENCY_S, Residency
from lfr_kernel.telemetry.summary import AuthoritySummary, Summary, iso, summarise, summarise_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.governance.basis import Basis, Coverage, InForce
    from lfr_kernel.governance.conditions import Conditions
    from lfr_kernel.governance.deployment.governed import Governed
    from lfr_kernel.governance.permit import Permit, PermitIssuer
    from lfr_kernel.governance.watchlist import Listed
    from lfr_kernel.messages import Alert, Outcome
    from lfr_kernel.plugins import Registry
    from lfr_kernel.profile import Profile
    from lfr_kernel.runtime import Clock, Lane
    from lfr_kernel.stages.camera import Camera, Pace
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.telemetry.summary import WatchlistSummary

__all__ = ["Listener", "Session", "StoppedBeforeStartError", "cores"]

VAULT_S = 30.0
"""How long anchors may take to leave at the end of a run."""
UNHURRIED_S = math.inf
"""What opens, wipes or accounts is waited for: past a deadline it would go on in a thread that nobody waits for."""


class Listener(Struct, frozen=True, kw_only=True):
    """Who is told what happens in a session, as it happens. Each must be quick: it runs on the event loop."""

    log: Callable[..., None] = lambda *_, **__: None
    enrolled: Callable[[int, int], None] = lambda _done, _all: None
    fact: Callable[[Alert | Outcome], None] = lambda _: None


class StoppedBeforeStartError(LfrError):
    """The session was told to stop while it was still loading."""


class Session:
    """Runs one profile once. `run` it, ask `summary` at any time, `stop` it from the event loop's thread."""

    def __init__(
        self,
        profile: Profile,
        registry: Registry,
        *,
        issue: PermitIssuer = issue_builtin,
        governed: Governed | None = None,
        listener: Listener | None = None,
        clock: Clock | None = None,
        max_residency_s: float = MAX_RESIDENCY_S,
    ) -> None:
        """Prepare a session; nothing is opened yet.

        Args:
            profile: what to run.
            registry: the plugins that are installed.
            issue: decides whether the system may capture.
            governed: the run under an authority that this is; it then issues the permit, opens the list and says how
                long buffers may live. It is closed with the session.
            listener: told what happens.
            clock: the machine's, if not given.
            max_residency_s: how long a crop or template of somebody who passes may live.
        """
        self.profile = profile
        self.run_id = secrets.token_hex(3)
        self.permit: Permit | None = None
        self.basis: Basis | None = None
        self._tested: Conditions | None = None
        self._judge: Callable[[float], Basis] | None = None
        self._registry = registry
        self._governed = governed
        self._issue = governed.issue if governed else issue
        self._listener = listener or Listener()
        self._clock = clock or SystemClock()
        self._max_residency_s = governed.plan.pack.rules.max_residency_s if governed else max_residency_s
        self._residency = Residency(self._clock.monotonic_ns, bound_s=self._max_residency_s)
        self._listed: Listed | None = None
        self._list_summary: WatchlistSummary | None = None
        self._models = Models(self._plugin, registry, self._listener.log)
        self._pipeline: Pipeline | None = None
        self._preparing: anyio.CancelScope | None = None
        self._stop_reason: str | None = None
        self._ended: str | None = None
        self._began_ns = self._ended_ns = self._began_at_ns = 0

    @property
    def is_started(self) -> bool:
        """Whether there is anything to summarise."""
        return self._pipeline is not None

    def stop(self, reason: str) -> None:
        """Begin to stop, in good order; the first reason given stands."""
        self._stop_reason = self._stop_reason or reason
        if self._pipeline is not None:
            self._pipeline.system.stop(reason)
        elif self._preparing is not None:
            self._preparing.cancel()

    def check_permit(self) -> dict[str, Pace]:
        """Ask for the permit, and return the pace of each camera. Opens nothing.

        Raises:
            PermitRefusedError: the system may not capture, or pictures would leave it that nothing protects.
        """
        expect_protected(self.profile, self._registry)
        paces = {}
        for section in self.profile.cameras:
            camera: Camera = self._plugin("camera", section)
            paces[section.name] = camera.pace
            camera.close()
        self.permit = self._issue(self.profile.permit, paces)
        return paces

    async def run(self, *, duration_s: float | None = None) -> Summary:
        """Run to the end of the input, for `duration_s`, or until `stop`.

        Raises:
            ActorFailed: a stage failed for good; `summary` tells how far the session came.
            LfrError: it could not start, or was stopped before it had; the text says why.
        """
        limit_arenas()
        for missing in harden():
            self._listener.log("memory_not_hardened", what=missing)
        compute = ThreadLane("compute", clock=self._clock, workers=self.profile.runtime.compute_threads or cores())
        # Apart from the system, which closes its lanes when it ends: the account of a run goes on after that.
        vault = ThreadLane("vault", clock=self._clock) if self._governed else None
        Biometric.watch = self._residency
        failure: BaseException | None = None
        try:
            paces = await (vault or compute).run(self.check_permit, deadline_s=LOAD_S)
            self._refuse_stopped()
            with anyio.CancelScope() as self._preparing:
                detector, embedder, listed = await self._prepare(compute, vault)
            self._refuse_stopped()
            with closing(EvidenceStore(listed.portrait)) as evidence:
                self._pipeline = Pipeline(
                    Parts(
                        profile=self.profile,
                        run_id=self.run_id,
                        paces=paces,
                        models=self._models,
                        detector=detector,
                        embedder=embedder,
                        listed=listed,
                        threshold=self._threshold,
                        evidence=evidence,
                        permit=str(self.permit),
                        basis=self.basis or NO_REPORT,
                        conditions=self._tested,
                        compute=compute,
                        max_residency_s=self._max_residency_s,
                        governed=self._governed,
                        vault=vault,
                        plugin=self._plugin,
                        stop=self.stop,
                        log=self._listener.log,
                        fact=self._listener.fact,
                    ),
                    self._clock,
                )
                if self._pipeline.warden is not None:
                    self._pipeline.warden.rests_on = self._rest_on
                return await self._run(self._pipeline, duration_s)
        except BaseException as error:
            failure = error
            raise
        finally:
            Biometric.watch = None
            self._models.close()
            compute.close()
            if self._listed is not None:
                self._listed.erase()
            if self._governed is not None and vault is not None:
                await self._close_account(self._governed, vault, failure)

    def _refuse_stopped(self) -> None:
        if self._stop_reason is not None:
            raise StoppedBeforeStartError(f"stopped before it had started ({self._stop_reason})")

    async def _close_account(self, governed: Governed, vault: Lane, failure: BaseException | None) -> None:
        """Write down how the run ended, unless its list was wiped, which was written down then."""
        has_failed = failure is not None and not isinstance(failure, StoppedBeforeStartError)
        is_over = self._pipeline is not None and self._pipeline.warden is not None and self._pipeline.warden.is_over
        with anyio.CancelScope(shield=True):
            try:
                if is_over:
                    await vault.run(governed.settle, deadline_s=UNHURRIED_S)
                else:
                    tally = self._pipeline.tally() if self._pipeline else Tally(seen=0, alerts=0)
                    why = "failed" if has_failed else "stopped"
                    # On the vault's lane, where an opening that nobody waits for any more may still be under way.
                    await vault.run(governed.stopped, why, tally, has_failed, deadline_s=UNHURRIED_S)
                for problem in await vault.run(governed.deliver, deadline_s=VAULT_S):
                    self._listener.log("anchor_not_delivered", problem=problem)
            except LfrError as error:
                # The next start finds a run that did not say how it ended, and says so in the chain.
                self._listener.log("account_not_closed", error=describe(error))
            finally:
                await vault.run(governed.close, deadline_s=UNHURRIED_S)
                vault.close()

    async def _prepare(self, compute: Lane, vault: Lane | None) -> tuple[Detector, Embedder, Listed]:
        cited = await compute.run(read_cited, self.profile.basis, deadline_s=LOAD_S)
        self._tested = cited.conditions if cited else None
        detector: Detector = await self._models.load(compute, "detector", self.profile.detector)
        embedder: Embedder = await self._models.load(compute, "embedder", self.profile.embedder)
        if self._governed is not None and vault is not None:
            self._governed.cited, self._governed.detector = cited, detector.digest
            self._governed.anchors = {one.title: self._plugin("anchor", one) for one in self.profile.anchors}
            self._listed = await vault.run(self._open_list, self._governed, embedder.digest, deadline_s=UNHURRIED_S)
            if self._governed.warnings:
                self._listener.log("authority_incomplete", warnings=list(self._governed.warnings))
        else:
            self._listed = await self._enrol(compute, detector, embedder)
        self._list_summary = summarise_list(self._listed, self._threshold)
        for rejected in self._listed.rejected:
            self._listener.log("photograph_rejected", photo=rejected.photo, reason=rejected.reason)
        if self._governed is None:
            for person in self._listed.unlisted:
                self._listener.log("person_not_listed", person=person)
        elif self._listed.unlisted:
            # A log names nobody on a governed list; their entries were named above.
            self._listener.log("people_not_listed", people=len(self._listed.unlisted))
        for finding in self._listed.findings:
            self._listener.log("photograph_resembles", kind=finding.kind, finding=str(finding))
        known = (self.profile, detector.digest, embedder.digest, len(self._listed))
        # Options may have to look into a model's card to say what counts.
        now = await compute.run(in_force, *known, deadline_s=LOAD_S)
        self._judge = partial(_judged_at, cited, (self.profile.basis.digest or "").lower(), now)
        self._rest_on(self._threshold)
        return detector, embedder, self._listed

    @property
    def _threshold(self) -> float:
        return self._governed.threshold if self._governed else self.profile.watchlist.threshold

    def _rest_on(self, threshold: float) -> None:
        """Judge what a threshold rests on that is in force from now on, and say so wherever it is said."""
        if self._judge is None or self._list_summary is None:
            raise RuntimeError("nothing was loaded yet that a threshold could be for")
        self.basis = self._judge(threshold)
        self._list_summary = structs.replace(self._list_summary, threshold=threshold)
        self._listener.log("threshold_basis", **structs.asdict(self.basis))
        if self._pipeline is not None:
            self._pipeline.rest_on(self.basis)

    def _open_list(self, governed: Governed, model: str) -> Listed:
        reader = self._registry.get("camera", self.profile.watchlist.reader)
        if reader.stills is None:
            raise PluginError(
                f"camera plugin {reader.name!r} cannot unpack the portraits of a sealed list; choose another "
                "[watchlist] reader, such as `images`"
            )
        return governed.open_list(model, self.profile.watchlist.reader, reader.stills())

    async def _enrol(self, compute: Lane, detector: Detector, embedder: Embedder) -> Listed:
        listed = await enrol(
            await compute.run(find_photos, self.profile.watchlist.images or (), deadline_s=LOAD_S),
            reader=self._registry.get("camera", self.profile.watchlist.reader),
            detector=detector,
            embedder=embedder,
            lane=compute,
            gates=self.profile.watchlist.gates,
            progress=self._listener.enrolled,
        )
        most = load_pack("demo").pack.rules.max_entries
        if self.profile.permit == "demo" and len(listed) > most:
            listed.erase()
            raise PermitRefusedError(
                f"the demo permit is for {most} people at most, and {len(listed)} are listed; list fewer, or permit = "
                '"development" to build and test among yourselves'
            )
        return listed

    async def _run(self, pipeline: Pipeline, duration_s: float | None) -> Summary:
        failure: Exception | None = None
        self._began_ns = self._clock.monotonic_ns()
        self._began_at_ns = self._clock.utc_ns()
        async with anyio.create_task_group() as tasks:
            if duration_s is not None:
                tasks.start_soon(self._stop_after, duration_s)
            try:
                self._ended = await pipeline.system.run()
            except Exception as error:  # noqa: BLE001  (raised below, outside of the group that would wrap it)
                failure = error
                self._ended = f"failed: {describe(error)}"
            tasks.cancel_scope.cancel()
        self._ended_ns = self._clock.monotonic_ns()
        if failure is not None:
            raise failure
        return self.summary()

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.stop("duration")

    def _plugin(self, stage: str, section: Any, *extra: Any) -> Any:
        """Create a plugin. Its own LfrErrors pass as they are; any other error gets its name and origin."""
        installed = self._registry.origin(stage, section.plugin)
        try:
            return installed.plugin.create(section.options, *extra)
        except LfrError:
            raise
        except Exception as error:
            raise PluginError(
                f"{stage} plugin {section.plugin!r} of {installed.origin} could not be created: {describe(error)}"
            ) from error

    def summary(self) -> Summary:
        """Return how things stand, or how they ended.

        Raises:
            RuntimeError: the session has not started its actors.
        """
        if self._pipeline is None or self._list_summary is None or self.basis is None:
            raise RuntimeError("the session has not started: there is nothing to summarise")
        basis = self._pipeline.basis_of_run() if self._ended else self._pipeline.basis()
        now_ns = self._ended_ns or self._clock.monotonic_ns()
        return summarise(
            self._pipeline.facts(self._residency.facts()),
            run=self.run_id,
            profile=self.profile.name,
            permit=str(self.permit),
            authority=self._authority(),
            basis=basis,
            began_at_ns=self._began_at_ns,
            ended=self._ended or "running",
            duration_s=(now_ns - self._began_ns) / 1e9,
            watchlist=self._list_summary,
            models=self._models.loaded,
        )

    def _authority(self) -> AuthoritySummary | None:
        governed = self._governed
        if governed is None or governed.deployment is None:
            return None
        deployment, warden = governed.deployment, self._pipeline.warden if self._pipeline else None
        return AuthoritySummary(
            id=deployment.authority,
            deployment=deployment.serial,
            pack=governed.plan.pack.name,
            starts=iso(deployment.term.starts_ns),
            ends=iso(deployment.term.ends_ns),
            remaining_s=None if warden is None else warden.remaining_s,
            list=deployment.list,
            threshold=governed.threshold,
            warnings=governed.warnings,
            mark=governed.plan.pack.rules.mark,
            is_over=warden is not None and warden.is_over,
            is_wiped=warden is not None and warden.is_wiped,
            is_suspended=warden is not None and warden.is_suspended,
        )


def _judged_at(cited: Coverage | None, digest: str, now: InForce, threshold: float) -> Basis:
    return judge(cited, digest, structs.replace(now, threshold=threshold))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
