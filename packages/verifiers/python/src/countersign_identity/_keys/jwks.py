"""Which entries of a key set may be used: section 3 of the contract, and docs/agreed-keys.md."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from .._contract.rfc9421 import Ed25519Key, base64url, bytes32

Jwk = Mapping[str, object]

# Two thumbprints: the keyid of an agreed key, which no other key may have.
AGREED_KEYID = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")
AGREEMENT = {"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "countersign-agreed-v1"}
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
    signing: dict[str, Ed25519Key] = field(default_factory=dict)
    agreement: dict[str, X25519PublicKey] = field(default_factory=dict)
    # Of every entry, usable or not.
    kids: frozenset[str] = frozenset()


def thumbprint(x: str) -> str:
    """Return the RFC 7638 thumbprint of an X25519 key."""
    return base64url(hashlib.sha256(f'{{"crv":"X25519","kty":"OKP","x":"{x}"}}'.encode()).digest())


def signing_key(jwk: Jwk) -> Ed25519Key | None:
    kid, operations, raw = jwk.get("kid"), jwk.get("key_ops", ["verify"]), bytes32(jwk.get("x"))
    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519") or _PRIVATE & jwk.keys() or is_published(jwk):
        return None
    if not isinstance(kid, str) or AGREED_KEYID.fullmatch(kid) or not isinstance(operations, list) or raw is None:
        return None
    if (
        jwk.get("alg", "EdDSA") not in ("EdDSA", "Ed25519")
        or jwk.get("use", "sig") != "sig"
        or "verify" not in operations
    ):
        return None
    y = int.from_bytes(raw, "little") % 2**255
    return None if y >= _PRIME or y in _SMALL_ORDER else Ed25519Key(Ed25519PublicKey.from_public_bytes(raw))


def agreement_key(jwk: Jwk) -> X25519PublicKey | None:
    raw = bytes32(jwk.get("x"))
    if (
        any(jwk.get(name) != value for name, value in AGREEMENT.items())
        or raw is None
        or "d" in jwk
        or is_published(jwk)
    ):
        return None
    u = int.from_bytes(raw, "little")
    is_usable = u < _PRIME and u not in _LOW_ORDER and jwk.get("kid") == thumbprint(str(jwk["x"]))
    return X25519PublicKey.from_public_bytes(raw) if is_usable else None


def parse_jwks(document: object) -> ParsedKeys | None:
    """Return the usable keys of a key set, or None if it is not a key set. Neither of two keys with one kid is used."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > 100:
        return None
    jwks = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]
    kids = [jwk["kid"] for jwk in jwks]
    once = [jwk for jwk in jwks if kids.count(jwk["kid"]) == 1]
    signing = {jwk["kid"]: signs for jwk in once if (signs := signing_key(jwk)) is not None}
    agreement = {jwk["kid"]: agrees for jwk in once if (agrees := agreement_key(jwk)) is not None}
    return ParsedKeys(signing, agreement, frozenset(kids))


# Keys whose private halves everybody has, `published` of vectors.json: public keys, keyids of secrets, kids.
_TEXT = """
11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw
JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo
U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI 3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08
xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s -Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4
gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw
gApfGpn1ROtQ5gov1mSutM _m6PbcqDvc2TLRHfP_UnuT lA0knehIId096pQAspBmpX u8eLw9SOHenbE9hjq4FTBY
3PPNkOWE4K6DRrrWwZkMsI ddZH86t36liT6mwRuiFs2m
ed-1 ed-twice only-required-members alg-of-rfc-9864 key-ops-verify key-ops-sign-and-verify other-members
ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|- vectors-complaint-1 vectors-users-1
test-key-rsa test-key-rsa-pss test-key-ecc-p256 test-key-ed25519 test-shared-secret
"""
PUBLISHED = frozenset([*_TEXT.split(), "k" * 128])


def is_published(jwk: Mapping[str, object]) -> bool:
    return any(isinstance(jwk.get(name), str) and jwk[name] in PUBLISHED for name in ("x", "kid"))


def secret_keyid(secret: bytes) -> str:
    """Return the keyid of a shared secret. It reveals nothing about a random secret."""
    return base64url(hashlib.sha256(b"countersign hmac keyid\0" + secret).digest())[:22]
