"""Runs packages/identity/nested-vectors.json, and signs every accepted call again: the headers must be the same."""

import json
import pathlib
import re
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agreement import decode
from nested import CallVerifier, sign_call
from run_vectors import request_of
from verifier import Refused

FILE = pathlib.Path(__file__).resolve().parents[3] / "packages" / "identity" / "nested-vectors.json"


def verdict_on(vector, document):
    options = document["verifier"]
    services = {one["jwk"]["kid"]: (one["service_id"], one["jwk"]) for one in document["services"]}
    verifier = CallVerifier(options["audience"], services, options["tolerance_sec"], options["max_lifetime_sec"])
    deliver = lambda request: verifier.verify_call(*request_of(request), vector["now"])
    for earlier in vector.get("requests_before", []) + [vector["request"]] * vector["delivered_before"]:
        try:
            deliver(earlier)
        except Refused:
            pass
    try:
        return {"call": deliver(vector["request"])}
    except Refused as refusal:
        return {"refused": refusal.args[0]}


def is_signed_alike(vector, document):
    method, target, headers, body = request_of(vector["request"])
    found = {name.lower(): value.strip(" \t") for name, value in headers}
    created, nonce, keyid = re.search(r';created=(\d+).*;nonce="([^"]+)";keyid="([^"]+)"', found["signature-input"]).groups()
    jwk = next(one["jwk"] for one in document["services"] if one["jwk"]["kid"] == keyid)
    signed = sign_call(
        Ed25519PrivateKey.from_private_bytes(decode(jwk["d"])), keyid, method, target, body, int(created), nonce,
        document["verifier"]["audience"], found.get("txn-token"), found.get("content-type"),
    )
    return all(found[name] == value for name, value in signed.items())


def main():
    document = json.loads(FILE.read_text())
    failed = 0
    for vector in document["vectors"]:
        expected = {key: vector[key] for key in ("call", "refused") if key in vector}
        verdict = verdict_on(vector, document)
        if verdict != expected or "call" in expected and not is_signed_alike(vector, document):
            failed += 1
            print(f"{vector['name']}: expected {expected}, got {verdict}")
    print(f"{len(document['vectors']) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
