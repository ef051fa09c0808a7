"""What the services below share. Each echoes who called it and what it got, on every path below /v1.

The environment says whom they trust: GATEWAY_KEYS_URL, and REDIS_URL, AGREEMENT_KEY, SERVICE_KEY and INTERNAL_URL.
"""

import dataclasses
import hashlib
import json
import os
import time
from typing import Any

from countersign_identity import (
    AgreementKeys,
    AnonymousIdentity,
    ClientIdentity,
    GatewayIdentity,
    GatewayKeys,
    Identity,
    MemoryReplay,
    ServiceIdentity,
    UserIdentity,
    Verifier,
)

EVERY_KIND = (UserIdentity, ClientIdentity, AnonymousIdentity, ServiceIdentity, GatewayIdentity)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
AGREEMENT_KEY = os.environ.get("AGREEMENT_KEY")
# How many requests reached a handler of this process. /metrics shows it.
handled = 0


def is_stream(method: str, path: str) -> bool:
    return (method, path) == ("POST", "/v1/upload")


def verifier(replay: Any = None) -> Verifier:
    # As if it had started some time ago.
    memory = MemoryReplay(clock=lambda: time.time() - 60)
    agreement = AgreementKeys([json.loads(AGREEMENT_KEY)]) if AGREEMENT_KEY else None
    keys = GatewayKeys(os.environ["GATEWAY_KEYS_URL"], cooldown_sec=0.1)
    return Verifier(audience="things", keys=keys, replay=replay or memory, agreement=agreement)


def echo(identity: Identity, method: str, target: str, body: bytes) -> dict[str, Any]:
    global handled
    handled += 1
    caller = {"kind": identity.kind, **dataclasses.asdict(identity)}
    return {"caller": caller, "method": method, "target": target, "body": hashlib.sha256(body).hexdigest()}
