"""Nonces in memory: each once, and never one that may have been used before."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from countersign_identity import IdentityUnavailable, MemoryReplay, NonceClaim


def claim(nonce: str = "nonce", **changes) -> NonceClaim:
    return NonceClaim(**{"audience": "a", "nonce": nonce, "created": 1000, "keep_until": 1045, "now": 1000} | changes)


def test_a_nonce_is_accepted_once_for_each_audience():
    replay = MemoryReplay(clock=lambda: 0)
    assert [replay.claim(claim()), replay.claim(claim()), replay.claim(claim(audience="b"))] == [
        "fresh",
        "replayed",
        "fresh",
    ]
    assert replay.claim(claim(now=1045)) == "replayed"
    assert asyncio.run(replay.aclaim(claim())) == "replayed"


@pytest.mark.parametrize(("started", "first"), [(1000.0, 1001), (1000.001, 1001), (1000.999, 1001)])
def test_the_memory_begins_at_the_next_whole_second(started, first):
    replay = MemoryReplay(clock=lambda: started)
    assert replay.claim(claim(created=first - 1)) == "before_start"
    assert replay.claim(claim(created=first)) == "fresh"


def test_a_gateway_whose_clock_is_ahead_moves_the_beginning():
    assert MemoryReplay(clock=lambda: 1000, gateway_ahead_sec=5).starts_at == 1006


def test_a_nonce_is_forgotten_only_when_its_request_can_no_longer_be_accepted():
    replay = MemoryReplay(clock=lambda: 0, max_nonces=1)
    assert replay.claim(claim("first")) == "fresh"
    with pytest.raises(IdentityUnavailable, match="full"):
        replay.claim(claim("second", now=1045))
    assert replay.claim(claim("second", now=1046, created=1020, keep_until=1065)) == "fresh"


def test_a_clock_that_is_set_back_lets_no_forgotten_nonce_through():
    replay = MemoryReplay(clock=lambda: 0)
    assert replay.claim(claim()) == "fresh"
    assert replay.claim(claim("later", now=2000, created=2000, keep_until=2045)) == "fresh"
    assert replay.claim(claim(now=1000)) == "before_start"


def test_of_1000_concurrent_claims_one_of_each_nonce_is_fresh():
    replay = MemoryReplay(clock=lambda: 0)
    with ThreadPoolExecutor(50) as pool:
        nonces = [f"nonce-{number % 100}" for number in range(1000)]
        verdicts = Counter(zip(nonces, pool.map(lambda nonce: replay.claim(claim(nonce)), nonces), strict=True))
    assert all(verdicts[f"nonce-{number}", "fresh"] == 1 for number in range(100))
    assert sum(verdicts.values()) == 1000
