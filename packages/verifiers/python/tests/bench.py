"""Requests that one core signs and verifies in a second: `python3 tests/bench.py [seconds]`, with an agreed key."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from countersign_identity import (
    AgreementKeys,
    IdentityContext,
    MemoryReplay,
    RequestHead,
    StaticKeys,
    UserIdentity,
    Verifier,
    new_agreement_jwk,
)
from countersign_identity._contract.rfc9421 import HmacKey, bytes32
from countersign_identity._keys.agreement import agree
from countersign_identity.testing import SignedRequest, SigningGateway
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

AUDIENCE, BODY = "complaint-service", b'{"title":"Streetlight out","category":"street"}'
CONTEXT = IdentityContext(
    ip="192.0.2.7", iss="https://issuer.example", sid="s-1", auth_time=1_799_999_000, amr=("pwd", "otp"), client="web"
)
USER = UserIdentity(user_id="01890a5d-ac96-774b-bcce-b302099a8057", role="agent", tenant_id="acme", context=CONTEXT)
OTHER_LINES = [
    ("host", "127.0.0.1:8083"),
    ("accept", "*/*"),
    ("content-length", str(len(BODY))),
    ("user-agent", "bench"),
]


def agreed() -> tuple[SigningGateway, Verifier]:
    """A gateway and a service that have derived a key from each other's."""
    gateway, own, theirs = SigningGateway(AUDIENCE), new_agreement_jwk(), new_agreement_jwk()
    published = {name: value for name, value in theirs.items() if name != "d"}
    keys = StaticKeys({"keys": [*gateway.jwks["keys"], published]})
    replay = MemoryReplay(clock=lambda: 0, max_nonces=10_000_000)
    service = Verifier(audience=AUDIENCE, keys=keys, replay=replay, agreement=AgreementKeys([own]))
    private = X25519PrivateKey.from_private_bytes(bytes32(own["d"]) or b"")
    public = X25519PublicKey.from_public_bytes(bytes32(theirs["x"]) or b"")
    gateway.key = HmacKey(f"{theirs['kid']}.{own['kid']}", agree(private, public, AUDIENCE))
    return gateway, service


def ed25519() -> tuple[SigningGateway, Verifier]:
    gateway = SigningGateway(AUDIENCE)
    return gateway, Verifier(audience=AUDIENCE, keys=gateway.keys, replay=MemoryReplay(clock=lambda: 0))


def a_second(work: Callable[[], Any], seconds: float) -> float:
    """How often it runs in a second of this core's time, which other processes do not use up."""
    runs, began = 0, time.process_time()
    while (used := time.process_time() - began) < seconds:
        for _ in range(100):
            work()
        runs += 100
    return runs / used


def sign(gateway: SigningGateway) -> SignedRequest:
    return gateway.sign("POST", "/v1/complaints?draft=1", USER, body=BODY, content_type="application/json")


def measure(pair: tuple[SigningGateway, Verifier], seconds: float) -> dict[str, float]:
    gateway, service = pair

    def head() -> RequestHead:
        request = sign(gateway)
        return RequestHead(request.method, request.target, [*OTHER_LINES, *request.headers.items()])

    both = a_second(lambda: service.verify(head(), BODY), seconds)
    signed = a_second(head, seconds)
    return {"sign": signed, "verify": 1 / (1 / both - 1 / signed), "sign and verify": both}


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    for name, pair in (("agreed keys", agreed()), ("ed25519", ed25519())):
        figures = ", ".join(f"{what} {rate:,.0f}" for what, rate in measure(pair, seconds).items())
        print(f"{name}: {figures} a second")
