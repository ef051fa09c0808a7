"""docs/agreed-keys.md: gateway and service derive one HMAC key from X25519 keys that each publishes."""

import contextlib
import json
import os
import time
import weakref
from collections.abc import Iterable
from pathlib import Path

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


def new_agreement_jwk(audience: str | None = None) -> dict[str, str]:
    """Generate a private key, for a variable or a file that all instances of the service with this name read."""
    private = X25519PrivateKey.generate()
    x = base64url(private.public_key().public_bytes_raw())
    jwk = {**AGREEMENT, "kid": thumbprint(x), "x": x, "d": base64url(private.private_bytes_raw())}
    return jwk if audience is None else {**jwk, "aud": audience}


class AgreementKeys:
    """The service's private keys for agreement: all are accepted, and the first `publish` of them are published.

    All instances of a service share them. Without `jwks`, a key is generated that exists in this process alone: the
    service must then have one process. A service with keys for other purposes adds their entries to `published`.
    """

    def __init__(self, jwks: Iterable[Jwk] | None = None, *, publish: int = 1, audience: str | None = None) -> None:
        self.in_memory = jwks is None
        self.audiences: list[object] = []
        self.published: list[dict[str, object]] = []
        self._private: dict[str, X25519PrivateKey] = {}
        self._add([new_agreement_jwk(audience)] if jwks is None else jwks)
        del self.published[publish:]
        if not 1 <= len(self.published) <= 4:
            raise ValueError("agreement needs a key, and at most four are published")
        if self.in_memory and hasattr(os, "register_at_fork"):
            # Workers with one key look like one process, which remembers the nonces that it has seen.
            this = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: None if (keys := this()) is None else keys._renew(audience))

    @classmethod
    def open(cls, place: str, audience: str) -> "AgreementKeys":
        """Return a key in memory for `memory`, or the key in a directory, where the first process makes it."""
        if place == "memory":
            return cls(audience=audience)
        return cls([_read_or_create(Path(place), audience)])

    def _renew(self, audience: str | None) -> None:
        others = [key for key in self.published if key.get("kid") not in self._private]
        self._private.clear()
        self.published.clear()
        self._add([new_agreement_jwk(audience)])
        self.published += others

    def _add(self, jwks: Iterable[Jwk]) -> None:
        for jwk in jwks:
            public, raw = {name: value for name, value in jwk.items() if name != "d"}, bytes32(jwk.get("d"))
            private = None if raw is None else X25519PrivateKey.from_private_bytes(raw)
            if private is None or agreement_key(public) != private.public_key():
                raise ValueError("it is not a private X25519 JWK for agreement, or its x does not belong to its d")
            self._private[str(jwk["kid"])] = private
            self.audiences += [jwk["aud"]] if "aud" in jwk else []
            self.published.append({name: public[name] for name in (*AGREEMENT, "kid", "x", "aud") if name in public})

    def find(self, kid: str) -> X25519PrivateKey | None:
        return self._private.get(kid)


def _read_or_create(directory: Path, audience: str) -> Jwk:
    path, temporary = directory / "agreement-1.jwk.json", directory / f"{os.urandom(6).hex()}.new"
    directory.mkdir(0o700, parents=True, exist_ok=True)
    if not path.exists():
        temporary.touch(0o600)
        temporary.write_text(json.dumps({**new_agreement_jwk(audience), "iat": int(time.time())}))
        # Of several processes that start together, one makes the key, and none reads a file that is half written.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: others may read this key for agreement: chmod 600")
    jwk: Jwk = json.loads(path.read_text())
    return jwk
