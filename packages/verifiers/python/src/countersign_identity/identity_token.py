"""Identity tokens: the caller as a JWT, for services that get it instead of the headers."""

import hashlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from ._contract import rfc9421
from ._contract.context import context_members
from ._contract.headers import covered_headers, is_request_id, read_lines
from ._keys.steps import Steps, arun, run
from .errors import IdentityRefused
from .identity import Actor, Identity, IdentityContext, identity_from, new_request_id
from .keys import KeySource
from .replay import NonceClaim, ReplayStore
from .verifier import READ_METHODS, RequestHead, accepted, announces_body, check_cover

_TEXTS = frozenset("sub idp user_id role tenant_id caller client_id scope sid jkt".split(" "))
_OWN = _TEXTS | frozenset("iss aud iat nbf exp jti req auth_time amr act".split(" "))


@dataclass(frozen=True, kw_only=True)
class TokenOptions:
    """`issuer` is `identity.issuer` of gateway.yaml, a slash, and the audience. `keys` are those for ES256."""

    issuer: str
    audience: str
    keys: KeySource
    replay: ReplayStore
    tolerance_sec: int = 5
    clock: Callable[[], float] = time.time


def verify_identity_token(token: str | None, head: RequestHead, options: TokenOptions, body: bytes = b"") -> Identity:
    """Verify that the gateway signed the token, recently, for this service and, if it has `req`, for this request.

    `token` has no `Bearer`. A copy of a token without `req` works for any request until it expires. Of the identity,
    `claims` are the copied ones, `request_id` is unsigned, and there is no `txn_token`. Raise IdentityRefused, with the
    reasons of the headers, and IdentityUnavailable.
    """
    identity, claim = run(_verify(token, head, options, body))
    return identity if claim is None else accepted(identity, options.replay.claim(claim))


async def averify_identity_token(
    token: str | None, head: RequestHead, options: TokenOptions, body: bytes = b""
) -> Identity:
    """Like verify_identity_token, for asyncio."""
    identity, claim = await arun(_verify(token, head, options, body))
    return identity if claim is None else accepted(identity, await options.replay.aclaim(claim))


def _verify(
    token: str | None, head: RequestHead, options: TokenOptions, body: bytes
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
    if payload.get("iss") != options.issuer or payload.get("aud") != options.audience:
        raise IdentityRefused("audience_mismatch")
    kid, times = header.get("kid"), [payload.get(name) for name in ("iat", "nbf", "exp")]
    if not isinstance(kid, str) or not all(type(second) is int for second in times):
        _malformed()
    # No nonce has a colon.
    given = rfc9421.SignatureInput(token, "", max(times[:2]), times[2], f"jti:{payload.get('jti')}", kid, "ES256")
    now, is_bound = int(options.clock()), "req" in payload
    rfc9421.check_lifetime(given, now, options.tolerance_sec, 60 if is_bound else 300)
    key = yield from options.keys.lookup(kid)
    rfc9421.check_signature(key, given, token.rpartition(".")[0].encode(), _bytes_of(parts[2]))
    headers = read_lines(head.headers)
    identity = _identity(payload, headers.get("x-request-id", ""))
    if not is_bound:
        return identity, None
    if not isinstance(payload.get("jti"), str) or not rfc9421.is_nonce(payload["jti"]):
        _malformed()
    check_token_request(payload, head, body)
    is_read = head.method in READ_METHODS and "upgrade" not in headers
    keep_until = given.expires + 3 * options.tolerance_sec
    return identity, NonceClaim(options.audience, given.nonce, given.created, keep_until, now, is_read)


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
    covered = {**headers, "content-digest": str(digest)}
    if digest is None:
        del covered["content-digest"]
    check_cover(head, covered, has_body=bool(body) or announces_body(headers))
    if digest is not None and digest != rfc9421.base64url(hashlib.sha256(body).digest()):
        raise IdentityRefused("content_digest_mismatch")


def _malformed() -> NoReturn:
    raise IdentityRefused("signature_malformed")


def _bytes_of(part: str) -> bytes:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""
    return raw if rfc9421.base64url(raw) == part else b""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member is repeated")
    return dict(pairs)


def _part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes_of(part).decode(), object_pairs_hook=_unique)
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
    application, client = (None, client) if user is None else (client, None)  # A user comes through the client.
    members: dict[str, Any] = {"iss": texts.get("idp"), "client": application, "amr": tuple(amr) or None}
    members |= {"sid": texts.get("sid"), "jkt": texts.get("jkt"), "auth_time": payload.get("auth_time")}
    try:
        act = None if act is None else Actor(act["sub"], act["iss"])
        context = IdentityContext(**members, act=act, scope=scope if scope is None else (*scope.split(" "),))
        context_members(context)
    except (KeyError, TypeError, ValueError):
        _malformed()
    named: dict[str, Any] = {"x-identity": caller, "x-identity-audience": payload["aud"], "x-identity-context": ""}
    named |= {"x-request-id": request_id if is_request_id(request_id) else new_request_id(), "x-service-id": service}
    named |= {"x-client-id": client, "x-user-id": user, "x-user-role": texts.get("role")}
    named |= {"x-tenant-id": texts.get("tenant_id")}
    headers = {name: value for name, value in named.items() if value is not None}
    covered_headers(headers)
    copied = {name: value for name, value in payload.items() if name not in _OWN}
    return replace(identity_from(headers, context), claims=copied)
