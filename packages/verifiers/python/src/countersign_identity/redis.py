"""Nonces in Redis, for a service with several processes. Instances in other languages share them."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, cast

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import IdentityUnavailable
from .replay import NonceClaim, Verdict

# One round trip. KEYS: nonce, since, run. ARGV: this claim, created, life in ms. A nonce holds the claim that took it,
# so a command that the client sends twice claims once. If Redis was restarted or lost its data, older nonces may be
# gone: the memory begins again at the next second.
_CLAIM = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local since = redis.call('GET', KEYS[2])
if not since or redis.call('GET', KEYS[3]) ~= run then
  since = redis.call('TIME')[1] + 1
  redis.call('SET', KEYS[2], since)
  redis.call('SET', KEYS[3], run)
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) and redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'replayed'
end
if tonumber(ARGV[2]) < tonumber(since) then return 'before_start' end
return 'fresh'"""

_RETRY_AFTER_SEC = 0.2

logger = logging.getLogger("countersign_identity")


class _Replay:
    """While Redis does not answer, requests get 503, and one in 200 ms tries again.

    `gateway_ahead_sec` is how far the gateway's clock may be ahead of that of Redis.
    """

    shared = True

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "countersign:replay:",
        gateway_ahead_sec: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = client.register_script(_CLAIM)
        self._prefix, self._ahead, self._clock = prefix, gateway_ahead_sec, clock
        self._failed_until: float | None = None

    def _arguments(self, claim: NonceClaim) -> dict[str, list[str | int]]:
        if self._failed_until is not None:
            if self._clock() < self._failed_until:
                raise IdentityUnavailable("replay_unavailable", "Redis did not answer a moment ago")
            self._failed_until = self._clock() + _RETRY_AFTER_SEC  # This claim tries; others need not wait for it.
        keys: list[str | int] = [self._prefix + name for name in (f"{claim.audience} {claim.nonce}", "since", "run")]
        life_ms = (claim.keep_until - claim.now + 1) * 1000
        return {"keys": keys, "args": [secrets.token_hex(8), claim.created - self._ahead, life_ms]}

    def _verdict(self, reply: bytes | str) -> Verdict:
        if self._failed_until is not None:
            self._failed_until = None
            logger.info("Redis answers again")
        return cast(Verdict, reply.decode() if isinstance(reply, bytes) else reply)

    def _failure(self, error: RedisError) -> IdentityUnavailable:
        if self._failed_until is None:
            logger.warning("Redis does not answer, so requests are refused with 503: %s", error)
        self._failed_until = self._clock() + _RETRY_AFTER_SEC
        return IdentityUnavailable("replay_unavailable", "Redis does not answer")


class RedisReplay(_Replay):
    """For WSGI, over a `redis.Redis` with a short `socket_timeout`."""

    @classmethod
    def from_url(cls, url: str, *, timeout_sec: float = 0.1, **options: Any) -> "RedisReplay":
        """Connect with these timeouts. The options are those of the class."""
        retry = redis.retry.Retry(NoBackoff(), 1)  # Over a new connection: Redis may have closed an idle one.
        client = redis.Redis.from_url(url, socket_timeout=timeout_sec, socket_connect_timeout=timeout_sec, retry=retry)
        return cls(client, **options)

    def claim(self, claim: NonceClaim) -> Verdict:
        arguments = self._arguments(claim)
        try:
            return self._verdict(self._script(**arguments))
        except RedisError as error:
            raise self._failure(error) from error

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        return await asyncio.to_thread(self.claim, claim)


class AsyncRedisReplay(_Replay):
    """For ASGI, over a `redis.asyncio.Redis` with a short `socket_timeout`."""

    @classmethod
    def from_url(cls, url: str, *, timeout_sec: float = 0.1, **options: Any) -> "AsyncRedisReplay":
        """Connect with these timeouts. The options are those of the class."""
        timeouts = {"socket_timeout": timeout_sec, "socket_connect_timeout": timeout_sec}
        retry = redis.asyncio.retry.Retry(NoBackoff(), 1)
        return cls(redis.asyncio.Redis.from_url(url, retry=retry, **timeouts), **options)

    def claim(self, claim: NonceClaim) -> Verdict:
        raise TypeError("AsyncRedisReplay is for asyncio: use RedisReplay")

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        arguments = self._arguments(claim)
        try:
            return self._verdict(await self._script(**arguments))
        except RedisError as error:
            raise self._failure(error) from error
