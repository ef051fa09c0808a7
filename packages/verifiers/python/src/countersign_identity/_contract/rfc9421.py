"""Sections 3, 4 and 6 of the contract: the signature, the request target, and the digest."""

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ..errors import IdentityRefused
from .headers import Headers

_INPUT = re.compile(
    r'countersign=(?P<raw>(?P<components>\((?:"[a-z0-9@-]{1,64}"(?: "[a-z0-9@-]{1,64}")*)?\))'
    r";created=(?P<created>0|[1-9][0-9]{0,11});expires=(?P<expires>0|[1-9][0-9]{0,11})"
    r';nonce="(?P<nonce>[A-Za-z0-9_-]{16,64})";keyid="(?P<keyid>[A-Za-z0-9._~:@|-]{1,128})"'
    r';alg="(?P<algorithm>[a-z0-9-]{1,32})";tag="(?P<tag>[a-z0-9-]{1,64})")'
)
_SIGNATURE = re.compile(r"countersign=:([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==):")
_METHOD = re.compile(r"[A-Z]{1,20}(?:-[A-Z]{1,20})?")
_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]*")
_QUERY = re.compile(r"(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?\[\]%-]*)?")
# Servlet containers drop a path parameter before they resolve dots, and URL parsers read %2e as a dot.
_DOT_SEGMENT = re.compile(r"\A/(?:;|%3[bB])|/(?:\.|%2[eE]){1,2}(?:/|;|%3[bB]|\Z)")
_MAX_TARGET = 16_384
is_nonce = re.compile(r"[A-Za-z0-9_-]{16,64}").fullmatch


@dataclass(frozen=True)
class Ed25519Key:
    """A public key of the gateway. The key, never the signature, has the algorithm."""

    algorithm: ClassVar[str] = "ed25519"
    public: Ed25519PublicKey

    def verify(self, base: bytes, signature: bytes) -> bool:
        try:
            self.public.verify(signature, base)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Es256Key:
    """A public key of the gateway for identity tokens, whose signatures have 64 bytes (RFC 7518 section 3.4)."""

    algorithm: ClassVar[str] = "ES256"
    public: EllipticCurvePublicKey

    def verify(self, base: bytes, signature: bytes) -> bool:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            self.public.verify(encode_dss_signature(r, s), base, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return len(signature) == 64


@dataclass(frozen=True)
class Ed25519Signer:
    algorithm: ClassVar[str] = "ed25519"
    keyid: str
    private: Ed25519PrivateKey

    def sign(self, base: bytes) -> bytes:
        return self.private.sign(base)


@dataclass(frozen=True)
class HmacKey:
    """A shared secret, or an agreed key."""

    algorithm: ClassVar[str] = "hmac-sha256"
    keyid: str
    secret: bytes = field(repr=False)

    def sign(self, base: bytes) -> bytes:
        return hmac.digest(self.secret, base, "sha256")

    def verify(self, base: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(base), signature)


VerifyingKey = Ed25519Key | Es256Key | HmacKey
SigningKey = Ed25519Signer | HmacKey
Target = tuple[str, str, str]


@dataclass(frozen=True)
class SignatureInput:
    """The parameters as received. `raw` is the whole value after the label."""

    raw: str
    components: str
    created: int
    expires: int
    nonce: str
    keyid: str
    algorithm: str


def split_target(method: str, target: str) -> Target:
    """Row 1: return the method, the path, and the query with its `?`, neither decoded nor normalized."""
    path, mark, rest = target.partition("?")
    query = mark + rest
    is_valid = _METHOD.fullmatch(method) and _PATH.fullmatch(path) and _QUERY.fullmatch(query)
    if not is_valid or max(len(path), len(query)) > _MAX_TARGET or _DOT_SEGMENT.search(path):
        raise IdentityRefused("target_malformed")
    return method, path, query


def read_signature(headers: Headers, tag: str) -> tuple[SignatureInput, bytes]:
    """Row 3: return what was signed, and the signature."""
    if "signature-input" not in headers or "signature" not in headers:
        raise IdentityRefused("signature_missing")
    given, encoded = _INPUT.fullmatch(headers["signature-input"]), _SIGNATURE.fullmatch(headers["signature"])
    signature = encoded and b64decode(encoded[1])
    # The unused bits of base64 must be zero.
    if not given or not encoded or not signature or len(given[0]) > 1024 or b64encode(signature).decode() != encoded[1]:
        raise IdentityRefused("signature_malformed")
    raw, components, created, expires, nonce, keyid, algorithm, named = given.groups()
    if named != tag:
        raise IdentityRefused("tag_mismatch")
    return SignatureInput(raw, components, int(created), int(expires), nonce, keyid, algorithm), signature


@lru_cache(maxsize=256)
def component_list(names: tuple[str, ...]) -> str:
    """Return the covered components as they stand in `signature-input`."""
    return "(" + " ".join(f'"{name}"' for name in ("@method", "@path", "@query", *names)) + ")"


def signature_base(target: Target, covered: Iterable[tuple[str, str]], raw: str) -> bytes:
    method, path, query = target
    lines = "".join([f'"{name}": {value}\n' for name, value in covered])
    base = f'"@method": {method}\n"@path": {path}\n"@query": {query or "?"}\n{lines}"@signature-params": {raw}'
    return base.encode("latin-1")


def check_signature(key: VerifyingKey | None, given: SignatureInput, base: bytes, signature: bytes) -> None:
    """Row 9, after the lookup of the key."""
    if key is None:
        raise IdentityRefused("key_unknown")
    if key.algorithm != given.algorithm:
        raise IdentityRefused("algorithm_mismatch")
    if not key.verify(base, signature):
        raise IdentityRefused("signature_invalid")


def check_lifetime(given: SignatureInput, now: int, tolerance: int, longest: int) -> None:
    """Rows 7 and 11."""
    if not 0 < given.expires - given.created <= longest:
        raise IdentityRefused("lifetime_invalid")
    if given.created > now + tolerance:
        raise IdentityRefused("created_in_future")
    if now > given.expires + tolerance:
        raise IdentityRefused("expired")


def sign(
    key: SigningKey, tag: str, target: Target, covered: dict[str, str], created: int, nonce: str | None = None
) -> dict[str, str]:
    """Return the two headers of a signature that is valid for 30 s."""
    nonce = nonce or secrets.token_urlsafe(16)
    raw = f'{component_list(tuple(covered))};created={created};expires={created + 30};nonce="{nonce}"'
    raw += f';keyid="{key.keyid}";alg="{key.algorithm}";tag="{tag}"'
    signature = key.sign(signature_base(target, covered.items(), raw))
    return {"signature-input": f"countersign={raw}", "signature": f"countersign=:{b64encode(signature).decode()}:"}


def content_digest(body: bytes) -> str:
    """Return the `content-digest` of a body (RFC 9530)."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def bytes_of(text: str) -> bytes:
    """Return the bytes of canonical base64url without padding. Another form has none."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    return raw if base64url(raw) == text else b""


def bytes32(text: object) -> bytes | None:
    raw = bytes_of(text) if isinstance(text, str) else b""
    return raw if len(raw) == 32 else None
