"""Nested calls: docs/nested-calls.md. A service signs them, and the gateway verifies them."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import agreement
from verifier import COVERED, Refused, Verifier, digest_of, read_headers, read_signature, signature_base, split_target

TAG = "countersign-service-v2"
GRAMMARS = {name: matches for name, _, matches in COVERED}
# The headers of a call, in the order of the signature, and the reason for a refusal if one is missing.
CALL = {
    "x-identity-audience": "header_missing", "txn-token": None, "content-type": None,
    "content-digest": "content_digest_missing",
}


def components_of(found):
    return ["@method", "@path", "@query", *(name for name in CALL if name in found)]


def list_of(components):
    return "(" + " ".join(f'"{name}"' for name in components) + ")"


def sign_call(private_key, keyid, method, target, body, created, nonce, audience="countersign-gateway", txn_token=None,
              content_type=None):
    """The headers that a service adds to a call. `content_type` is that of the call, if it has one."""
    path, query = split_target(method, target)
    sent = {"x-identity-audience": audience, "txn-token": txn_token, "content-type": content_type,
            "content-digest": digest_of(body)}
    sent = {name: value for name, value in sent.items() if value is not None}
    components = components_of(sent)
    raw = (f'{list_of(components)};created={created};expires={created + 30};nonce="{nonce}"'
           f';keyid="{keyid}";alg="ed25519";tag="{TAG}"')
    signature = base64.b64encode(private_key.sign(signature_base(components, method, path, query, sent, raw))).decode()
    sent.pop("content-type", None)
    return {**sent, "signature-input": f"countersign={raw}", "signature": f"countersign=:{signature}:"}


class CallVerifier(Verifier):
    """The gateway's side. `services` maps keyids to the service's id and its public JWK."""

    def __init__(self, audience, services, tolerance=5, max_lifetime=30):
        super().__init__(audience, {"keys": []}, {}, 0, tolerance, max_lifetime)
        self.owners = {keyid: service_id for keyid, (service_id, _) in services.items()}
        self.public = {
            keyid: Ed25519PublicKey.from_public_bytes(agreement.decode(jwk["x"])) for keyid, (_, jwk) in services.items()
        }

    def verify_call(self, method, target, headers, body, now):
        """Returns the calling service and its txn-token, which the gateway then checks."""
        path, query = split_target(method, target)
        found = read_headers(headers)
        signature, given = read_signature(found, TAG)
        for name, missing in CALL.items():
            if name not in found and missing is not None:
                raise Refused(missing)
            if name in found and not GRAMMARS[name](found[name]):
                raise Refused("header_malformed")
        components = components_of(found)
        if given["list"] != list_of(components):
            raise Refused("coverage_insufficient")
        if found["x-identity-audience"] != self.audience:
            raise Refused("audience_mismatch")
        created, expires = self.check_times(given, now)
        self.check_signature(given, signature_base(components, method, path, query, found, given["raw"]), signature)
        if digest_of(body) != found["content-digest"]:
            raise Refused("content_digest_mismatch")
        self.claim(given["nonce"], created, expires, now)
        token = {"txn_token": found["txn-token"]} if "txn-token" in found else {}
        return {"service_id": self.owners[given["keyid"]], **token}
