"""Identity tokens: the caller as a JWT, for services that get it instead of the headers."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from ._contract import rfc9421
from ._contract.context import context_members
from ._contract.headers import covered_headers, is_request_id, read_lines
from ._contract.json import parse_strict_json
from ._keys.steps import Steps, arun, run
from .errors import IdentityRefused
from .identity import CLAIMS, Actor, Identity, IdentityContext, identity_from, new_request_id
from .replay import NonceClaim
from .verifier import RequestHead, Verifier, accepted, announces_body, check_cover

_TEXTS = frozenset("sub idp user_id role tenant_id caller client_id scope sid jkt".split(" "))
_OWN = _TEXTS | frozenset("iss aud iat nbf exp jti req auth_time amr act".split(" "))


def verify_identity_token(token: str | None, head: RequestHead, verifier: Verifier, body: bytes = b"") -> Identity:
    """Verify that the gateway signed the token, recently, for this service and, if it has `req`, for this request.

    `token` has no `Bearer`. A copy of a token without `req` works for any request until it expires. Of the identity,
    `claims` are the copied ones, `request_id` is unsigned, and there is no `txn_token`. Raise IdentityRefused, with the
    reasons of the headers, and IdentityUnavailable.
    """
    identity, claim = run(_verify(token, head, verifier, body))
    return identity if claim is None else accepted(identity, verifier.replay.claim(claim))


async def averify_identity_token(
    token: str | None, head: RequestHead, verifier: Verifier, body: bytes = b""
) -> Identity:
    """Like verify_identity_token, for asyncio."""
    identity, claim = await arun(_verify(token, head, verifier, body))
    return identity if claim is None else accepted(identity, await verifier.replay.aclaim(claim))


def _verify(
    token: str | None, head: RequestHead, verifier: Verifier, body: bytes
) -> Steps[tuple[Identity, NonceClaim | None]]:
    if token is None:
        raise IdentityRefused("signature_missing")
    parts = token.split(".")
    if len(token) > 4096 or len(parts) != 3:
        _malformed()
    header, payload = map(_part, parts[:2])
    if header.get("alg") != "ES256":
        raise IdentityRefused("algorithm_mismatch")
    if header.get("typ") != "JWT" or "crit" in header:  # RFC 7515 section 4.1.11: extensions that must be known.
        raise IdentityRefused("tag_mismatch")
    if payload.get("iss") != verifier.token_issuer or payload.get("aud") != verifier.audience:
        raise IdentityRefused("audience_mismatch")
    kid, times = header.get("kid"), [payload.get(name) for name in ("iat", "nbf", "exp")]
    if not isinstance(kid, str) or not all(type(second) is int for second in times):
        _malformed()
    # No nonce has a colon.
    given = rfc9421.SignatureInput(token, "", max(times[:2]), times[2], f"jti:{payload.get('jti')}", kid, "ES256")
    longest = 60 if "req" in payload else 300
    rfc9421.check_lifetime(given, int(verifier.clock()), verifier.tolerance_sec, longest)
    key = yield from verifier.keys.lookup(kid)
    rfc9421.check_signature(key, given, token.rpartition(".")[0].encode(), rfc9421.bytes_of(parts[2]))
    headers = read_lines(head.headers)
    identity = _identity(payload, headers.get("x-request-id", ""))
    if "req" not in payload:
        return identity, None
    if not isinstance(payload.get("jti"), str) or not rfc9421.is_nonce(payload["jti"]):
        _malformed()
    check_token_request(payload, head, body)
    return identity, verifier.nonce_claim(head, headers, given)


def check_token_request(claims: Mapping[str, Any], head: RequestHead, body: bytes = b"") -> None:
    """Check that a token is for this request: the check of `req` alone, for claims that a JWT library has verified.

    The service must also accept each `jti` once. Raise IdentityRefused.
    """
    headers, req = read_lines(head.headers), claims.get("req")
    given = req if isinstance(req, dict) else {}
    digest = given.get("d")
    actual = {"m": head.method, "t": head.target, "d": digest, "u": headers.get("upgrade")}
    actual |= {"k": headers.get("sec-websocket-key"), "c": None if digest is None else headers.get("content-type")}
    for member in {**actual, **given}:
        if actual.get(member) != given.get(member):
            raise IdentityRefused("coverage_insufficient", member)
    has_body = bool(body) or announces_body(headers)
    check_cover(head, headers, has_digest=digest is not None, has_body=has_body)
    if digest is not None and digest != rfc9421.base64url(hashlib.sha256(body).digest()):
        raise IdentityRefused("content_digest_mismatch")


def _malformed() -> NoReturn:
    raise IdentityRefused("signature_malformed")


def _part(part: str) -> dict[str, Any]:
    try:
        value = parse_strict_json(rfc9421.bytes_of(part))
    except (ValueError, RecursionError):
        _malformed()
    return value if isinstance(value, dict) else _malformed()


def _identity(payload: dict[str, Any], request_id: str) -> Identity:
    """Read the caller. Its claims have the grammar of the headers, and each kind of caller has those of its headers."""
    texts = {name: payload[name] for name in _TEXTS & payload.keys()}
    caller, sub, user, client = map(texts.get, ("caller", "sub", "user_id", "client_id"))
    service = str(sub).removeprefix("service:") if caller == "service" else None
    expected = (f"client:{client}" if user is None else user) if service is None else f"service:{service}"
    act, amr, scope = payload.get("act"), payload.get("amr", []), texts.get("scope")
    are_texts = all(isinstance(text, str) for text in texts.values())
    if not are_texts or not isinstance(amr, list) or sub != expected or caller not in ("user", "client", "service"):
        _malformed()
    headers = {name: texts[claim] for name, claim in CLAIMS.items() if claim in texts}
    headers |= {"x-identity": caller, "x-identity-audience": payload["aud"], "x-identity-context": ""}
    headers["x-request-id"] = request_id if is_request_id(request_id) else new_request_id()
    if service is not None:
        headers["x-service-id"] = service
    # A user comes through the client.
    application = None if user is None else headers.pop("x-client-id", None)
    members: dict[str, Any] = {"iss": texts.get("idp"), "client": application, "amr": tuple(amr) or None}
    members |= {"sid": texts.get("sid"), "jkt": texts.get("jkt"), "auth_time": payload.get("auth_time")}
    try:
        act = None if act is None else Actor(act["sub"], act["iss"])
        context = IdentityContext(**members, act=act, scope=scope if scope is None else (*scope.split(" "),))
        context_members(context)
    except (KeyError, TypeError, ValueError):
        _malformed()
    covered_headers(headers)
    copied = {name: value for name, value in payload.items() if name not in _OWN}
    return replace(identity_from(headers, context), claims=copied)
