"""Responses to requests that a service does not accept: docs/identity-contract.md, section 8."""

import json
import os
import time

from verifier import UUID_V7


def new_request_id():
    random = int.from_bytes(os.urandom(10), "big")
    number = time.time_ns() // 10**6 << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def answer(target, headers, refused=None, unavailable=None, too_large=False):
    """Status, headers and body for a refusal with this reason, or for a failed check."""
    if refused is not None:
        status, code, more = 401, "identity_refused", {"www-authenticate": "Countersign", "x-identity-refused": refused}
    elif too_large:
        status, code, more = 413, "payload_too_large", {"connection": "close"}
    else:
        status, code = 503, "identity_unavailable"
        more = {"retry-after": "1", "x-identity-unavailable": unavailable or "unavailable"}
    ids = [value for name, value in headers if name.lower() == "x-request-id"]
    request_id = ids[0] if len(ids) == 1 and UUID_V7.fullmatch(ids[0]) else new_request_id()
    body = {"type": f"urn:countersign:error:{code}", "title": code.replace("_", " "), "status": status,
            "instance": target.split("?", 1)[0][:1024], "code": code, "request_id": request_id}
    common = {"content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": request_id}
    return status, {**common, **more}, json.dumps(body)
