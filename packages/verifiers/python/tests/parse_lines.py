"""Parses inputs for infra/prove/parsers: each line of standard input is a parser and a text, whose characters are bytes.

Prints one JSON object a line.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from http.cookies import CookieError, SimpleCookie
from typing import Any

from countersign_identity import IdentityRefused, identity_token
from countersign_identity._contract import rfc9421
from countersign_identity._contract.context import parse_context
from countersign_identity._contract.json import parse_json
from countersign_identity._keys.jwks import parse_jwks

Facts = dict[str, Any]
_SIGNATURE = f"countersign=:{'A' * 43}=:"


def signature_input(text: str) -> Facts:
    try:
        given, _ = rfc9421.read_signature({"signature-input": text, "signature": _SIGNATURE}, "countersign-v1")
    except IdentityRefused as refused:
        return {"value": "another tag"} if refused.reason == "tag_mismatch" else {}
    lifetime = [given.created, given.expires]
    return {"value": [given.raw, given.components, *lifetime, given.nonce, given.keyid, given.algorithm]}


def context(text: str) -> Facts:
    parsed = parse_context(text)
    if parsed is None:
        return {}
    members = {name.replace("_", "-"): value for name, value in asdict(parsed).items() if value is not None}
    return {"value": members}


def token(text: str) -> Facts:
    parts = text.split(".")
    signature = rfc9421.bytes_of(parts[-1])
    if len(text) > 4096 or len(parts) != 3 or not signature:
        return {}
    try:
        header, payload = map(identity_token._part, parts[:2])
    except IdentityRefused:
        return {}
    key = token_keys.signing.get(header["kid"]) if isinstance(header.get("kid"), str) else None
    is_verified = key and header.get("alg") == "ES256" and key.verify(text.rpartition(".")[0].encode(), signature)
    return {"value": [header, payload]} | ({"verified": True} if is_verified else {})


def key_set(text: str) -> Facts:
    facts: Facts = {}
    try:
        document: Any = parse_json(text.encode("latin-1"))
    except (ValueError, RecursionError):
        return facts
    for algorithm in ("EdDSA", "ES256"):
        parsed = parse_jwks(document, algorithm)
        if parsed is None or not parsed.signing:
            continue
        xs = {str(jwk["kid"]): jwk.get("x") for jwk in document["keys"] if isinstance(jwk, dict) and "kid" in jwk}
        facts |= {f"{algorithm} {kid}": xs[kid] for kid in parsed.signing}
        if algorithm == "EdDSA":
            facts |= {f"agreement {kid}": xs[kid] for kid in parsed.agreement}
    return facts


def cookies(text: str) -> Facts:
    """The cookies that http.cookies of Python finds, which is not ours."""
    try:
        return {name: morsel.coded_value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}


parsers: dict[str, Callable[[str], Facts]] = {
    "signature-input": signature_input,
    "x-identity-context": context,
    "jws": token,
    "jwks": key_set,
    "cookies": cookies,
}
parsed_keys = parse_jwks(json.loads(os.environ["TOKEN_KEYS"]), "ES256")
assert parsed_keys is not None
token_keys = parsed_keys

for line in sys.stdin:
    name, given = json.loads(line)
    print(json.dumps(parsers[name](given)))
