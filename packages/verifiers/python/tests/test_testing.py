"""SigningGateway, with which services test themselves, and keys for agreement."""

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
    RequestHead,
    ServiceIdentity,
    UserClaims,
    UserIdentity,
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


def test_other_keys_for_agreement_are_refused_without_quoting_them():
    good, other = new_agreement_jwk(), new_agreement_jwk()
    for jwks in ([], [{}], [{**good, "d": other["d"]}], [{**good, "kid": "k"}], [{**good, "alg": "ECDH-ES"}]):
        with pytest.raises(ValueError, match="agreement") as refusal:
            AgreementKeys(jwks)
        assert other["d"] not in str(refusal.value)
