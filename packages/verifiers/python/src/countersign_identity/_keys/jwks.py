"""Which entries of a key set may be used: section 3 of the contract, and docs/agreed-keys.md."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from .._contract.rfc9421 import Ed25519Key, Es256Key, base64url, bytes32

Jwk = Mapping[str, object]

# Two thumbprints: the keyid of an agreed key, which no other key may have.
AGREED_KEYID = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")
AGREEMENT = {"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "countersign-agreed-v1"}
_KID = re.compile(r"[!-~]{1,256}")
_PRIME = 2**255 - 19
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
# Anyone can sign under an ed25519 key of small order. These are without the sign of x.
_SMALL_ORDER = {0, 1, _PRIME - 1, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826}
_SMALL_ORDER |= {0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7}
# The shared secret of an X25519 key of low order is zero (RFC 7748 section 7).
_LOW_ORDER = {0, 1, _PRIME - 1, 0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0}
_LOW_ORDER |= {0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F}


@dataclass(frozen=True)
class ParsedKeys:
    signing: dict[str, Ed25519Key | Es256Key] = field(default_factory=dict)
    agreement: dict[str, X25519PublicKey] = field(default_factory=dict)
    # Of every entry, usable or not.
    kids: frozenset[str] = frozenset()


def thumbprint(x: str) -> str:
    """Return the RFC 7638 thumbprint of an X25519 key."""
    return base64url(hashlib.sha256(f'{{"crv":"X25519","kty":"OKP","x":"{x}"}}'.encode()).digest())


def _has(jwk: Jwk, **members: str) -> bool:
    return members.items() <= jwk.items()


def _may_verify(jwk: Jwk) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    may_verify = isinstance(operations, list) and "verify" in operations and jwk.get("use", "sig") == "sig"
    return may_verify and not _PRIVATE & jwk.keys() and not is_published(jwk)


def token_key(jwk: Jwk) -> Es256Key | None:
    x, y = bytes32(jwk.get("x")), bytes32(jwk.get("y"))
    is_es256 = _has(jwk, kty="EC", crv="P-256") and jwk.get("alg", "ES256") == "ES256"
    if x is None or y is None or not is_es256 or not _may_verify(jwk):
        return None
    try:
        point = EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), SECP256R1())
        return Es256Key(point.public_key())
    except ValueError:  # The point is not on the curve.
        return None


def signing_key(jwk: Jwk) -> Ed25519Key | None:
    raw = bytes32(jwk.get("x"))
    is_ed25519 = _has(jwk, kty="OKP", crv="Ed25519") and jwk.get("alg", "EdDSA") in ("EdDSA", "Ed25519")
    if raw is None or not is_ed25519 or not _may_verify(jwk):
        return None
    y = int.from_bytes(raw, "little") % 2**255
    return None if y >= _PRIME or y in _SMALL_ORDER else Ed25519Key(Ed25519PublicKey.from_public_bytes(raw))


def agreement_key(jwk: Jwk) -> X25519PublicKey | None:
    raw = bytes32(jwk.get("x"))
    if raw is None or not _has(jwk, **AGREEMENT) or "d" in jwk or is_published(jwk):
        return None
    u = int.from_bytes(raw, "little")
    is_usable = u < _PRIME and u not in _LOW_ORDER and jwk.get("kid") == thumbprint(str(jwk["x"]))
    return X25519PublicKey.from_public_bytes(raw) if is_usable else None


def is_kid(kid: str) -> bool:
    return _KID.fullmatch(kid) is not None and AGREED_KEYID.fullmatch(kid) is None


def parse_jwks(document: object, algorithm: str = "EdDSA") -> ParsedKeys | None:
    """Return the usable keys of a key set, or None if it is not a key set. Neither of two keys with one kid is used."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > 100:
        return None
    jwks = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]
    kids = [jwk["kid"] for jwk in jwks]
    once = [jwk for jwk in jwks if kids.count(jwk["kid"]) == 1 and is_kid(jwk["kid"])]
    import_key = token_key if algorithm == "ES256" else signing_key
    signing = {jwk["kid"]: signs for jwk in once if (signs := import_key(jwk)) is not None}
    agreement = {jwk["kid"]: agrees for jwk in once if (agrees := agreement_key(jwk)) is not None}
    return ParsedKeys(signing, agreement, frozenset(kids))


# Keys whose private halves everybody has, `published` of vectors.json: public keys, keyids of secrets, kids.
PUBLISHED = frozenset(files(__package__).joinpath("published.txt").read_text("ascii").splitlines())


def is_published(jwk: Mapping[str, object]) -> bool:
    return any(isinstance(jwk.get(name), str) and jwk[name] in PUBLISHED for name in ("x", "kid"))


def secret_keyid(secret: bytes) -> str:
    """Return the keyid of a shared secret. It reveals nothing about a random secret."""
    return base64url(hashlib.sha256(b"countersign hmac keyid\0" + secret).digest())[:22]
