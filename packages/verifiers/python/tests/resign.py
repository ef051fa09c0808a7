"""Requests that SigningGateway does not make: streams without a digest, and upgrades."""

import time

from countersign_identity._contract import headers as contract
from countersign_identity._contract import rfc9421
from countersign_identity.testing import SignedRequest, SigningGateway
from countersign_identity.verifier import TAG


def resigned(gateway: SigningGateway, method: str, path: str, **more: str) -> SignedRequest:
    """A request without a digest, with these further headers, which are signed and left out."""
    headers = {**gateway.sign("GET", path).headers, **{name.replace("_", "-"): value for name, value in more.items()}}
    covered = {name: headers[name] for name in contract.covered_headers(headers)}
    headers |= rfc9421.sign(gateway.key, TAG, (method, path, ""), covered, int(time.time()))
    left_out = {name.replace("_", "-") for name in more}
    return SignedRequest(method, path, {name: value for name, value in headers.items() if name not in left_out}, b"")
