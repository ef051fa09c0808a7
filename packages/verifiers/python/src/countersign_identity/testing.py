"""A gateway for a service's own tests: it signs requests with a key that exists in this process alone."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ._contract.context import serialize_context
from ._contract.headers import covered_headers
from ._contract.rfc9421 import Ed25519Signer, SigningKey, base64url, content_digest, sign, split_target
from .errors import IdentityRefused
from .identity import CLAIMS, Identity, UserIdentity, party_of
from .keys import StaticKeys
from .replay import MemoryReplay
from .verifier import TAG, Verifier


@dataclass(frozen=True)
class SignedRequest:
    """Send it as it is, or change it to see that the service refuses it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class SigningGateway:
    """Signs for one audience. `jwks` is its public key set; `keys` and `replay` are for a Verifier."""

    def __init__(self, audience: str, *, clock: Callable[[], float] = time.time) -> None:
        private = Ed25519PrivateKey.generate()
        x = base64url(private.public_key().public_bytes_raw())
        self.key: SigningKey = Ed25519Signer(f"test-{x[:8]}", private)
        self.jwks = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key.keyid, "use": "sig"}]}
        self.audience, self.keys, self._clock = audience, StaticKeys(self.jwks), clock
        # No request was used before, because the key is new. So the memory may begin in the past.
        self.replay = MemoryReplay(clock=lambda: clock() - 1)

    def verifier(self) -> Verifier:
        return Verifier(audience=self.audience, keys=self.keys, replay=self.replay, clock=self._clock)

    def sign(
        self,
        method: str,
        target: str,
        identity: Identity | None = None,
        *,
        body: bytes = b"",
        json_body: Any = None,
        content_type: str | None = None,
    ) -> SignedRequest:
        """Sign as the gateway would, by default for a user. Raise ValueError for a value outside the contract."""
        if json_body is not None:
            body, content_type = json.dumps(json_body).encode(), "application/json"
        headers = identity_headers(identity or UserIdentity(user_id="user-1", role="member", tenant_id="tenant-1"))
        headers["x-identity-audience"] = self.audience
        if body or method not in ("GET", "HEAD"):
            headers["content-digest"] = content_digest(body)
            headers |= {} if content_type is None else {"content-type": content_type}
        try:
            target_parts = split_target(method, target)
            covered = {name: headers[name] for name in covered_headers(headers)}
        except IdentityRefused as error:
            raise ValueError(f"the request is outside the identity contract: {error}") from error
        headers |= sign(self.key, TAG, target_parts, covered, int(self._clock()))
        return SignedRequest(method, target, headers, body)


def identity_headers(identity: Identity) -> dict[str, str]:
    """Return the headers of a caller, without the audience."""
    values = {name: getattr(party_of(identity), field, None) for name, field in CLAIMS.items()}
    values |= {"x-service-id": getattr(identity, "service_id", None), "txn-token": identity.txn_token}
    values |= {"x-request-id": identity.request_id, "x-identity": identity.kind}
    values["x-identity-context"] = serialize_context(identity.context)
    return {name: value for name, value in values.items() if value is not None}


def identity_json(identity: Identity) -> dict[str, Any]:
    """Return the identity as docs/contract-vectors.md writes it, for a service that `countersign conformance` tests."""
    members = asdict(identity, dict_factory=lambda pairs: {name: value for name, value in pairs if value is not None})
    return {"kind": identity.kind, **members}
