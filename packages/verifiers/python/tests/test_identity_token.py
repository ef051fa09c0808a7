"""Identity tokens: every vector of packages/identity, and what the vectors cannot say."""

import asyncio
import base64
import hashlib
import json
import math

import pytest

from countersign_identity._contract.json import parse_json, parse_strict_json
from countersign_identity._keys.jwks import is_kid
import vectors
from countersign_identity import (
    GatewayKeys,
    IdentityRefused,
    IdentityUnavailable,
    MemoryReplay,
    NonceClaim,
    RequestHead,
    StaticKeys,
    Verifier,
    averify_identity_token,
    check_token_request,
    verify_identity_token,
)
from countersign_identity._contract.rfc9421 import base64url
from countersign_identity.testing import identity_json
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from key_server import KeyServer

FILE = vectors.read("identity-token-vectors.json")
named = {"ids": lambda one: one["name"]}
PRIVATE = ec.generate_private_key(ec.SECP256R1())
NUMBERS = PRIVATE.public_key().public_numbers()
JWK = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "key-1",
    "x": base64url(NUMBERS.x.to_bytes(32, "big")),
    "y": base64url(NUMBERS.y.to_bytes(32, "big")),
}
NOW = 1_800_000_000
HEAD = RequestHead("GET", "/orders?a=b", [])
CLAIMS = {
    "iss": "https://gateway.test/orders",
    "aud": "orders",
    "sub": "u-1",
    "caller": "user",
    "user_id": "u-1",
    "role": "agent",
    "tenant_id": "acme",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 30,
    "jti": "AAECAwQFBgcICQoLDA0ODw",
    "req": {"m": "GET", "t": "/orders?a=b"},
}


def verifier(keys=None, replay=None):
    keys = keys or StaticKeys({"keys": [JWK]}, algorithm="ES256")
    replay = replay or MemoryReplay(clock=lambda: 0)
    issuer = "https://gateway.test/orders"
    return Verifier(token_issuer=issuer, audience="orders", keys=keys, replay=replay, clock=lambda: NOW)


def token_of(claims=CLAIMS, header=None):
    parts = ({"alg": "ES256", "typ": "JWT", "kid": "key-1"} if header is None else header, claims)
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    r, s = decode_dss_signature(PRIVATE.sign(text.encode(), ec.ECDSA(SHA256())))
    return f"{text}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def verdict_on(vector, verify):
    with vectors.published_keys_allowed():
        keys = StaticKeys(FILE["jwks"], algorithm="ES256")
    settings = Verifier(
        token_issuer=FILE["verifier"]["issuer"],
        audience=FILE["verifier"]["audience"],
        tolerance_sec=FILE["verifier"]["tolerance_sec"],
        keys=keys,
        replay=MemoryReplay(clock=lambda: 0),
        clock=lambda: vector["now"],
    )

    def deliver(one):
        head, body = vectors.request_of(one["request"], vector["stream"])
        try:
            return {"identity": json.loads(json.dumps(identity_json(verify(one["token"], head, settings, body))))}
        except IdentityRefused as refusal:
            return {"refused": refusal.reason}

    for earlier in [*vector.get("before", []), *[vector] * vector["delivered_before"]]:
        deliver(earlier)
    return deliver(vector)


@pytest.mark.parametrize("vector", FILE["vectors"], **named)
def test_a_token_is_decided_as_its_vector_says(vector):
    expected = {name: vector[name] for name in ("identity", "refused") if name in vector}
    assert verdict_on(vector, verify_identity_token) == expected
    assert verdict_on(vector, lambda *given: asyncio.run(averify_identity_token(*given))) == expected


LIBRARY_ACCEPTS = [one for one in FILE["vectors"] if one["library"] == "accept" and one.get("refused") != "replayed"]


@pytest.mark.parametrize("vector", LIBRARY_ACCEPTS, **named)
def test_the_check_of_req_alone_is_decided_as_its_vector_says(vector):
    payload = vector["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    head, body = vectors.request_of(vector["request"], vector["stream"])
    if vector["req"] == "refuse" or "req" not in claims:
        with pytest.raises(IdentityRefused):
            check_token_request(claims, head, body)
    else:
        check_token_request(claims, head, body)


@pytest.mark.parametrize("vector", FILE["vectors"], **named)
def test_a_library_decides_as_the_vector_says(vector):
    jwt = pytest.importorskip("jwt")
    key = jwt.PyJWK(FILE["jwks"]["keys"][0])
    verifier = FILE["verifier"]
    header = jwt.get_unverified_header(vector["token"])
    accepted = header["kid"] == key.key_id
    if accepted:
        # PyJWT has no clock of its own, so the times are compared here.
        off = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        wanted = {"algorithms": ["ES256"], "audience": verifier["audience"], "issuer": verifier["issuer"]}
        try:
            claims = jwt.decode(vector["token"], key, options=off, **wanted)
            accepted = claims["nbf"] - 5 <= vector["now"] < claims["exp"] + 5
        except jwt.InvalidTokenError:
            accepted = False
    assert vector["library"] == ("accept" if accepted else "refuse")


def test_a_nonce_and_a_jti_in_one_memory_are_different():
    replay = MemoryReplay(clock=lambda: 0)
    assert replay.claim(NonceClaim("orders", CLAIMS["jti"], NOW, NOW + 45, NOW)) == "fresh"
    assert verify_identity_token(token_of(), HEAD, verifier(replay=replay)).user_id == "u-1"
    with pytest.raises(IdentityRefused, match="replayed"):
        verify_identity_token(token_of(), HEAD, verifier(replay=replay))
    assert replay.claim(NonceClaim("orders", f"jti:{CLAIMS['jti']}", NOW, NOW + 45, NOW)) == "replayed"


def test_a_token_from_before_the_memory_began_is_refused():
    with pytest.raises(IdentityRefused, match="created_before_start"):
        verify_identity_token(token_of(), HEAD, verifier(replay=MemoryReplay(clock=lambda: NOW)))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "signature_missing"),
        ("", "signature_malformed"),
        (f"{token_of()}, {token_of()}", "signature_malformed"),
        (f"{token_of()}=", "signature_invalid"),
        (f"é{token_of()}", "signature_malformed"),
        (f"{token_of().partition('.')[0]}.{base64url(b'[' * 3000)}.AAAA", "signature_malformed"),
        (token_of({**CLAIMS, "x": "x" * 4000}), "signature_malformed"),
        (token_of(header={"alg": "ES256", "typ": "JWT", "kid": "key-1", "crit": ["x"]}), "tag_mismatch"),
        (token_of(header={"alg": "ES256", "typ": "JWT", "kid": 7}), "signature_malformed"),
    ],
)
def test_another_form_of_a_token_is_refused(token, reason):
    with pytest.raises(IdentityRefused) as refusal:
        verify_identity_token(token, HEAD, verifier())
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", "text"),
        ("nbf", None),
        ("iat", 1.5),
        ("iat", True),
        ("user_id", 7),
        ("role", "Not A Role"),
        ("tenant_id", None),
        ("caller", None),
        ("caller", "gateway"),
        ("caller", "service"),
        ("auth_time", "1"),
        ("amr", "pwd"),
        ("amr", [1]),
        ("act", {"sub": "client-2"}),
        ("act", "client-2"),
        ("scope", ""),
        ("scope", ["a"]),
        ("jkt", "short"),
        ("jti", "short"),
        ("jti", [CLAIMS["jti"]]),
        ("req", None),
        ("req", "GET"),
    ],
)
def test_a_claim_of_another_form_is_refused(name, value):
    with pytest.raises(IdentityRefused):
        verify_identity_token(token_of({**CLAIMS, name: value}), HEAD, verifier())


P384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()


@pytest.mark.parametrize(
    "entry",
    [
        {**JWK, "d": JWK["x"]},
        {**JWK, "use": "enc"},
        {**JWK, "alg": "ES384"},
        {**JWK, "crv": "P-384", "x": base64url(P384.x.to_bytes(48, "big")), "y": base64url(P384.y.to_bytes(48, "big"))},
        {"kty": "OKP", "crv": "Ed25519", "x": JWK["x"], "kid": "key-1"},
        {**JWK, "y": JWK["x"]},
        {**JWK, "x": base64url(bytes(33))},
    ],
)
def test_an_entry_that_is_no_key_for_es256_is_not_used(entry):
    with pytest.raises(IdentityRefused, match="key_unknown"):
        verify_identity_token(token_of(), HEAD, verifier(StaticKeys({"keys": [entry]}, algorithm="ES256")))


def test_a_key_set_for_headers_has_no_keys_for_tokens():
    with pytest.raises(IdentityRefused, match="key_unknown"):
        verify_identity_token(token_of(), HEAD, verifier(StaticKeys({"keys": [JWK]})))
    with pytest.raises(IdentityRefused, match="key_unknown"):
        with_published = StaticKeys(FILE["jwks"], algorithm="ES256")
        header = {"alg": "ES256", "typ": "JWT", "kid": "vectors-token-1"}
        verify_identity_token(token_of(header=header), HEAD, verifier(with_published))


def test_the_keys_are_fetched():
    with KeyServer().running() as server:
        keys = GatewayKeys(server.url, algorithm="ES256")
        with pytest.raises(IdentityUnavailable):
            verify_identity_token(token_of(), HEAD, verifier(keys))
        server.document = {"keys": [JWK]}
        keys = GatewayKeys(server.url, algorithm="ES256")
        assert verify_identity_token(token_of(), HEAD, verifier(keys)).claims == {}


def test_the_digest_is_that_of_the_bytes():
    body = b"\x00\xff"
    req = {"m": "POST", "t": "/", "d": base64url(hashlib.sha256(body).digest())}
    check_token_request({"req": req}, RequestHead("POST", "/", [("content-length", "2")]), body)


@pytest.mark.parametrize(
    "text", ['{"a":NaN}', '{"a":-Infinity}', '{"a":1e400}', f'{{"a":1{"0" * 400}}}', '{"a":"\\ud800"}', "\ufeff{}"]
)
def test_json_that_parsers_read_in_different_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_strict_json(text.encode())


def test_json_of_a_key_set_may_have_any_number_and_a_byte_order_mark() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a":1e400}') == {"a": math.inf}
    with pytest.raises(ValueError, match="not JSON"):
        parse_json(b'{"a":NaN}')
    for kid in ("", "b c", "\u00e9"):
        assert not is_kid(kid)
