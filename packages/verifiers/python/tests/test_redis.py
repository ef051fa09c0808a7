"""Nonces in a real Redis, which each test starts and may stop."""

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from countersign_identity import AgreementKeys, IdentityUnavailable, NonceClaim, RequestHead, StaticKeys, Verifier
from countersign_identity.testing import SigningGateway

pytest.importorskip("redis")
from countersign_identity.redis import AsyncRedisReplay, RedisReplay

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server")


class Redis:
    """A Redis at a Unix socket, which keeps what it holds when it is stopped in an orderly way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", "3600 1"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        while "ready to accept connections" not in self._process.stdout.readline().lower():
            assert self._process.poll() is None

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def redis(tmp_path_factory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def replay(redis, request) -> RedisReplay:
    """A memory that began long ago."""
    replay = RedisReplay.from_url(redis.url, prefix=f"{request.node.name}:", timeout_sec=2)
    replay.claim(claim("before"))
    client = replay._script.registered_client
    client.set(f"{request.node.name}:since", "0")
    return replay


def claim(nonce: str = "nonce", created: int | None = None, audience: str = "a") -> NonceClaim:
    now = int(time.time())
    return NonceClaim(audience, nonce, now if created is None else created, now + 45, now)


def test_a_nonce_is_accepted_once_for_each_audience_at_all_instances(redis, replay, request):
    other = RedisReplay.from_url(redis.url, prefix=f"{request.node.name}:", timeout_sec=2)
    assert replay.claim(claim()) == "fresh"
    assert [replay.claim(claim()), other.claim(claim()), other.claim(claim(audience="b"))] == [
        "replayed",
        "replayed",
        "fresh",
    ]
    assert asyncio.run(other.aclaim(claim())) == "replayed"


def test_a_nonce_is_kept_as_long_as_its_request_could_be_accepted(replay):
    replay.claim(claim())
    client = replay._script.registered_client
    (key,) = [key for key in client.keys("*a nonce") if replay.prefix.encode() in key]
    assert 45_000 < client.pttl(key) <= 46_000


def test_of_1000_concurrent_claims_one_of_each_nonce_is_fresh(replay):
    with ThreadPoolExecutor(20) as pool:
        nonces = [f"nonce-{number % 100}" for number in range(1000)]
        verdicts = Counter(zip(nonces, pool.map(lambda nonce: replay.claim(claim(nonce)), nonces), strict=True))
    assert all(verdicts[f"nonce-{number}", "fresh"] == 1 for number in range(100))


def test_of_1000_concurrent_tasks_one_of_each_nonce_is_fresh(redis, replay, request):
    async def race() -> Counter:
        tasks = AsyncRedisReplay.from_url(redis.url, prefix=f"{request.node.name}:", timeout_sec=5)
        nonces = [f"nonce-{number % 100}" for number in range(1000)]
        return Counter(
            zip(nonces, await asyncio.gather(*(tasks.aclaim(claim(nonce)) for nonce in nonces)), strict=True)
        )

    verdicts = asyncio.run(race())
    assert all(verdicts[f"nonce-{number}", "fresh"] == 1 for number in range(100))


def test_a_command_that_the_client_sends_twice_claims_once(replay):
    arguments = replay._arguments(claim())
    assert [replay._script(**arguments), replay._script(**arguments)] == [b"fresh", b"fresh"]
    assert replay.claim(claim()) == "replayed"


@pytest.mark.parametrize("loss", ["FLUSHALL", "a restart"])
def test_a_redis_that_lost_its_nonces_begins_again_at_the_next_second(redis, replay, loss):
    assert replay.claim(claim()) == "fresh"
    if loss == "FLUSHALL":
        replay._script.registered_client.flushall()
    else:
        redis.stop()
        redis.start()
    assert replay.claim(claim("another")) == "before_start"
    assert replay.claim(claim()) in ("before_start", "replayed")
    assert replay.claim(claim("of the next seconds", created=int(time.time()) + 2)) == "fresh"


def test_a_gateway_whose_clock_is_ahead_moves_the_beginning(redis, request):
    replay = RedisReplay.from_url(redis.url, prefix=f"{request.node.name}:", timeout_sec=2, gateway_ahead_sec=5)
    now = int(time.time())
    assert replay.claim(claim("one", created=now + 5)) == "before_start"
    assert replay.claim(claim("two", created=now + 8)) == "fresh"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_while_redis_does_not_answer_claims_are_unavailable_and_one_in_200_ms_tries_again(tmp_path):
    server, clock = Redis(tmp_path), Clock()
    replay = RedisReplay.from_url(server.url, clock=clock, timeout_sec=2)
    replay.claim(claim())
    server.stop()
    with pytest.raises(IdentityUnavailable, match="does not answer"):
        replay.claim(claim("one"))
    server.start()
    with pytest.raises(IdentityUnavailable, match="a moment ago"):
        replay.claim(claim("two"))
    read = replace(claim("read", created=int(time.time()) + 2), is_read=True)
    assert [replay.claim(read), replay.claim(read)] == ["fresh", "replayed"]
    clock.now += 0.2
    assert replay.claim(claim("three", created=int(time.time()) + 2)) == "fresh"
    assert replay.claim(claim("three", created=int(time.time()) + 2)) == "replayed"
    assert replay.claim(read) == "replayed"
    server.stop()


@pytest.mark.parametrize(
    ("policy", "reads", "writes"),
    [("reads", "fresh", None), ("memory", "fresh", "fresh"), ("refuse", None, None)],
)
@pytest.mark.parametrize("kind", [RedisReplay, AsyncRedisReplay])
def test_what_is_accepted_while_redis_is_down(tmp_path, kind, policy, reads, writes):
    replay = kind.from_url(f"unix://{tmp_path}/none.sock", on_unavailable=policy)

    def outcome(nonce: str, is_read: bool) -> str | None:
        later = replace(claim(nonce, created=int(time.time()) + 2), is_read=is_read)
        try:
            return replay.claim(later) if kind is RedisReplay else asyncio.run(replay.aclaim(later))
        except IdentityUnavailable:
            return None

    assert [outcome("read", True), outcome("write", False)] == [reads, writes]
    assert outcome("read", True) == "replayed"


@pytest.mark.parametrize(
    ("method", "more", "is_read"),
    [
        ("GET", {}, True),
        ("HEAD", {}, True),
        ("GET", {"upgrade": "websocket"}, False),
        ("OPTIONS", {}, False),
        ("POST", {"x-http-method-override": "GET"}, False),
        ("DELETE", {}, False),
    ],
)
def test_the_signed_method_says_whether_it_is_a_read(method, more, is_read):
    gateway = SigningGateway("a")
    request = gateway.sign(method, "/x")
    headers = list(request.headers.items())
    verifier = gateway.verifier()
    signed = verifier.verify_head(RequestHead(method, "/x", headers))
    assert verifier._claim(replace(signed, headers={**signed.headers, **more}), b"").is_read is is_read


def test_tasks_do_not_wait_for_a_redis_that_hangs(redis, request):
    async def ask() -> None:
        replay = AsyncRedisReplay.from_url(redis.url, prefix=f"{request.node.name}:", timeout_sec=0.5)
        client = replay._script.registered_client
        await replay.aclaim(claim("before"))
        await client.execute_command("CLIENT", "PAUSE", "3000", "ALL")
        try:
            with pytest.raises(IdentityUnavailable):
                await replay.aclaim(claim())
            with pytest.raises(IdentityUnavailable, match="a moment ago"):
                await replay.aclaim(claim())
        finally:
            await client.aclose()

    asyncio.run(ask())
    unpaused = RedisReplay.from_url(redis.url, timeout_sec=10)
    assert unpaused.claim(claim()) in ("fresh", "before_start")


def test_a_key_for_agreement_in_memory_is_refused_beside_a_shared_store(replay):
    with pytest.raises(ValueError, match="one process"):
        Verifier(audience="a", keys=StaticKeys(), replay=replay, agreement=AgreementKeys())


def test_the_store_of_asyncio_refuses_to_block_a_thread(redis):
    with pytest.raises(TypeError, match="use RedisReplay"):
        AsyncRedisReplay.from_url(redis.url).claim(claim())
