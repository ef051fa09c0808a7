"""Nonces in Redis, for a service with several processes. Instances in other languages share them."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from importlib.resources import files
from typing import Any, ClassVar, Literal, TypeVar, cast

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import IdentityUnavailable
from .replay import MemoryReplay, NonceClaim, Verdict

_CLAIM = files(__package__).joinpath("redis_claim.lua").read_text("ascii")

_RETRY_AFTER_SEC = 0.2

OnUnavailable = Literal["reads", "refuse", "memory"]

_CONSEQUENCES: dict[OnUnavailable, str] = {
    "reads": "a captured GET or HEAD can be replayed once in each other process, and other requests get 503",
    "refuse": "requests get 503",
    "memory": "a captured request can be replayed once in each other process",
}

R = TypeVar("R", bound="_Replay")

logger = logging.getLogger("countersign_identity")


@dataclass(eq=False)
class _Replay:
    """While Redis does not answer, one request in 200 ms tries again.

    `on_unavailable` says what happens to the others, and to requests older than the nonces that Redis holds. `refuse`
    answers 503. `memory` looks only at what this process accepted, so a captured request can be replayed once in each
    other process until it expires. `reads` does that for GET and HEAD, and refuses the rest.

    `gateway_ahead_sec` is how far the gateway's clock may be ahead of that of Redis.
    """

    client: Any
    _: KW_ONLY
    prefix: str = "countersign:replay:"
    gateway_ahead_sec: int = 0
    on_unavailable: OnUnavailable = "reads"
    clock: Callable[[], float] = time.monotonic
    _failed_until: float | None = field(default=None, init=False)
    # Receives every claim, so that this process accepts no nonce twice, also while Redis comes and goes.
    _memory: MemoryReplay = field(default_factory=MemoryReplay, init=False)
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
        logger.info("Nonces are in Redis. While it does not answer, %s", _CONSEQUENCES[self.on_unavailable])

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

    def _decides_alone(self, claim: NonceClaim) -> bool:
        return self.on_unavailable == "memory" or (self.on_unavailable == "reads" and claim.is_read)

    @contextmanager
    def _failures_noted(self, claim: NonceClaim) -> Iterator[None]:
        """Raises IdentityUnavailable, unless this process decides alone."""
        try:
            yield
        except RedisError as error:
            if self._failed_until is None:
                logger.warning("Redis does not answer, so %s: %s", _CONSEQUENCES[self.on_unavailable], error)
            self._failed_until = self.clock() + _RETRY_AFTER_SEC
            if not self._decides_alone(claim):
                raise IdentityUnavailable("replay_unavailable", "Redis does not answer") from error
        except IdentityUnavailable:
            if not self._decides_alone(claim):
                raise


class RedisReplay(_Replay):
    """For WSGI, over a `redis.Redis` with a short `socket_timeout`."""

    _library: ClassVar[Any] = redis

    def claim(self, claim: NonceClaim) -> Verdict:
        if (alone := self._memory.claim(claim)) == "replayed":
            return alone
        verdict: Verdict = "before_start"
        with self._failures_noted(claim):
            verdict = self._verdict(self._script(**self._arguments(claim)))
        return alone if verdict == "before_start" and self._decides_alone(claim) else verdict

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        return await asyncio.to_thread(self.claim, claim)


class AsyncRedisReplay(_Replay):
    """For ASGI, over a `redis.asyncio.Redis` with a short `socket_timeout`."""

    _library: ClassVar[Any] = redis.asyncio

    def claim(self, claim: NonceClaim) -> Verdict:
        raise TypeError("AsyncRedisReplay is for asyncio: use RedisReplay")

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        if (alone := self._memory.claim(claim)) == "replayed":
            return alone
        verdict: Verdict = "before_start"
        with self._failures_noted(claim):
            verdict = self._verdict(await self._script(**self._arguments(claim)))
        return alone if verdict == "before_start" and self._decides_alone(claim) else verdict
