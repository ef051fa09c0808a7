"""Nested calls: docs/nested-calls.md. A service signs each call to another one, and the gateway forwards it."""

import time
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ._contract.headers import COVERED, is_id
from ._contract.rfc9421 import Ed25519Signer, bytes32, content_digest, sign, split_target
from ._keys.jwks import is_published
from .errors import IdentityRefused

TAG = "countersign-service-v2"


def service_key(jwk: Mapping[str, object]) -> Ed25519Signer:
    """Read the service's key from a private ed25519 JWK. Raise ValueError."""
    kid, private = jwk.get("kid"), bytes32(jwk.get("d"))
    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519") or private is None or is_published(jwk):
        raise ValueError("a service key must be a private ed25519 JWK that is not published")
    if not isinstance(kid, str) or not is_id(kid):
        raise ValueError("a service key needs a kid of 1 to 128 characters from A-Za-z0-9._~:@|-")
    return Ed25519Signer(kid, Ed25519PrivateKey.from_private_bytes(private))


def sign_call(
    key: Ed25519Signer,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    content_type: str | None = None,
    txn_token: str | None = None,
    gateway: str = "countersign-gateway",
    created: int | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """Return the headers to add to a call of the gateway's internal listener. Do not follow redirects.

    `target` and `content_type` are as they are sent. `txn_token` is that of the identity for which the service acts;
    without it the service acts for itself. Raise ValueError for a value outside the contract.
    """
    headers = {"x-identity-audience": gateway, "txn-token": txn_token, "content-type": content_type}
    covered = {name: value for name, value in headers.items() if value is not None}
    covered["content-digest"] = content_digest(body)
    try:
        split = split_target(method, target)
    except IdentityRefused as error:
        raise ValueError("the method or the target of the call is outside the identity contract") from error
    if wrong := [name for name, value in covered.items() if not COVERED[name](value)]:
        raise ValueError(f"outside the identity contract: {', '.join(wrong)}")
    signature = sign(key, TAG, split, covered, int(time.time()) if created is None else created, nonce)
    covered.pop("content-type", None)  # The call has it already.
    return covered | signature
