"""Memories of nonces: every signature works once."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from .errors import IdentityUnavailable

# before_start: the request is older than the memory, so it may have been used already.
Verdict = Literal["fresh", "replayed", "before_start"]


@dataclass(frozen=True)
class NonceClaim:
    """One nonce to claim. Times are Unix seconds, by the verifier's clock."""

    audience: str
    nonce: str
    created: int
    # The last second in which any instance could accept the request.
    keep_until: int
    now: int
    # The signed method is GET or HEAD, without an upgrade: messages of a WebSocket may write. A store may decide about
    # reads with less certainty.
    is_read: bool = False


class ReplayStore(Protocol):
    """Remembers a nonce until `keep_until`, for each audience alone: a key is no part of it.

    A store that cannot tell raises IdentityUnavailable or returns `before_start`, and never `fresh` twice.
    """

    shared: bool

    def claim(self, claim: NonceClaim) -> Verdict: ...
    async def aclaim(self, claim: NonceClaim) -> Verdict: ...


class MemoryReplay:
    """Nonces in this process, for a service with one process.

    It begins at the next whole second and refuses what was created before, so a restart opens no window, if the
    gateway's clock is not ahead of this one by more than `gateway_ahead_sec`.
    """

    shared = False

    def __init__(
        self, *, max_nonces: int = 500_000, gateway_ahead_sec: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.starts_at = int(clock()) + 1 + gateway_ahead_sec
        self._max = max_nonces
        self._lock = threading.Lock()
        self._live: set[tuple[str, str]] = set()
        self._expiring: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        self._swept = 0

    def claim(self, claim: NonceClaim) -> Verdict:
        if claim.created < self.starts_at:
            return "before_start"
        key = (claim.audience, claim.nonce)
        with self._lock:
            if claim.now > self._swept:
                self._swept = claim.now
                for second in [second for second in self._expiring if second < claim.now]:
                    self._live.difference_update(self._expiring.pop(second))
            if claim.keep_until < self._swept:
                return "before_start"  # The clock was set back: the nonce may have been claimed and forgotten.
            if key in self._live:
                return "replayed"
            if len(self._live) >= self._max:
                raise IdentityUnavailable("replay_unavailable", "the nonce memory is full")
            self._live.add(key)
            self._expiring[claim.keep_until].append(key)
        return "fresh"

    async def aclaim(self, claim: NonceClaim) -> Verdict:
        return self.claim(claim)
