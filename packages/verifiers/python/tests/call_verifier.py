"""The gateway's side of nested calls: steps 1 to 5 and 7 of docs/nested-calls.md."""

from collections.abc import Mapping
from dataclasses import dataclass

from countersign_identity import IdentityRefused, NonceClaim, ReplayStore, RequestHead
from countersign_identity._contract import headers as contract
from countersign_identity._contract import rfc9421
from countersign_identity.nested import TAG

LIFETIME_SEC = 30
# The headers of a call, in the order of the signature, and the reason of a refusal if one is missing.
_CALL = {
    "x-identity-audience": "header_missing",
    "txn-token": None,
    "content-type": None,
    "content-digest": "content_digest_missing",
}


@dataclass(frozen=True)
class Call:
    service_id: str
    txn_token: str | None


class CallVerifier:
    """`services` has the service and the public key of each keyid."""

    def __init__(
        self, services: Mapping[str, tuple[str, rfc9421.Ed25519Key]], replay: ReplayStore, gateway: str
    ) -> None:
        self._services, self._replay, self._gateway = services, replay, gateway

    def verify(self, head: RequestHead, body: bytes, now: int) -> Call:
        target = rfc9421.split_target(head.method, head.target)
        headers = contract.read_lines(head.headers)
        given, signature = rfc9421.read_signature(headers, TAG)
        for name, missing in _CALL.items():
            if name not in headers and missing is not None:
                raise IdentityRefused(missing, name)
            if name in headers and not contract.COVERED[name](headers[name]):
                raise IdentityRefused("header_malformed", name)
        covered = tuple(name for name in _CALL if name in headers)
        if given.components != rfc9421.component_list(covered):
            raise IdentityRefused("coverage_insufficient")
        if headers["x-identity-audience"] != self._gateway:
            raise IdentityRefused("audience_mismatch")
        rfc9421.check_lifetime(given, now, 5, LIFETIME_SEC)
        service_id, key = self._services.get(given.keyid, ("", None))
        values = [(name, headers[name]) for name in covered]
        rfc9421.check_signature(key, given, rfc9421.signature_base(target, values, given.raw), signature)
        if headers["content-digest"] != rfc9421.content_digest(body):
            raise IdentityRefused("content_digest_mismatch")
        if (
            self._replay.claim(NonceClaim(self._gateway, given.nonce, given.created, given.expires + 15, now))
            != "fresh"
        ):
            raise IdentityRefused("replayed")
        return Call(service_id, headers.get("txn-token"))
