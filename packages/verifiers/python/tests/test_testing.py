"""SigningGateway, with which services test themselves, and keys for agreement."""

import json
import os

import pytest
from countersign_identity import (
    Actor,
    AgreementKeys,
    AnonymousIdentity,
    ClientClaims,
    ClientIdentity,
    GatewayIdentity,
    IdentityContext,
    IdentityRefused,
    MemoryReplay,
    RequestHead,
    ServiceIdentity,
    StaticKeys,
    UserClaims,
    UserIdentity,
    Verifier,
    new_agreement_jwk,
)
from countersign_identity.testing import SigningGateway

CONTEXT = IdentityContext(
    ip="2001:db8::1",
    iss="https://issuer.example",
    sid="s-1",
    auth_time=1_799_999_000,
    amr=("pwd", "otp"),
    jkt="x" * 43,
    client="web",
    scope=("orders.read",),
    roles=("agent", "admin"),
    act=Actor("client-7", "https://issuer.example"),
)
CALLERS = [
    UserIdentity(user_id="u", role="agent", tenant_id="t", context=CONTEXT, txn_token="a.b.c"),
    ClientIdentity(client_id="c", txn_token="a.b.c"),
    ClientIdentity(client_id="c", role="agent", tenant_id="t"),
    AnonymousIdentity(context=IdentityContext(ip="192.0.2.1")),
    GatewayIdentity(),
    ServiceIdentity(service_id="s", txn_token="a.b.c"),
    ServiceIdentity(service_id="s", user=UserClaims(user_id="u", role="agent", tenant_id="t")),
    ServiceIdentity(service_id="s", client=ClientClaims(client_id="c", role="agent")),
]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.kind)
def test_what_is_signed_is_what_a_verifier_returns(caller):
    gateway = SigningGateway("my-service")
    for method, more in (
        ("GET", {}),
        ("POST", {"json_body": [1]}),
        ("DELETE", {}),
        ("PUT", {"body": b"x", "content_type": "text/plain"}),
    ):
        request = gateway.sign(method, "/a?b", caller, **more)
        head = RequestHead(request.method, request.target, list(request.headers.items()))
        assert gateway.verifier().verify(head, request.body) == caller
        with pytest.raises(IdentityRefused, match="replayed"):
            gateway.verifier().verify(head, request.body)


@pytest.mark.parametrize(
    "caller",
    [
        UserIdentity(user_id="u 1", role="agent", tenant_id="t"),
        UserIdentity(user_id="u", role="Agent", tenant_id="t"),
        ServiceIdentity(service_id="s", user=UserClaims(user_id="", role="agent", tenant_id="t")),
        AnonymousIdentity(context=IdentityContext(sid='a", iss="b')),
        AnonymousIdentity(context=IdentityContext(ip="localhost")),
        AnonymousIdentity(context=IdentityContext(amr=())),
        AnonymousIdentity(context=IdentityContext(scope=tuple(f"{number:0>60}" for number in range(40)))),
        AnonymousIdentity(txn_token="a.b.c"),
        AnonymousIdentity(request_id="1"),
    ],
)
def test_a_caller_outside_the_contract_is_never_signed(caller):
    with pytest.raises(ValueError, match="outside the identity contract"):
        SigningGateway("my-service").sign("GET", "/", caller)


def test_keys_for_agreement_are_all_accepted_and_the_first_is_published():
    jwks = [new_agreement_jwk() for _ in range(3)]
    keys = AgreementKeys(jwks)
    assert [key["kid"] for key in keys.published] == [jwks[0]["kid"]]
    assert all(keys.find(jwk["kid"]) for jwk in jwks)
    assert keys.find("other") is None
    assert len(AgreementKeys(jwks, publish=2).published) == 2
    assert "d" not in keys.published[0]


def verifier(agreement) -> Verifier:
    return Verifier(audience="orders", keys=StaticKeys(), replay=MemoryReplay(), agreement=agreement)


def test_processes_share_the_key_of_a_directory(tmp_path):
    place = str(tmp_path / "keys")
    one, other = verifier(place).agreement_keys, verifier(place).agreement_keys
    assert one.published == other.published
    assert one.published[0]["aud"] == "orders"
    [path] = (tmp_path / "keys").iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("agreement-1.jwk.json", 0o600)
    path.chmod(0o644)
    with pytest.raises(ValueError, match="others may read"):
        verifier(place)


def test_keys_of_another_service_are_refused():
    with pytest.raises(ValueError, match="another service"):
        verifier(AgreementKeys([new_agreement_jwk("billing")]))
    assert verifier(AgreementKeys([new_agreement_jwk()])).agreement_keys.published[0].get("aud") is None


def test_a_fork_drops_the_key_in_memory():
    keys = verifier("memory").agreement_keys
    keys.published.append({"kid": "of-another-purpose"})
    [kid, _] = [key["kid"] for key in keys.published]
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        state = [keys.find(kid) is None, *(key["kid"] for key in keys.published)]
        os.write(writer, json.dumps(state).encode())
        os._exit(0)
    os.waitpid(child, 0)
    is_dropped, fresh, other = json.loads(os.read(reader, 1000))
    os.close(reader)
    os.close(writer)
    assert is_dropped
    assert fresh != kid
    assert other == "of-another-purpose"
    assert keys.find(kid)


def test_other_keys_for_agreement_are_refused_without_quoting_them():
    good, other = new_agreement_jwk(), new_agreement_jwk()
    for jwks in ([], [{}], [{**good, "d": other["d"]}], [{**good, "kid": "k"}], [{**good, "alg": "ECDH-ES"}]):
        with pytest.raises(ValueError, match="agreement") as refusal:
            AgreementKeys(jwks)
        assert other["d"] not in str(refusal.value)
