"""Nonces in Redis, for a service with several processes. Instances in other languages share them."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from importlib.resources import files
from typing import Any, ClassVar, TypeVar, cast

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import IdentityUnavailable
from .replay import NonceClaim, Verdict

_CLAIM = files(__package__).joinpath("redis_claim.lua").read_text("ascii")

_RETRY_AFTER_SEC = 0.2

R = TypeVar("R", bound="_Replay")

logger = logging.getLogger("countersign_identity")


@dataclass(eq=False)
class _Replay:
    """While Redis does not answer, requests get 503, and one in 200 ms tries again.

    `gateway_ahead_sec` is how far the gateway's clock may be ahead of that of Redis.
    """

    client: Any
    _: KW_ONLY
    prefix: str = "countersign:replay:"
    gateway_ahead_sec: int = 0
    clock: Callable[[], float] = time.monotonic
    _failed_until: float | None = field(default=None, init=False)
    shared = True
    _library: ClassVar[Any]

    @classmethod
    def from_url(cls: type[R], url: str, *, timeout_sec: float = 0.1, **options: Any) -> R:
        """Connect with these timeouts. The options are those of the class."""
        timeouts = {"socket_timeout": timeout_sec, "socket_connect_timeout": timeout_sec}
        retry = cls._library.retry.Retry(NoBackoff(), 1)  # Over a new connection: Redis may have closed an idle one.
        return cls(cls._library.Redis.from_url(url, retry=retry, **timeouts), **options)

    def __post_init__(self) -> None:
        self._script = self.client.register_script(_CLAIM)

    def _arguments(self, claim: NonceClaim) -> dict[str, list[str | int]]:
        if self._failed_until is not None:
            if self.clock() < self._failed_until:
                raise IdentityUnavailable("replay_unavailable", "Redis did not answer a moment ago")
            self._failed_until = self.clock() + _RETRY_AFTER_SEC  # This claim tries; others need not wait for it.
        keys: list[str | int] = [self.prefix + name for name in (f"{claim.audience} {claim.nonce}", "since", "run")]
        life_ms = (claim.keep_until - claim.now + 1) * 1000
        return {"keys": keys, "args": [secrets.token_hex(8), claim.created - self.gateway_ahead_sec, life_ms]}

    def _verdict(self, reply: bytes | str) -> Verdict:
        if self._failed_until is not None:
            self._failed_until = None
            logger.info("Redis answers again")
        return cast(Verdict, reply.decode() if isinstance(reply, bytes) else reply)

    @contextmanager
    def _failures_noted(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            if self._failed_until is None:
                logger.warning("Redis does not answer, so requests are refused with 503: %s", error)
            self._failed_until = self.clock() + _RETRY_AFTER_SEC
            raise IdentityUnavailable("replay_unavailable", "Redis does not answer") from error


class RedisReplay(_Replay):
    """For WSGI, over a `redis.Redis` with a short `socket_timeout`."""

    _library: ClassVar[Any] = redis

    def claim(self, claim: NonceClaim) -> Verdict:
        with self._failures_noted():
            return self._verdict(self._script(**self._arguments(claim)))

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        return await asyncio.to_thread(self.claim, claim)


class AsyncRedisReplay(_Replay):
    """For ASGI, over a `redis.asyncio.Redis` with a short `socket_timeout`."""

    _library: ClassVar[Any] = redis.asyncio

    def claim(self, claim: NonceClaim) -> Verdict:
        raise TypeError("AsyncRedisReplay is for asyncio: use RedisReplay")

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        with self._failures_noted():
            return self._verdict(await self._script(**self._arguments(claim)))
