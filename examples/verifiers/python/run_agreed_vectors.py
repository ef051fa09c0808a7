"""Runs packages/identity/agreed-vectors.json: the RFCs, the derivations, the keys that must not be used, the requests."""

import base64
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from agreement import agree, decode, hkdf, info_of, public_bytes, usable_keys
from run_vectors import failures_in

FILE = pathlib.Path(__file__).resolve().parents[3] / "packages" / "identity" / "agreed-vectors.json"


def x25519(scalar, u):
    return X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(u))


def checks(document):
    """Pairs of a check, and whether it passed."""
    unhex = bytes.fromhex
    for one in document["rfc7748"]:
        yield f"RFC 7748 {one['name']}", x25519(unhex(one["scalar"]), unhex(one["u"])).hex() == one["result"]
    for one in document["rfc5869"]:
        okm = hkdf(unhex(one["ikm"]), unhex(one["salt"]), unhex(one["info"]), one["length"])
        yield f"RFC 5869 {one['name']}", okm.hex() == one["okm"]
    private = {jwk["kid"]: decode(jwk["d"]) for side in ("agreement", "gateway") for jwk in document["keys"][side]}
    public = {kid: X25519PrivateKey.from_private_bytes(d).public_key().public_bytes_raw() for kid, d in private.items()}
    for one in document["derivations"]:
        gateway, service, audience = one["gateway"], one["service"], one["audience"]
        name = f"derivation {one['keyid']} for {audience}"
        yield f"{name}, keyid", one["keyid"] == f"{gateway}.{service}"
        yield f"{name}, X25519", x25519(private[gateway], public[service]).hex() == one["x25519_hex"]
        yield f"{name}, info", info_of(public[gateway], public[service], audience).hex() == one["info_hex"]
        secret = agree(private[service], public[gateway], audience)
        yield f"{name}, secret", base64.b64encode(secret).decode() == one["secret_base64"]
    for one in document["unusable"]:
        yield f"unusable: {one['name']}", public_bytes(one["jwk"]) is None
    yield "usable keys", list(usable_keys(document["keys"]["jwks"])) == document["usable"]


def main():
    document = json.loads(FILE.read_text())
    results = list(checks(document))
    failed = [name for name, holds in results if not holds]
    for name in failed:
        print(f"{name}: differs")
    wrong = failures_in(document)
    total = len(results) + len(document["vectors"])
    print(f"{total - len(failed) - wrong} passed, {len(failed) + wrong} failed")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
