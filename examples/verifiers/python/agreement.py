"""Key agreement: docs/agreed-keys.md. Gateway and service derive one HMAC key from X25519 keys."""

import base64
import hashlib
import json
import re

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEYID = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")
PRIME = 2**255 - 19
LOW_ORDER = {
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "7P_______________________________________38", "4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA",
    "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc",
}


def decode(text):
    """The bytes of canonical base64url without padding, or None."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        return None
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return raw if base64.urlsafe_b64encode(raw).decode().rstrip("=") == text else None


def thumbprint(x):
    """RFC 7638."""
    text = json.dumps({"crv": "X25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def public_bytes(jwk):
    """The 32 bytes of a usable public key, or None."""
    expected = {"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "countersign-agreed-v1"}
    if "d" in jwk or any(jwk.get(name) != value for name, value in expected.items()):
        return None
    raw = decode(jwk.get("x"))
    if raw is None or len(raw) != 32 or jwk.get("kid") != thumbprint(jwk["x"]):
        return None
    return raw if int.from_bytes(raw, "little") < PRIME and jwk["x"] not in LOW_ORDER else None


def usable_keys(jwks):
    """The usable public keys of a key set, by kid."""
    kids = [key.get("kid") for key in jwks["keys"]]
    found = {key.get("kid"): public_bytes(key) for key in jwks["keys"] if kids.count(key.get("kid")) == 1}
    return {kid: raw for kid, raw in found.items() if raw is not None}


def hkdf(ikm, salt, info, length):
    return HKDF(SHA256(), length, salt, info).derive(ikm)


def info_of(gateway, service, audience):
    return b"countersign-v1 agreed\x00" + gateway + service + audience.encode("ascii")


def agree(private, gateway, audience):
    """The key of a service. `private` is its 32 private bytes, `gateway` the gateway's 32 public bytes."""
    own = X25519PrivateKey.from_private_bytes(private)
    shared = own.exchange(X25519PublicKey.from_public_bytes(gateway))  # raises ValueError if it is all zero
    return hkdf(shared, b"", info_of(gateway, own.public_key().public_bytes_raw(), audience), 32)
