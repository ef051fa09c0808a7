"""docs/agreed-keys.md: gateway and service derive one HMAC key from X25519 keys that each publishes."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .._contract.rfc9421 import base64url, bytes32
from .jwks import AGREEMENT, Jwk, agreement_key, thumbprint


def hkdf_info(gateway: X25519PublicKey, service: X25519PublicKey, audience: str) -> bytes:
    keys = gateway.public_bytes_raw() + service.public_bytes_raw()
    return b"countersign-v1 agreed\0" + keys + audience.encode("ascii")


def agree(service: X25519PrivateKey, gateway: X25519PublicKey, audience: str) -> bytes:
    """Derive the key on the service's side. Raise ValueError if the shared secret is all zero."""
    info = hkdf_info(gateway, service.public_key(), audience)
    return HKDF(SHA256(), 32, b"", info).derive(service.exchange(gateway))


def new_agreement_jwk() -> dict[str, str]:
    """Generate a private key, for a variable or a file that all instances of the service read."""
    private = X25519PrivateKey.generate()
    x = base64url(private.public_key().public_bytes_raw())
    return {**AGREEMENT, "kid": thumbprint(x), "x": x, "d": base64url(private.private_bytes_raw())}


class AgreementKeys:
    """The service's private keys for agreement: all are accepted, and the first `publish` of them are published.

    All instances of a service share them. Without `jwks`, a key is generated that exists in this process alone: the
    service must then have one process. A service with keys for other purposes adds their entries to `published`.
    """

    def __init__(self, jwks: Iterable[Jwk] | None = None, *, publish: int = 1) -> None:
        self.in_memory = jwks is None
        self.published: list[dict[str, object]] = []
        self._private: dict[str, X25519PrivateKey] = {}
        for jwk in [new_agreement_jwk()] if jwks is None else jwks:
            public, raw = {name: value for name, value in jwk.items() if name != "d"}, bytes32(jwk.get("d"))
            private = None if raw is None else X25519PrivateKey.from_private_bytes(raw)
            if private is None or agreement_key(public) != private.public_key():
                raise ValueError("it is not a private X25519 JWK for agreement, or its x does not belong to its d")
            self._private[str(jwk["kid"])] = private
            self.published.append({name: public[name] for name in (*AGREEMENT, "kid", "x")})
        del self.published[publish:]
        if not 1 <= len(self.published) <= 4:
            raise ValueError("agreement needs a key, and at most four are published")

    def find(self, kid: str) -> X25519PrivateKey | None:
        return self._private.get(kid)
