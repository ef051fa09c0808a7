"""GatewayKeys stays usable while its endpoint fails, and asks it no more than it must."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from countersign_identity import GatewayKeys, IdentityUnavailable, StaticKeys
from countersign_identity._keys.fetch import FetchFailed, checked_url, fetch_document
from countersign_identity._keys.jwks import secret_keyid
from countersign_identity._keys.steps import arun, run
from countersign_identity.keys import retry_delay
from key_server import KeyServer, jwk_named, send


class Clock:
    """A clock and timers that move only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.delays: list[float] = []
        self._due: Callable[[], None] | None = None
        self._scheduled = threading.Semaphore(0)

    def __call__(self) -> float:
        return self.now

    def later(self, delay: float, call: Callable[[], None]) -> Callable[[], None]:
        self.delays.append(delay)
        self._due = call
        self._scheduled.release()
        return lambda: None

    def fire(self) -> None:
        """Let the scheduled fetch begin, and wait until it has ended."""
        self.wait()
        self.now += self.delays[-1]
        assert self._due is not None
        self._due()

    def wait(self) -> None:
        assert self._scheduled.acquire(timeout=10)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer("first").running() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: KeyServer, clock: Clock) -> GatewayKeys:
    return GatewayKeys(server.url, clock=clock, later=clock.later)


def finds(keys: GatewayKeys, kid: str) -> bool:
    return run(keys.lookup(kid)) is not None


def test_a_secret_waits_for_the_first_key_set(server: KeyServer, clock: Clock) -> None:
    secret = b"a secret that no set names, of 32 bytes or more"
    keys = GatewayKeys(server.url, secrets=[secret], clock=clock, later=clock.later)
    fail(server)
    with pytest.raises(IdentityUnavailable):
        run(keys.lookup(secret_keyid(secret)))
    server.answer = None
    clock.now += 10
    assert finds(keys, secret_keyid(secret))


def fail(server: KeyServer) -> None:
    server.answer = lambda handler: send(handler, {}, 500)


def test_keys_are_fetched_at_start_and_found_without_another_fetch(server, clock, keys):
    assert not keys.ready
    keys.start()
    clock.wait()
    assert keys.ready
    assert finds(keys, "first")
    assert len(server.requests) == 1
    assert 450 <= clock.delays[0] <= 540  # The next fetch comes before 10 minutes are over.


def test_lookups_before_the_first_set_share_one_fetch_and_wait_for_it(server, keys):
    server.released.clear()
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(finds, keys, "first") for _ in range(20)]
        assert server.asked.acquire(timeout=10)
        server.released.set()
        assert all(one.result() for one in found)
    assert len(server.requests) == 1


def test_tasks_share_one_fetch_and_a_cancelled_one_takes_nothing_from_the_others(server, keys):
    async def ask() -> list[object]:
        server.released.clear()
        tasks = [asyncio.create_task(arun(keys.lookup("first"))) for _ in range(20)]
        await asyncio.to_thread(server.asked.acquire)
        tasks[0].cancel()
        server.released.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert all(hasattr(key, "verify") for key in others)
    assert len(server.requests) == 1


def test_a_flood_of_made_up_keyids_costs_one_fetch_in_a_cool_down(server, clock, keys):
    assert finds(keys, "first")
    assert not any(finds(keys, f"made-up-{number}") for number in range(100))
    assert len(server.requests) == 2
    clock.now += 29
    assert not finds(keys, "made-up")
    assert len(server.requests) == 2
    clock.now += 1
    assert not finds(keys, "made-up")
    assert len(server.requests) == 3


def test_a_new_key_is_found_at_once_and_so_is_the_next_one(server, keys):
    assert finds(keys, "first")
    for kid in ("second", "third"):
        server.serve("first", kid)
        assert finds(keys, kid)
    assert len(server.requests) == 3


def test_a_key_that_is_no_longer_published_is_refused_after_the_next_fetch(server, clock, keys):
    keys.start()
    server.serve("second")
    clock.fire()
    clock.wait()
    assert not finds(keys, "first")
    assert finds(keys, "second")


def test_a_lookup_that_joined_an_older_fetch_asks_once_more(server, clock, keys):
    assert finds(keys, "first")
    keys.start()
    assert server.asked.acquire(timeout=10)
    clock.wait()
    server.released.clear()
    clock._due()  # The refresh has been asked, but not answered, when the gateway publishes another key.
    assert server.asked.acquire(timeout=10)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(finds, keys, "second")
        answered = server.document
        server.answer = lambda handler: send(handler, answered if len(server.requests) < 4 else server.document)
        server.serve("first", "second")
        server.released.set()
        assert found.result(10)


def test_held_keys_stay_usable_for_an_hour_while_the_endpoint_fails_and_no_longer(server, clock, keys):
    assert finds(keys, "first")
    fail(server)
    clock.now += 3600
    assert finds(keys, "first")
    clock.now += 1
    with pytest.raises(IdentityUnavailable, match="keys_unavailable"):
        finds(keys, "first")
    assert not keys.ready


def test_a_set_that_is_too_old_is_fetched_at_once_although_no_fetch_is_due(server, clock):
    keys = GatewayKeys(server.url, clock=clock, later=clock.later, max_stale_sec=60)
    assert finds(keys, "first")
    clock.now += 61
    assert finds(keys, "first")
    assert len(server.requests) == 2


def test_an_unknown_key_is_unavailable_and_not_refused_while_the_last_fetch_failed(server, clock, keys):
    assert finds(keys, "first")
    fail(server)
    for _ in range(2):  # By the fetch itself, then by the cool-down.
        with pytest.raises(IdentityUnavailable):
            finds(keys, "second")
    assert finds(keys, "first")
    assert run(keys.lookup_agreement("any")) is None  # The gateway then signs with ed25519.
    assert len(server.requests) == 2


def test_an_unknown_key_is_looked_up_again_as_soon_as_fetches_work_again(server, clock, keys):
    keys.start()
    clock.wait()
    fail(server)
    with pytest.raises(IdentityUnavailable):
        finds(keys, "second")
    server.answer = None
    clock.fire()
    clock.wait()
    server.serve("first", "second")
    assert finds(keys, "second")


def test_without_a_set_lookups_do_not_ask_again_before_the_back_off_ends(server, clock, keys):
    fail(server)
    for _ in range(5):
        with pytest.raises(IdentityUnavailable):
            finds(keys, "first")
        with pytest.raises(IdentityUnavailable):
            run(keys.lookup_agreement("any"))
    assert len(server.requests) == 1
    clock.now += 0.25
    server.answer = None
    assert finds(keys, "first")


def test_fetches_are_tried_again_from_a_quarter_second_to_five_seconds_until_the_first_set(server, clock, keys):
    fail(server)
    keys.start()
    for _ in range(8):
        clock.fire()
    clock.wait()
    for failures, delay in enumerate(clock.delays, 1):
        longest = min(5.0, 0.25 * 2 ** (failures - 1))
        assert max(0.25, longest / 2) <= delay <= longest
    server.answer = None
    clock._scheduled.release()
    clock.fire()
    clock.wait()
    assert keys.ready
    assert finds(keys, "first")


def test_with_a_set_failures_are_tried_again_from_one_second_to_a_minute():
    assert [retry_delay(held=True, failures=failures, jitter=1.0) for failures in (1, 2, 7, 1000)] == [1, 2, 60, 60]
    assert retry_delay(held=True, failures=1, jitter=0.0) == 0.5


BAD_ANSWERS = {
    "an error": lambda handler: send(handler, {}, 500),
    "a redirect to a good set": lambda handler: send(handler, b"", 302, location=handler.server.good_url),
    "no content": lambda handler: send(handler, b"", 204),
    "not modified": lambda handler: send(handler, b"", 304),
    "no JSON": lambda handler: send(handler, b"<html>"),
    "null": lambda handler: send(handler, b"null"),
    "a list": lambda handler: send(handler, [jwk_named("evil")]),
    "no keys": lambda handler: send(handler, {"keys": []}),
    "keys of another form": lambda handler: send(handler, {"keys": {"evil": jwk_named("evil")}}),
    "101 entries": lambda handler: send(handler, {"keys": [jwk_named(f"evil-{number}") for number in range(101)]}),
    "a private key": lambda handler: send(handler, {"keys": [{**jwk_named("evil"), "d": "AA"}]}),
    "a published key": lambda handler: send(handler, {"keys": [{**jwk_named("x"), "kid": "ed-1"}]}),
    "256 KiB and one byte": lambda handler: send(handler, b" " * (256 * 1024 + 1)),
    "bytes that are not UTF-8": lambda handler: send(handler, b"\xff"),
    "a body that ends early": lambda handler: send(handler, {"keys": [jwk_named("evil")]}, content_length="5000"),
    "no HTTP": lambda handler: handler.wfile.write(b"what\r\n\r\n"),
    "an end": lambda handler: handler.connection.close(),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_this_answer_never_replaces_a_good_set(server, clock, keys, answer):
    keys.start()
    clock.wait()
    server._server.good_url = server.url
    server.answer = answer
    clock._scheduled.release()
    clock.fire()
    clock.wait()
    assert finds(keys, "first")
    with pytest.raises(IdentityUnavailable):
        finds(keys, "evil")


@pytest.mark.parametrize(
    "already_sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
def test_an_answer_that_does_not_end_is_given_up(server, already_sent):
    ended = threading.Event()

    def stall(handler):
        handler.wfile.write(already_sent)
        handler.wfile.flush()
        ended.wait(10)

    server.answer = stall
    with pytest.raises(FetchFailed):
        fetch_document(checked_url(server.url, insecure_transport=False), timeout=0.2)
    ended.set()


def test_an_answer_that_comes_byte_by_byte_is_given_up(server):
    ended = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not ended.wait(0.01):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    server.answer = drip
    with pytest.raises(FetchFailed):
        fetch_document(checked_url(server.url, insecure_transport=False), timeout=0.3)
    ended.set()


def test_a_proxy_of_the_environment_is_not_used(server, keys, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert finds(keys, "first")
    assert server.requests[0]["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "url",
    ["", "gateway", "ftp://127.0.0.1/jwks.json", "http://user:password@127.0.0.1/", "http://gateway.internal:8090/"],
)
def test_a_url_that_cannot_be_the_root_of_trust_is_refused(url):
    with pytest.raises(ValueError, match="http") as refusal:
        GatewayKeys(url)
    assert "password" not in str(refusal.value)


def test_plain_http_from_another_machine_must_be_asked_for():
    GatewayKeys("http://gateway.internal:8090/.well-known/jwks.json", insecure_transport=True)
    GatewayKeys("https://gateway.internal/.well-known/jwks.json")


def test_a_key_set_of_another_form_is_refused():
    for document in ([], {"keys": {}}, {"keys": [{}] * 101}):
        with pytest.raises(ValueError, match="JWK set"):
            StaticKeys(document)


FORK = """
import os, sys
from countersign_identity import GatewayKeys
from countersign_identity._keys.steps import run
keys = GatewayKeys(sys.argv[1])
keys.start()
assert run(keys.lookup("first"))
child = os.fork()
if child == 0:
    keys._held_at = float("-inf")
    os._exit(0 if run(keys.lookup("first")) and keys._pending is None else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_worker_fetches_for_itself(server):
    source = Path(__file__).parents[1] / "src"
    command = [sys.executable, "-W", "ignore", "-c", FORK, server.url]
    assert subprocess.run(command, env={"PYTHONPATH": str(source)}, timeout=30, check=False).returncode == 0
    assert len(server.requests) >= 2
