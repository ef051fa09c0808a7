"""Verification: section 7 of docs/identity-contract.md, row by row."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ._contract import rfc9421
from ._contract.context import parse_context
from ._contract.headers import HeaderLines, Headers, covered_headers, is_id, read_lines
from ._keys.agreement import AgreementKeys, agree
from ._keys.jwks import AGREED_KEYID
from ._keys.steps import Steps, arun, run
from .errors import IdentityRefused
from .identity import Identity, identity_from
from .keys import KeySource
from .replay import NonceClaim, ReplayStore, Verdict

TAG = "countersign-v1"
READ_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class RequestHead:
    """A request without its body: the raw target, and the header lines as they came off the wire.

    `stream`: the service itself reads this path as a stream, so its body may lack a digest.
    """

    method: str
    target: str
    headers: HeaderLines
    stream: bool = False


@dataclass(frozen=True)
class SignedHead:
    """A head with a valid signature. The request is valid only after `complete`."""

    head: RequestHead
    headers: Headers
    given: rfc9421.SignatureInput
    identity: Identity = field(repr=False)

    @property
    def needs_body(self) -> bool:
        """Whether `complete` needs the whole body: to hash it, or because none may come (HTTP/2 announces none)."""
        return "content-digest" in self.headers or not self.head.stream


@dataclass(eq=False, kw_only=True)
class Verifier:
    """Verifies that the gateway signed a request for this service, recently, and that it is no replay.

    Its methods raise IdentityRefused and IdentityUnavailable. Those whose names begin with `a` are for asyncio.

    `agreement`: the keys for `algorithm: agreed` in gateway.yaml. `memory` is for a service with one process, and the
    path of a directory for several. `token_issuer` is for verify_identity_token: `identity.issuer` of gateway.yaml, a
    slash, and the audience. `keys` are then those for ES256.
    """

    audience: str
    keys: KeySource
    replay: ReplayStore
    agreement: AgreementKeys | str | None = None
    tolerance_sec: int = 5
    max_lifetime_sec: int = 60
    token_issuer: str = ""
    clock: Callable[[], float] = time.time
    agreement_keys: AgreementKeys | None = field(default=None, init=False, repr=False)
    _agreed: dict[str, rfc9421.HmacKey] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_id(self.audience):
            raise ValueError("audience is not a valid service name")
        if not (0 <= self.tolerance_sec <= 60 and 1 <= self.max_lifetime_sec <= 300):
            raise ValueError("tolerance_sec must be 0 to 60, and max_lifetime_sec 1 to 300")
        given = self.agreement
        own = self.agreement_keys = AgreementKeys.open(given, self.audience) if isinstance(given, str) else given
        if own is not None and any(audience != self.audience for audience in own.audiences):
            raise ValueError("a key for agreement is another service's: its aud is not this audience")
        if own is not None and own.in_memory and self.replay.shared:
            raise ValueError("a key for agreement in memory is for one process, but several share this replay store")

    def verify(self, head: RequestHead, body: bytes = b"") -> Identity:
        return self.complete(self.verify_head(head), body)

    async def averify(self, head: RequestHead, body: bytes = b"") -> Identity:
        return await self.acomplete(await self.averify_head(head), body)

    def verify_head(self, head: RequestHead) -> SignedHead:
        """Rows 1 to 9, so that a service never buffers the body of an unsigned request."""
        return run(self._head(head))

    async def averify_head(self, head: RequestHead) -> SignedHead:
        return await arun(self._head(head))

    def complete(self, signed: SignedHead, body: bytes = b"") -> Identity:
        """Rows 10 to 12: the body's digest, then the nonce."""
        return accepted(signed.identity, self.replay.claim(self._claim(signed, body)))

    async def acomplete(self, signed: SignedHead, body: bytes = b"") -> Identity:
        return accepted(signed.identity, await self.replay.aclaim(self._claim(signed, body)))

    def _head(self, head: RequestHead) -> Steps[SignedHead]:
        target = rfc9421.split_target(head.method, head.target)
        headers = read_lines(head.headers)
        given, signature = rfc9421.read_signature(headers, TAG)
        covered = covered_headers(headers)
        if (context := parse_context(headers["x-identity-context"])) is None:
            raise IdentityRefused("header_malformed", "x-identity-context")
        if "upgrade" in headers and head.method != "GET":
            raise IdentityRefused("header_malformed", "upgrade")
        if given.components != rfc9421.component_list(covered):
            raise IdentityRefused("coverage_insufficient")
        if headers["x-identity-audience"] != self.audience:
            raise IdentityRefused("audience_mismatch")
        rfc9421.check_lifetime(given, int(self.clock()), self.tolerance_sec, self.max_lifetime_sec)
        has_digest = "content-digest" in headers
        check_cover(head, headers, has_digest=has_digest, has_body=announces_body(headers))
        key = yield from self._find_key(given.keyid)
        base = rfc9421.signature_base(target, [(name, headers[name]) for name in covered], given.raw)
        rfc9421.check_signature(key, given, base, signature)
        return SignedHead(head, headers, given, identity_from(headers, context))

    def _find_key(self, keyid: str) -> Steps[rfc9421.VerifyingKey | None]:
        if (agreed := AGREED_KEYID.fullmatch(keyid)) is None:
            return (yield from self.keys.lookup(keyid))
        private = None if self.agreement_keys is None else self.agreement_keys.find(agreed[2])
        gateway = None if private is None else (yield from self.keys.lookup_agreement(agreed[1]))
        if private is None or gateway is None:
            return None
        if keyid not in self._agreed:
            if len(self._agreed) >= 64:  # More than any rotation needs.
                self._agreed.clear()
            self._agreed[keyid] = rfc9421.HmacKey(keyid, agree(private, gateway, self.audience))
        return self._agreed[keyid]

    def _claim(self, signed: SignedHead, body: bytes) -> NonceClaim:
        headers, has_digest = signed.headers, "content-digest" in signed.headers
        if body:
            check_cover(signed.head, headers, has_digest=has_digest, has_body=True)
        if has_digest and headers["content-digest"] != rfc9421.content_digest(body):
            raise IdentityRefused("content_digest_mismatch")
        return self.nonce_claim(signed.head, headers, signed.given)

    def nonce_claim(self, head: RequestHead, headers: Headers, given: rfc9421.SignatureInput) -> NonceClaim:
        """Row 11, and the nonce to claim once everything else is checked."""
        now = int(self.clock())
        rfc9421.check_lifetime(given, now, self.tolerance_sec, self.max_lifetime_sec)
        is_read = head.method in READ_METHODS and "upgrade" not in headers
        keep_until = given.expires + 3 * self.tolerance_sec
        return NonceClaim(self.audience, given.nonce, given.created, keep_until, now, is_read)


def accepted(identity: Identity, verdict: Verdict) -> Identity:
    if verdict == "fresh":
        return identity
    raise IdentityRefused("created_before_start" if verdict == "before_start" else "replayed")


def announces_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def check_cover(head: RequestHead, headers: Headers, *, has_digest: bool, has_body: bool) -> None:
    if has_digest:
        # The digest covers the encoded bytes, but not the name of the encoding.
        if has_body and headers.get("content-encoding", "identity").lower() != "identity":
            raise IdentityRefused("header_malformed", "content-encoding")
    elif not head.stream and (has_body or head.method not in READ_METHODS):
        raise IdentityRefused("content_digest_missing")
