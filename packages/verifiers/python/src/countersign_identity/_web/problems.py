"""Section 8 of the contract: the answers to requests that are not accepted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from .._contract.headers import is_request_id
from ..errors import IdentityError, IdentityNotAllowed, IdentityRefused, IdentityUnavailable
from ..identity import new_request_id

_PROBLEMS = {
    "identity_refused": (401, "The request does not carry a valid identity from the gateway"),
    "identity_unavailable": (503, "The identity of the request cannot be checked at the moment"),
    "identity_not_allowed": (403, "This kind of caller is not allowed here"),
    "insufficient_role": (403, "The caller's role does not allow this request"),
    "insufficient_scope": (403, "The caller's scopes do not allow this request"),
    "payload_too_large": (413, "The request body is too large"),
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def problem_for(error: IdentityError, target: str, lines: Iterable[tuple[str, str]]) -> Answer:
    """Answer with problem+json (RFC 9457). It shows the path without the query, which may hold secrets."""
    code, headers = error.reason, {"content-type": "application/problem+json", "cache-control": "no-store"}
    if isinstance(error, IdentityRefused):
        code = "identity_refused"
        headers |= {"www-authenticate": "Countersign", "x-identity-refused": error.reason}
    elif isinstance(error, IdentityUnavailable):
        code = "identity_unavailable"
        headers |= {"retry-after": "1", "x-identity-unavailable": error.reason}
    elif isinstance(error, IdentityNotAllowed):
        headers |= {"www-authenticate": error.challenge} if error.challenge else {}
    else:
        headers["connection"] = "close"
    ids = [value.strip(" \t") for name, value in lines if name.lower() == "x-request-id"]
    request_id = ids[0] if len(ids) == 1 and is_request_id(ids[0]) else new_request_id()
    status, title = _PROBLEMS[code]
    body = {"type": f"urn:countersign:error:{code}", "title": title, "status": status, "code": code}
    body |= {"instance": target.partition("?")[0][:1024], "request_id": request_id}
    return Answer(status, headers | {"x-request-id": request_id}, json.dumps(body).encode())
