"""Section 2 of the contract: the headers, how their lines are read, and which of them a signature must cover."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ..errors import IdentityRefused

HeaderLines = Sequence[tuple[str, str]]
Headers = Mapping[str, str]
Check = Callable[[str], object]

_MAX_LINES = 256
# Longer than every name of the contract: the fold of a longer name looks at its first 64 characters.
_MAX_NAME = 65

is_id = re.compile(r"[A-Za-z0-9._~:@|-]{1,128}").fullmatch
_DIGITS = re.compile(r"[0-9]+")
is_role = re.compile(r"[a-z0-9_-]{1,64}").fullmatch
is_request_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch

# Every header that a signature can cover, in its order.
COVERED: dict[str, Check] = {
    "x-request-id": is_request_id,
    "x-identity": is_id,
    "x-identity-audience": is_id,
    "x-identity-context": lambda value: len(value) <= 2048,
    "x-service-id": is_id,
    "x-client-id": is_id,
    "x-user-id": is_id,
    "x-user-role": is_role,
    "x-tenant-id": is_id,
    "txn-token": re.compile(r"(?=.{1,4096}\Z)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+").fullmatch,
    "content-type": re.compile(r"(?=.{1,1024}\Z)[!-~](?:[ -~]*[!-~])?").fullmatch,
    # The last character of base64 of 32 bytes has two unused bits, which must be zero.
    "content-digest": re.compile(r"sha-256=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:").fullmatch,
    "upgrade": re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,64}").fullmatch,
    "sec-websocket-key": re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch,
}
# Whether a header must be there (True) or may be (False), by kind of caller. No other header may be there.
_EVERY = {"x-request-id": True, "x-identity": True, "x-identity-audience": True, "x-identity-context": True}
_EVERY |= {"content-type": False, "content-digest": False, "upgrade": False}
_USER = {"x-user-id": True, "x-user-role": True, "x-tenant-id": True, "txn-token": False}
_CLIENT = {"x-client-id": True, "x-user-role": False, "x-tenant-id": False, "txn-token": False}
_SERVICE = {"x-service-id": True, "txn-token": False}
_REQUIRED = {
    "user": _EVERY | _USER,
    "client": _EVERY | _CLIENT,
    "anonymous": _EVERY,
    "gateway": _EVERY,
    "service": _EVERY | _SERVICE,
    "service for a user": _EVERY | _SERVICE | _USER,
    "service for a client": _EVERY | _SERVICE | _CLIENT,
}

_OF_MESSAGE = {"content-type", "upgrade", "sec-websocket-key"}
_CONTRACT = COVERED.keys() - _OF_MESSAGE | {"signature-input", "signature"}
_TRACKED = _CONTRACT | _OF_MESSAGE | {"content-encoding", "content-length", "transfer-encoding"}
_PREFIXES = ("x-identity", "x-user", "x-tenant", "x-service")
_NOT_PLAIN = re.compile(r"[^a-z0-9]")
_EXEMPT = re.compile(r"/(?:healthz|readyz|metrics)|(?=.{1,256}\Z)/\.well-known(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


@lru_cache(maxsize=1024)
def _classify(name: str) -> tuple[str | None, bool, bool]:
    """Return the name if the contract has it, whether it is an identity header, and whether it is an alias of one."""
    lower = name.encode("latin-1").lower().decode("latin-1")  # str.lower() changes more than A-Z.
    folded = _NOT_PLAIN.sub("-", lower[:64])
    is_identity = folded in _CONTRACT or folded.startswith(_PREFIXES)
    return (lower if lower in _TRACKED else None), is_identity, folded != lower[:64]


def is_identity_header(name: str) -> bool:
    """Whether an application could read the name as that of a header of the contract."""
    return _classify(name[:_MAX_NAME])[1]


def is_exempt(method: str, target: str) -> bool:
    """Whether the request needs no identity (section 1)."""
    return method in ("GET", "HEAD") and _EXEMPT.fullmatch(target.partition("?")[0]) is not None


def read_lines(lines: HeaderLines) -> dict[str, str]:
    """Row 2: return the headers that matter. Refuse duplicates, and identity headers that no signature can cover."""
    if len(lines) > _MAX_LINES:
        raise IdentityRefused("header_malformed", "too many lines")
    found: dict[str, str] = {}
    for name, value in lines:
        tracked, is_identity, is_alias = _classify(name[:_MAX_NAME])
        if tracked is None:
            if is_identity:
                raise IdentityRefused("header_alias" if is_alias else "coverage_insufficient")
        elif tracked in found:
            raise IdentityRefused("header_duplicated", tracked)
        else:
            found[tracked] = value.strip(" \t")
    length = found.get("content-length")
    if length is not None and ("transfer-encoding" in found or _DIGITS.fullmatch(length) is None):
        # Two parsers could end the body at different bytes (RFC 9112 section 6.3).
        raise IdentityRefused("header_malformed", "content-length")
    return found


def covered_headers(headers: Headers) -> tuple[str, ...]:
    """Row 4 without the context: check the headers against the table, and name those that must be covered."""
    kind = headers.get("x-identity")
    if kind is None:
        raise IdentityRefused("header_missing", "x-identity")
    if kind == "service" and "x-client-id" in headers:
        kind = "service for a client"
    elif kind == "service" and ("x-user-id" in headers or "x-user-role" in headers or "x-tenant-id" in headers):
        kind = "service for a user"
    elif kind not in ("user", "client", "anonymous", "service", "gateway"):
        raise IdentityRefused("header_malformed", "x-identity")
    covered, required = [], _REQUIRED[kind]
    for name, is_valid in COVERED.items():
        value, is_required = headers.get(name), required.get(name)
        if name == "content-type" and "content-digest" not in headers:
            continue
        if name == "sec-websocket-key" and "upgrade" in headers:
            is_required = True
        if value is None:
            if is_required:
                raise IdentityRefused("header_missing", name)
            continue
        if is_required is None:
            raise IdentityRefused("coverage_insufficient", name)
        if not is_valid(value):
            raise IdentityRefused("header_malformed", name)
        covered.append(name)
    return tuple(covered)
