"""Where a verifier finds the gateway's keys."""

import logging
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from ._contract.rfc9421 import HmacKey, VerifyingKey
from ._keys import jwks
from ._keys.fetch import call_later, checked_url, fetch_document
from ._keys.jwks import ParsedKeys, parse_jwks, secret_keyid
from ._keys.steps import Steps
from .errors import IdentityUnavailable

K = TypeVar("K")
Find = Callable[[ParsedKeys], K | None]

MAX_AGE_SEC = 600.0

logger = logging.getLogger("countersign_identity")


class KeySource:
    """Secrets that the gateway shares with this service alone, and a key set, which subclasses provide."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self.parsed = ParsedKeys()
        self._secrets = {secret_keyid(secret): secret for secret in secrets}
        if any(len(secret) < 32 for secret in secrets):
            raise ValueError("a shared secret needs 32 bytes or more")
        if not jwks.PUBLISHED.isdisjoint(self._secrets):
            raise ValueError("this secret is published: everybody can sign with it")

    @property
    def ready(self) -> bool:
        """Whether keys are held, for the service's readiness check."""
        return True

    def start(self) -> None:
        """Begin to fetch in the background. The middleware calls it."""

    def lookup(self, keyid: str) -> Steps[VerifyingKey | None]:
        if (secret := self._secrets.get(keyid)) is not None:
            # If a keyid names both, neither is used: the signature would choose the algorithm. Only a set can tell.
            parsed = yield from self._search(lambda held: held)
            return None if parsed is None or keyid in parsed.kids else HmacKey(keyid, secret)
        return (yield from self._search(lambda parsed: parsed.signing.get(keyid)))

    def lookup_agreement(self, kid: str) -> Steps[X25519PublicKey | None]:
        try:
            return (yield from self._search(lambda parsed: parsed.agreement.get(kid)))
        except IdentityUnavailable:
            if self.ready:
                return None  # The gateway then signs with ed25519, whose keys are held.
            raise

    def _search(self, find: Find[K]) -> Steps[K | None]:
        yield from ()
        return find(self.parsed)


class StaticKeys(KeySource):
    """A key set that the service has already, or secrets alone (`algorithm: hmac-sha256`)."""

    def __init__(self, document: object = None, *, secrets: Sequence[bytes] = (), algorithm: str = "EdDSA") -> None:
        super().__init__(secrets)
        parsed = ParsedKeys() if document is None else parse_jwks(document, algorithm)
        if parsed is None:
            raise ValueError("it is not a JWK set of at most 100 entries")
        self.parsed = parsed


def retry_delay(*, held: bool, failures: int, jitter: float) -> float:
    """Without a set, retry after 0.25 s, doubling to 5 s. With one, after 1 s, doubling to 60 s."""
    base, ceiling = (1.0, 60.0) if held else (0.25, 5.0)
    return max(0.25, min(ceiling, base * 2.0 ** min(failures - 1, 16)) * (0.5 + jitter / 2))


class GatewayKeys(KeySource):
    """The gateway's key set at a URL, `/.well-known/jwks.json` of its internal listener. The URL is the root of trust.

    One fetch at a time, each in a thread of its own; the next one within 10 minutes, with a back-off after failures.
    Only a set with a usable key replaces the held one, which stays usable for `max_stale_sec` after the last fetch that
    worked. Unknown keyids cause at most one fetch in `cooldown_sec`. The `algorithm` of the only keys to use is `ES256`
    for identity tokens, `/.well-known/identity-token-jwks.json`.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Sequence[bytes] = (),
        algorithm: str = "EdDSA",
        insecure_transport: bool = False,
        max_stale_sec: float = 3600.0,
        cooldown_sec: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], Callable[[], object]] = call_later,
    ) -> None:
        super().__init__(secrets)
        self._fetch = partial(fetch_document, checked_url(url, insecure_transport=insecure_transport))
        self._max_stale, self._cooldown, self._algorithm = max_stale_sec, cooldown_sec, algorithm
        self._clock, self._later, self._lock = clock, later, threading.Lock()
        self._held_at = self._next_at = self._cooldown_from = -math.inf
        self._failures, self._started = 0, False
        self._pending: Future[None] | None = None
        self._cancel: Callable[[], object] = lambda: None
        _live.add(self)

    @property
    def ready(self) -> bool:
        return self._clock() - self._held_at <= self._max_stale

    def start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                self._begin()

    def _search(self, find: Find[K]) -> Steps[K | None]:
        """Raise IdentityUnavailable without a set, and for an unknown key while the last fetch failed."""
        joined = True
        # The answer to a fetch that already ran may predate the key. So this waits for one more.
        while joined and self._find(find) is None:
            with self._lock:
                joined = self._pending is not None
                # After a failure, the running fetch may fail as well, so requests do not wait for it.
                if self._failures > 0 if joined else not self._may_fetch():
                    break
                future = self._begin()
            yield future
            if self._find(find) is not None:
                self._cooldown_from = -math.inf  # The key exists, so the next rotation need not wait.
        key = self._find(find)
        if key is None and (self._failures > 0 or not self.ready):
            raise IdentityUnavailable("keys_unavailable", "the gateway's keys cannot be fetched")
        return key

    def _find(self, find: Find[K]) -> K | None:
        return find(self.parsed) if self.ready else None

    def _may_fetch(self) -> bool:
        """Whether a lookup may cause a fetch."""
        if not self.ready:
            return self._failures == 0 or self._clock() >= self._next_at
        # It begins before the fetch, so that a flood of made-up keyids costs one fetch.
        if self._clock() - self._cooldown_from < self._cooldown:
            return False
        self._cooldown_from = self._clock()
        return True

    def _begin(self) -> "Future[None]":
        """Join the running fetch, or begin one. The caller holds the lock."""
        if self._pending is None:
            self._cancel()
            future: Future[None] = Future()
            future.set_running_or_notify_cancel()
            threading.Thread(target=self._run, args=[future], name="countersign-keys", daemon=True).start()
            self._pending = future
        return self._pending

    def _run(self, future: "Future[None]") -> None:
        parsed, failure = None, "the key set has no usable key"
        try:
            parsed = parse_jwks(self._fetch(), self._algorithm)
        except Exception as error:  # Also a fault of ours: without it, nothing would try again.
            failure = str(error) or repr(error)
        with self._lock:
            if parsed is not None and parsed.signing:
                if self._failures > 0:
                    logger.info("the gateway's keys can be fetched again")
                    self._cooldown_from = -math.inf  # A fetch that failed did not show that a key does not exist.
                self.parsed, self._held_at, self._failures = parsed, self._clock(), 0
                delay = MAX_AGE_SEC * (0.75 + random.random() * 0.15)
            else:
                self._failures += 1
                if self._failures == 1:
                    logger.warning("the gateway's keys cannot be fetched: %s", failure)
                delay = retry_delay(held=self.ready, failures=self._failures, jitter=random.random())
            self._next_at, self._pending = self._clock() + delay, None
            if self._started:
                self._cancel = self._later(delay, self._refresh)
        future.set_result(None)

    def _refresh(self) -> None:
        with self._lock:
            if self._started:
                self._begin()

    def _after_fork(self) -> None:
        """Threads and the holder of a lock do not survive a fork, such as that of gunicorn's preloaded workers."""
        self._lock, self._pending, self._cancel = threading.Lock(), None, lambda: None
        self._refresh()


_live: "weakref.WeakSet[GatewayKeys]" = weakref.WeakSet()


def _restart_after_fork() -> None:
    for keys in list(_live):
        keys._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
