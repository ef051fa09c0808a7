"""Every vector of packages/identity. VECTORS names another file of requests to decide."""

import base64
import json
import os
import re
from pathlib import Path

import pytest
import vectors
from call_verifier import CallVerifier
from countersign_identity import (
    AgreementKeys,
    IdentityRefused,
    IdentityUnavailable,
    MemoryReplay,
    RequestHead,
    StaticKeys,
    Verifier,
)
from countersign_identity._contract import headers as contract
from countersign_identity._contract import rfc9421
from countersign_identity._keys import agreement, jwks
from countersign_identity._keys.jwks import agreement_key, parse_jwks
from countersign_identity._web.problems import problem_for
from countersign_identity.errors import BodyTooLarge
from countersign_identity.nested import service_key, sign_call
from countersign_identity.testing import SigningGateway
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DOCUMENT, AGREED, NESTED = map(vectors.read, ("vectors.json", "agreed-vectors.json", "nested-vectors.json"))
named = {"ids": lambda one: one["name"]}


@pytest.mark.parametrize("document", [DOCUMENT, AGREED], ids=["vectors.json", "agreed-vectors.json"])
def test_every_request_is_decided_as_its_vector_says(document):
    assert vectors.differences(document) == []


@pytest.mark.skipif("VECTORS" not in os.environ, reason="names no further file")
def test_every_request_of_a_further_file_is_decided_as_its_vector_says():
    assert vectors.differences(json.loads(Path(os.environ["VECTORS"]).read_text())) == []


@pytest.mark.parametrize("one", DOCUMENT["key_sets"], **named)
def test_a_key_set_has_these_usable_keys(one):
    with vectors.published_keys_allowed():
        parsed = parse_jwks(one["jwks"])
    assert list(parsed.signing if parsed else []) == one["usable"]


@pytest.mark.parametrize("one", DOCUMENT["answers"], **named)
def test_a_request_that_is_not_accepted_has_this_answer(one):
    cause, request, expected = one["cause"], one["request"], one["answer"]
    if "refused" in cause:
        error = IdentityRefused(cause["refused"])
    else:
        error = IdentityUnavailable(cause["unavailable"]) if "unavailable" in cause else BodyTooLarge()
    answer = problem_for(error, request["target"], request["headers"])
    body, headers = json.loads(answer.body), dict(answer.headers)
    assert body.pop("title")
    assert body["request_id"] == headers["x-request-id"]
    if "request_id" not in expected["body"]:
        assert contract.is_request_id(body.pop("request_id"))
        assert headers.pop("x-request-id") not in str(request["headers"])
    assert {"status": answer.status, "headers": headers, "body": body} == expected


def test_the_published_keys_are_those_of_the_vectors():
    assert {value for values in DOCUMENT["published"].values() for value in values} == jwks.PUBLISHED


def test_a_published_key_works_nowhere_else():
    first = next(vector for vector in DOCUMENT["vectors"] if "identity" in vector)
    keys = StaticKeys(DOCUMENT["keys"]["jwks"])
    assert vectors.verdict_on(first, DOCUMENT, keys) == {"refused": "key_unknown"}
    with pytest.raises(ValueError, match="published"):
        vectors.keys_of(DOCUMENT)
    for jwk in AGREED["keys"]["agreement"]:
        with pytest.raises(ValueError, match="agreement"):
            AgreementKeys([jwk])
    for one in NESTED["services"]:
        with pytest.raises(ValueError, match="published"):
            service_key(one["jwk"])


def test_a_signature_base_is_that_of_the_vector():
    bases = 0
    for vector in DOCUMENT["vectors"]:
        if "signature_base" not in vector:
            continue
        head, _ = vectors.request_of(vector["request"])
        headers = contract.read_lines(head.headers)
        given, _ = rfc9421.read_signature(headers, "countersign-v1")
        covered = [(name, headers[name]) for name in contract.covered_headers(headers)]
        base = rfc9421.signature_base(rfc9421.split_target(head.method, head.target), covered, given.raw)
        assert base.decode("latin-1") == vector["signature_base"]
        bases += 1
    assert bases > 100


@pytest.mark.parametrize("one", AGREED["rfc7748"], **named)
def test_x25519_is_that_of_rfc_7748(one):
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(one["scalar"]))
    assert private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(one["u"]))).hex() == one["result"]


@pytest.mark.parametrize("one", AGREED["rfc5869"], **named)
def test_hkdf_is_that_of_rfc_5869(one):
    ikm, salt, info = (bytes.fromhex(one[name]) for name in ("ikm", "salt", "info"))
    assert HKDF(SHA256(), one["length"], salt, info).derive(ikm).hex() == one["okm"]


@pytest.mark.parametrize("one", AGREED["derivations"], ids=lambda one: f"{one['keyid'][:8]} {one['audience']}")
def test_both_sides_derive_the_key_of_the_vector(one):
    private = {
        jwk["kid"]: X25519PrivateKey.from_private_bytes(rfc9421.bytes32(jwk["d"]))
        for side in ("agreement", "gateway")
        for jwk in AGREED["keys"][side]
    }
    gateway, service = private[one["gateway"]], private[one["service"]]
    assert service.exchange(gateway.public_key()).hex() == one["x25519_hex"]
    assert agreement.hkdf_info(gateway.public_key(), service.public_key(), one["audience"]).hex() == one["info_hex"]
    secret = agreement.agree(service, gateway.public_key(), one["audience"])
    assert base64.b64encode(secret).decode() == one["secret_base64"]
    assert one["keyid"] == f"{one['gateway']}.{one['service']}"


@pytest.mark.parametrize("one", AGREED["unusable"], **named)
def test_this_entry_is_no_key_for_agreement(one):
    with vectors.published_keys_allowed():
        assert agreement_key(one["jwk"]) is None


def test_these_entries_are_keys_for_agreement():
    with vectors.published_keys_allowed():
        assert list(parse_jwks(AGREED["keys"]["jwks"]).agreement) == AGREED["usable"]


def test_a_shared_secret_of_zero_is_refused():
    zero = X25519PublicKey.from_public_bytes(bytes(32))
    with pytest.raises(ValueError, match="shared key"):
        agreement.agree(X25519PrivateKey.generate(), zero, "my-service")


def test_a_public_key_may_have_the_sign_of_its_x():
    while True:
        raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        if raw[31] & 0x80:
            break
    entry = {"kty": "OKP", "crv": "Ed25519", "kid": "signed", "x": rfc9421.base64url(raw)}
    assert list(parse_jwks({"keys": [entry]}).signing) == ["signed"]
    for y in jwks._SMALL_ORDER:
        small = rfc9421.base64url((y | 1 << 255).to_bytes(32, "little"))
        assert not parse_jwks({"keys": [{**entry, "x": small}]}).signing


@pytest.mark.parametrize("value", [None, "AA"])
def test_an_entry_with_a_private_half_is_no_key_for_agreement(value):
    public = AgreementKeys([agreement.new_agreement_jwk()]).published[0]
    assert agreement_key(public) is not None
    assert agreement_key({**public, "d": value}) is None


SIGNED = SigningGateway("my-service").sign("GET", "/")


@pytest.mark.parametrize("name", ["created", "expires"])
@pytest.mark.parametrize("zeros", ["0", "00", "0000"])
def test_a_time_with_leading_zeros_is_refused(name, zeros):
    changed = SIGNED.headers["signature-input"].replace(f";{name}=", f";{name}={zeros}")
    with pytest.raises(IdentityRefused, match="signature_malformed"):
        rfc9421.read_signature({**SIGNED.headers, "signature-input": changed}, "countersign-v1")


def test_a_request_id_with_upper_case_digits_is_refused():
    changed = f"{SIGNED.headers['x-request-id'][:-1]}A"
    with pytest.raises(IdentityRefused, match="header_malformed: x-request-id"):
        contract.covered_headers({**SIGNED.headers, "x-request-id": changed})
    answer = problem_for(IdentityRefused("expired"), "/", [("x-request-id", changed)])
    assert answer.headers["x-request-id"] not in (changed, changed.lower())


def test_a_key_whose_kid_has_the_form_of_an_agreed_keyid_is_not_usable():
    entry = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": rfc9421.base64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw()),
    }
    assert not parse_jwks({"keys": [{**entry, "kid": f"{'g' * 43}.{'s' * 43}"}]}).signing


@pytest.mark.parametrize("vector", NESTED["vectors"], **named)
def test_a_nested_call_is_decided_as_its_vector_says(vector):
    services = {}
    for one in NESTED["services"]:
        private = Ed25519PrivateKey.from_private_bytes(rfc9421.bytes32(one["jwk"]["d"]))
        services[one["jwk"]["kid"]] = one["service_id"], rfc9421.Ed25519Key(private.public_key())
    verifier = CallVerifier(services, MemoryReplay(clock=lambda: 0), NESTED["verifier"]["audience"])
    deliver = lambda request: verifier.verify(*vectors.request_of(request), vector["now"])  # noqa: E731
    for earlier in [*vector.get("requests_before", []), *[vector["request"]] * vector["delivered_before"]]:
        try:
            deliver(earlier)
        except IdentityRefused:
            pass
    if "refused" in vector:
        with pytest.raises(IdentityRefused) as refusal:
            deliver(vector["request"])
        assert refusal.value.reason == vector["refused"]
    else:
        call = vars(deliver(vector["request"]))
        assert {name: value for name, value in call.items() if value is not None} == vector["call"]


@pytest.mark.parametrize("vector", [one for one in NESTED["vectors"] if "call" in one], **named)
def test_an_accepted_call_is_signed_byte_for_byte(vector):
    head, body = vectors.request_of(vector["request"])
    headers = contract.read_lines(head.headers)
    created, nonce, keyid = re.search(
        r';created=(\d+).*;nonce="([^"]+)";keyid="([^"]+)"', headers["signature-input"]
    ).groups()
    with vectors.published_keys_allowed():
        key = next(service_key(one["jwk"]) for one in NESTED["services"] if one["jwk"]["kid"] == keyid)
    signed = sign_call(
        key,
        head.method,
        head.target,
        body,
        content_type=headers.get("content-type"),
        txn_token=headers.get("txn-token"),
        gateway=headers["x-identity-audience"],
        created=int(created),
        nonce=nonce,
    )
    assert signed == {name: headers[name] for name in signed}
    assert {"x-identity-audience", "content-digest", "signature-input", "signature"} <= signed.keys()


@pytest.mark.parametrize("length", [0, 31])
def test_a_short_secret_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        StaticKeys(secrets=[bytes(length)])


@pytest.mark.parametrize("audience", ["", "my service", "x" * 129, "café"])
def test_a_name_that_no_upstream_has_is_refused(audience):
    with pytest.raises(ValueError, match="audience"):
        Verifier(audience=audience, keys=StaticKeys(), replay=MemoryReplay())


def test_a_tolerance_or_lifetime_beyond_its_bounds_is_refused():
    for options in ({"tolerance_sec": -1}, {"tolerance_sec": 61}, {"max_lifetime_sec": 0}, {"max_lifetime_sec": 301}):
        with pytest.raises(ValueError, match="tolerance_sec"):
            Verifier(audience="my-service", keys=StaticKeys(), replay=MemoryReplay(), **options)


def test_a_request_head_without_header_lines_is_refused():
    verifier = Verifier(audience="my-service", keys=StaticKeys(), replay=MemoryReplay())
    with pytest.raises(IdentityRefused, match="signature_missing"):
        verifier.verify(RequestHead("GET", "/", []))
