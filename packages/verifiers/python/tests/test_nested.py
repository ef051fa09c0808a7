"""Nested calls over httpx: what a service sends is what the gateway accepts."""

import asyncio
import json

import pytest
from call_verifier import Call, CallVerifier
from countersign_identity import IdentityRefused, MemoryReplay, RequestHead, UserIdentity
from countersign_identity._contract import rfc9421
from countersign_identity.nested import service_key, sign_call
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

httpx = pytest.importorskip("httpx")
from countersign_identity.httpx import ServiceAuth

PRIVATE = Ed25519PrivateKey.generate()
JWK = {"kty": "OKP", "crv": "Ed25519", "kid": "orders-1", "d": rfc9421.base64url(PRIVATE.private_bytes_raw())}
KEY = service_key(JWK)
IDENTITY = UserIdentity(user_id="u", role="agent", tenant_id="t", txn_token="a.b.c")


class Gateway:
    """Verifies every call that it gets, as the gateway does."""

    def __init__(self) -> None:
        services = {"orders-1": ("orders", rfc9421.Ed25519Key(PRIVATE.public_key()))}
        self._verifier = CallVerifier(services, MemoryReplay(clock=lambda: 0), "countersign-gateway")
        self.calls: list[Call] = []

    def __call__(self, request: "httpx.Request") -> "httpx.Response":
        lines = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        head = RequestHead(request.method, request.url.raw_path.decode(), lines)
        given, _ = rfc9421.read_signature(dict(request.headers), "countersign-service-v2")
        self.calls.append(self._verifier.verify(head, request.content, given.created))
        return httpx.Response(200, json=json.loads(request.content or b"null"))


def test_a_call_is_signed_for_the_caller_or_for_the_service_itself():
    gateway = Gateway()
    with httpx.Client(transport=httpx.MockTransport(gateway), base_url="http://127.0.0.1:8090") as client:
        client.get("/internal/users/1?full=1", auth=ServiceAuth(KEY, IDENTITY))
        assert client.post("/internal/notes", json={"a": "ü"}, auth=ServiceAuth(KEY)).json() == {"a": "ü"}
    assert gateway.calls == [Call("orders", "a.b.c"), Call("orders", None)]


def test_a_task_signs_its_calls_too():
    async def call() -> None:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(gateway), base_url="http://127.0.0.1:8090"
        ) as client:
            await client.put("/internal/notes/1", json={}, auth=ServiceAuth(KEY, IDENTITY))

    gateway = Gateway()
    asyncio.run(call())
    assert gateway.calls == [Call("orders", "a.b.c")]


def test_a_call_to_another_gateway_is_refused():
    with (
        httpx.Client(transport=httpx.MockTransport(Gateway()), base_url="http://127.0.0.1:8090") as client,
        pytest.raises(IdentityRefused, match="audience_mismatch"),
    ):
        client.get("/", auth=ServiceAuth(KEY, gateway="other-gateway"))


def test_a_caller_without_a_token_is_a_mistake_and_no_call_of_the_service_itself():
    with pytest.raises(ValueError, match="txnToken"):
        ServiceAuth(KEY, UserIdentity(user_id="u", role="agent", tenant_id="t"))


@pytest.mark.parametrize(
    "changes",
    [{"target": "/a/../b"}, {"target": "http://x/"}, {"method": "get"}, {"content_type": "a\nb"}, {"txn_token": "a"}],
)
def test_a_value_outside_the_contract_is_never_signed(changes):
    with pytest.raises(ValueError, match="outside the identity contract"):
        sign_call(KEY, **({"method": "GET", "target": "/"} | changes))


@pytest.mark.parametrize(
    "changes", [{"crv": "X25519"}, {"d": "AA"}, {"kid": None}, {"kid": "a b"}, {"kid": "vectors-users-1"}]
)
def test_another_form_of_key_is_refused(changes):
    with pytest.raises(ValueError, match="service key"):
        service_key(JWK | changes)
