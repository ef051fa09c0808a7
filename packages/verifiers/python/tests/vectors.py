"""Reads the vectors of packages/identity, whose format docs/contract-vectors.md describes, and decides them."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from countersign_identity import AgreementKeys, IdentityRefused, MemoryReplay, RequestHead, StaticKeys, Verifier
from countersign_identity._contract import headers as contract
from countersign_identity._keys import jwks
from countersign_identity.testing import identity_json

IDENTITY = Path(__file__).parents[3] / "identity"


def read(name: str) -> Any:
    return json.loads((IDENTITY / name).read_text())


@contextmanager
def published_keys_allowed() -> Iterator[None]:
    """The vectors are signed with published keys, which the package refuses everywhere else."""
    with patch.object(jwks, "PUBLISHED", frozenset()):
        yield


def request_of(request: dict[str, Any], stream: bool = False) -> tuple[RequestHead, bytes]:
    lines = [(name, value) for name, value in request["headers"]]
    return RequestHead(request["method"], request["target"], lines, stream), base64.b64decode(request["body_base64"])


def keys_of(document: dict[str, Any]) -> StaticKeys:
    keys = document["keys"]
    return StaticKeys(keys["jwks"], secrets=[base64.b64decode(one["secret_base64"]) for one in keys["secrets"]])


def verdict_on(vector: dict[str, Any], document: dict[str, Any], keys: StaticKeys) -> dict[str, Any]:
    head, body = request_of(vector["request"], vector["stream"])
    if contract.is_exempt(head.method, head.target):
        left = [name for name, _ in head.headers if not contract.is_identity_header(name)]
        return {"exempt": True, "headers_left": left}
    options, agreement = document["verifier"], document["keys"].get("agreement")
    verifier = Verifier(
        audience=options["audience"],
        keys=keys,
        replay=MemoryReplay(clock=lambda: vector["memory_began"] - 1),
        agreement=agreement and AgreementKeys(agreement),
        tolerance_sec=options["tolerance_sec"],
        max_lifetime_sec=options["max_lifetime_sec"],
        clock=lambda: vector["now"],
    )
    for earlier in [*vector.get("requests_before", []), *[vector["request"]] * vector["delivered_before"]]:
        try:
            verifier.verify(*request_of(earlier, vector["stream"]))
        except IdentityRefused:
            pass
    try:
        return {"identity": json.loads(json.dumps(identity_json(verifier.verify(head, body))))}
    except IdentityRefused as refusal:
        return {"refused": refusal.reason}


def expected_of(vector: dict[str, Any]) -> dict[str, Any]:
    return {name: vector[name] for name in ("identity", "refused", "exempt", "headers_left") if name in vector}


def differences(document: dict[str, Any]) -> list[str]:
    """The vectors that are decided in another way, each as one line."""
    found = []
    with published_keys_allowed():
        keys = keys_of(document)
        for vector in document["vectors"]:
            verdict, expected = verdict_on(vector, document, keys), expected_of(vector)
            if verdict != expected:
                found.append(f"{vector['name']}: expected {expected}, got {verdict}")
    return found


def first_difference(recent: list[str]) -> Iterator[str]:
    """Yield the name of each vector, key set and key for agreement that is decided otherwise, `recent` ones first."""
    from countersign_identity._keys.jwks import agreement_key, parse_jwks

    documents = [read("vectors.json"), read("agreed-vectors.json")]
    with published_keys_allowed():
        for one in documents[0]["key_sets"]:
            parsed = parse_jwks(one["jwks"])
            if list(parsed.signing if parsed else []) != one["usable"]:
                yield one["name"]
        for one in documents[1]["unusable"]:
            if agreement_key(one["jwk"]) is not None:
                yield one["name"]
        keys = [keys_of(document) for document in documents]
        found = [(vector, at) for at, document in enumerate(documents) for vector in document["vectors"]]
        for vector, at in sorted(found, key=lambda pair: pair[0]["name"] not in recent):
            try:
                verdict: object = verdict_on(vector, documents[at], keys[at])
            except Exception as error:  # A verifier that fails has decided otherwise.
                verdict = error
            if verdict != expected_of(vector):
                yield vector["name"]
