"""What the sink `webhook` promises: each alert once, to the server that the profile names and to no other."""

from __future__ import annotations

import json
import logging
import socket
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import cv2
import msgspec
import numpy as np
import pytest
from tests.plugins.certificates import Authority
from tests.plugins.receiving import Post, receiving
from tests.stages.conftest import Feeder

from lfr_kernel.api import Evidence, Notice, PassingError, PermanentError, SinkContext
from lfr_kernel.messages import Alert
from lfr_kernel.runtime import Edge, Policy, System, SystemClock, ThreadLane
from lfr_kernel.stages.sink import SinkHost, SinkLimits
from lfr_kernel.testing.conformance import check_sink
from lfr_kernel.testing.fakes import a_notice, an_alert
from lfr_plugins.sinks.config import WebhookConfig
from lfr_plugins.sinks.webhook import WebhookSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.plugins.receiving import Receiver

pytestmark = pytest.mark.anyio

TOKEN = "t0ken-of-the-control-room"  # noqa: S105  (of nobody)
EVIDENCE = Evidence(
    probe=np.full((112, 112, 3), (200, 30, 40), np.uint8), listed=np.full((224, 224, 3), (20, 60, 210), np.uint8)
)


async def inline(call: Callable[[], None]) -> None:
    call()


def context(*, pictures: bool = False, evidence: Callable[[str], Evidence] = lambda _: EVIDENCE) -> SinkContext:
    return SinkContext(evidence=evidence, run_blocking=inline, details=True, pictures=pictures)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.certify("server")


@pytest.fixture
def receiver(certificate: tuple[Path, Path]) -> Iterator[Receiver]:
    with receiving(certificate) as found:
        yield found


def sink(receiver: Receiver, authority: Authority, lent: SinkContext | None = None, **options: Any) -> WebhookSink:
    return WebhookSink(WebhookConfig(**{"url": receiver.url, "ca": str(authority.file), **options}), lent or context())


async def deliver(to: WebhookSink, notice: Notice | None = None) -> None:
    """Deliver once and close."""
    try:
        with anyio.fail_after(10):
            await to.deliver(notice or a_notice())
    finally:
        await to.close()


async def test_an_alert_is_posted_as_json_with_its_id_and_the_token(receiver: Receiver, authority: Authority) -> None:
    await deliver(sink(receiver, authority, token=TOKEN))
    (post,) = receiver.posts
    assert post.path == "/alerts"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["authorization"] == f"Bearer {TOKEN}"
    assert post.key == an_alert().id
    assert msgspec.json.decode(post.body, type=Notice) == a_notice()
    assert json.loads(post.body)["alert"]["person"] == "person-1"


async def test_without_details_no_more_leaves_than_that_there_is_an_alert(
    receiver: Receiver, authority: Authority
) -> None:
    await deliver(sink(receiver, authority), a_notice(details=False))
    (post,) = receiver.posts
    assert set(json.loads(post.body)) == {
        "type",
        "id",
        "camera",
        "captured_at_ns",
        "captured_at",
        "alerted_at_ns",
        "alerted_at",
        "state",
        "act_by_ns",
        "is_actionable",
        "permit",
    }
    assert b"person" not in post.body
    assert "authorization" not in post.headers


async def test_pictures_go_where_the_profile_says_so_and_only_there(receiver: Receiver, authority: Authority) -> None:
    await deliver(sink(receiver, authority, context(pictures=True)))
    await deliver(sink(receiver, authority, context(pictures=False)))
    first, second = receiver.posts
    parts = first.parts()
    assert {name: kind for name, (kind, _) in parts.items()} == {
        "notice": "application/json",
        "probe": "image/png",
        "listed": "image/png",
    }
    assert msgspec.json.decode(parts["notice"][1], type=Notice) == a_notice()
    for name, picture in (("probe", EVIDENCE.probe), ("listed", EVIDENCE.listed)):
        decoded = cv2.imdecode(np.frombuffer(parts[name][1], np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert np.array_equal(decoded[..., ::-1], picture)
    assert second.headers["content-type"] == "application/json"


async def test_an_alert_whose_pictures_were_erased_meanwhile_goes_alone(
    receiver: Receiver, authority: Authority
) -> None:
    def erased(reference: str) -> Evidence:
        raise KeyError(reference)

    await deliver(sink(receiver, authority, context(pictures=True, evidence=erased)))
    assert receiver.posts[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 409])
async def test_the_server_has_it(receiver: Receiver, authority: Authority, status: int) -> None:
    receiver.answers.append(status)
    await deliver(sink(receiver, authority))
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_the_server_may_have_it_later(receiver: Receiver, authority: Authority, status: int) -> None:
    receiver.answers.append(status)
    with pytest.raises(PassingError, match=f"^127.0.0.1:{receiver.port} answers {status}; it is tried again$"):
        await deliver(sink(receiver, authority))


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_is_wrong_with_the_sender_or_the_address_costs_no_alert(
    receiver: Receiver, authority: Authority, status: int
) -> None:
    receiver.answers.append(status)
    with pytest.raises(PassingError, match=f"answers {status}: .* check url, token and certificate in the profile"):
        await deliver(sink(receiver, authority, token=TOKEN))


@pytest.mark.parametrize("status", [400, 410, 413, 422])
async def test_the_server_refuses_it_for_good(receiver: Receiver, authority: Authority, status: int) -> None:
    receiver.answers.append(status)
    with pytest.raises(PermanentError, match=f"refuses the alert with {status}"):
        await deliver(sink(receiver, authority))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    receiver: Receiver, authority: Authority, certificate: tuple[Path, Path], status: int
) -> None:
    with receiving(certificate) as elsewhere:
        receiver.answers.append(status)
        receiver.location = elsewhere.url
        with pytest.raises(PermanentError, match="points elsewhere, which is not followed"):
            await deliver(sink(receiver, authority, token=TOKEN))
    assert elsewhere.posts == []
    assert len(receiver.posts) == 1


async def test_an_answer_without_end_is_not_read(receiver: Receiver, authority: Authority) -> None:
    receiver.is_endless = True
    await deliver(sink(receiver, authority))
    # Not more than what the buffers of both ends hold.
    assert receiver.sent < 64 << 20


async def test_the_outbox_tries_again_with_the_same_key_until_the_server_has_it(
    receiver: Receiver, authority: Authority
) -> None:
    receiver.answers.extend([503, 429, 201, 500])
    clock = SystemClock()
    lane = ThreadLane("sink:webhook", clock=clock)
    actor = SinkHost(
        "webhook",
        lambda lent: sink(receiver, authority, lent, token=TOKEN),
        lane,
        evidence=lambda _: EVIDENCE,
        details=True,
        pictures=True,
        limits=SinkLimits(first_backoff_s=0.001, max_backoff_s=0.002),
    )
    feeder = Feeder([Alert])
    feeder.give(an_alert(1), an_alert(2))
    feeder.end()
    edge = Edge(producer="feeder", consumer=actor.name, message=Alert, policy=Policy())
    with anyio.fail_after(20):
        await System([feeder, actor], [edge], lanes=[lane], clock=clock).run()
    facts = actor.facts()
    assert (facts.delivered, facts.retries, facts.given_up) == (2, 3, 0)
    assert [post.key for post in receiver.posts] == [an_alert(1).id] * 3 + [an_alert(2).id] * 2
    assert facts.last_error == f"127.0.0.1:{receiver.port} answers 500; it is tried again"


@pytest.mark.parametrize("details", [True, False])
async def test_it_keeps_the_contract_with_a_server_that_knows_what_it_has(
    receiver: Receiver, authority: Authority, *, details: bool
) -> None:
    had: set[str] = set()

    def once(post: Post) -> int:
        if post.key in had:
            return 409
        had.add(post.key)
        return 201

    receiver.usual = once
    config = WebhookConfig(url=receiver.url, ca=str(authority.file))
    with anyio.fail_after(20):
        await check_sink(partial(WebhookSink, config), delivered=lambda: len(had), details=details)
    assert len(receiver.posts) == 5


async def test_a_peer_that_is_away_is_tried_again(receiver: Receiver, authority: Authority) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}/secret-path"
        with pytest.raises(PassingError, match=r"cannot be reached: Connection refused; it is tried again$") as error:
            await deliver(sink(receiver, authority, url=url))
    assert "secret-path" not in str(error.value)


async def test_a_peer_that_says_nothing_is_not_waited_for(authority: Authority) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        config = WebhookConfig(url=f"https://{place}/", ca=str(authority.file), timeout_s=0.1)
        with pytest.raises(PassingError, match=f"^{place} did not answer in time"):
            await deliver(WebhookSink(config, context()))


async def test_a_server_of_another_authority_gets_nothing(
    authority: Authority, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    with receiving(certificate) as receiver:
        with pytest.raises(PassingError, match="its certificate does not hold"):
            await deliver(sink(receiver, Authority(tmp_path, "stranger"), token=TOKEN))
        with pytest.raises(PassingError, match="its certificate does not hold"):
            await deliver(sink(receiver, authority, ca=None, token=TOKEN))  # the system does not know it either
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("options", "why"),
    [({"host": "example.org"}, "mismatch"), ({"is_expired": True}, "expired")],
    ids=["another name", "expired"],
)
async def test_a_certificate_that_does_not_hold_is_refused(
    authority: Authority, options: dict[str, Any], why: str
) -> None:
    with receiving(authority.certify(f"server-{why}", **options)) as receiver:
        with pytest.raises(PassingError, match=f"its certificate does not hold: .*{why}"):
            await deliver(sink(receiver, authority))
        assert receiver.posts == []


async def test_a_server_may_ask_who_it_is(authority: Authority, certificate: tuple[Path, Path]) -> None:
    known, key = authority.certify("van-7")
    with receiving(certificate, clients=authority.file) as receiver:
        with pytest.raises(PassingError, match="cannot be reached"):
            await deliver(sink(receiver, authority))
        assert receiver.posts == []
        await deliver(sink(receiver, authority, certificate=str(known), key=str(key)))
        assert len(receiver.posts) == 1


async def test_files_that_are_no_certificates_fail_the_start(
    receiver: Receiver, authority: Authority, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("something else", encoding="utf-8")
    for ca in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(PermanentError, match="expected a PEM file of certificate authorities"):
            sink(receiver, authority, ca=str(ca))
    with pytest.raises(PermanentError, match="expected PEM files of a certificate and its key"):
        sink(receiver, authority, certificate=str(certificate[0]), key=str(wrong))


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await deliver(sink(receiver, authority))
    assert len(receiver.posts) == 1


async def test_session_keys_are_written_nowhere(
    receiver: Receiver, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    await deliver(sink(receiver, authority))
    assert not (tmp_path / "keys.log").exists()


async def test_to_this_machine_itself_it_may_go_without_tls() -> None:
    with receiving(None) as receiver:
        await deliver(WebhookSink(WebhookConfig(url=receiver.url), context()))
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("answer", [201, 401, 503, None])
async def test_no_secret_is_logged_shown_or_raised(
    authority: Authority, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture, answer: int | None
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with receiving(certificate) as receiver:
        config = WebhookConfig(url=f"{receiver.url}/s3cret-path?key=s3cret-key", ca=str(authority.file), token=TOKEN)
        receiver.answers.extend([answer] if answer else [])
        if answer is None:
            config = msgspec.structs.replace(config, ca=None)
        webhook = WebhookSink(config, context())
        try:
            await deliver(webhook)
        except (PassingError, PermanentError) as error:
            seen += traceback.format_exception(error)
    assert len(receiver.posts) == (answer is not None)
    seen += [repr(config), str(config), repr(webhook), config.place, str(config.protection), caplog.text]
    for secret in (TOKEN, "s3cret-path", "s3cret-key"):
        assert not [text for text in seen if secret in text]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "http://example.org/alerts"}, "expected https://"),
        ({"url": "http://127.0.0.1.example.org/"}, "expected https://"),
        ({"url": "http://localhost@example.org/"}, "without a name or password"),
        ({"url": "https://ada:s3cret@example.org/"}, "without a name or password"),
        ({"url": "ftp://example.org/"}, "expected an address such as"),
        ({"url": "example.org/alerts"}, "expected an address such as"),
        ({"url": "https:///alerts"}, "expected an address such as"),
        ({"url": "https://example.org:s3cret/"}, "expected an address such as"),
        ({"url": "https://[::1/"}, "expected an address such as"),
        ({"url": "https://example.org/a b"}, "expected an address such as"),
        ({"url": "https://example.org/\r\nX: y"}, "expected an address such as"),
        ({"url": "https://example.org/#s3cret"}, "without a # part"),
        ({"url": "https://example.org/", "token": "s3cret\r\nX: y"}, "printable ASCII"),
        ({"url": "https://example.org/", "token": "s3crèt"}, "printable ASCII"),
        ({"url": "https://example.org/", "certificate": "van.pem"}, "go together"),
        ({"url": "http://localhost/", "ca": "ca.pem"}, "are for https://"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        WebhookConfig(**options)
    assert "s3cr" not in str(error.value)


@pytest.mark.parametrize("url", ["http://localhost:8080/", "http://127.0.0.1/x", "http://[::1]:8080/"])
def test_plain_http_to_this_machine_protects_nothing(url: str) -> None:
    assert WebhookConfig(url=url).protection is None


def test_https_protects() -> None:
    assert WebhookConfig(url="https://example.org:8443/s3cret").protection == "over TLS to example.org:8443"
