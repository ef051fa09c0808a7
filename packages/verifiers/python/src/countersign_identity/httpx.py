"""Signs nested calls that httpx sends: `client.get("/internal/users/1", auth=ServiceAuth(key, identity))`."""

from collections.abc import Generator

import httpx

from ._contract.rfc9421 import Ed25519Signer
from .identity import Identity
from .nested import sign_call


class ServiceAuth(httpx.Auth):
    """Signs for the caller of `identity` or, without it, for the service itself.

    The client's `base_url` is the gateway's internal listener.
    """

    requires_request_body = True

    def __init__(
        self, key: Ed25519Signer, identity: Identity | None = None, *, gateway: str = "countersign-gateway"
    ) -> None:
        if identity is not None and identity.txn_token is None:
            raise ValueError("this identity has no txn_token: set `txnToken: true` for the upstream in gateway.yaml")
        self._key, self._gateway, self._txn_token = key, gateway, identity and identity.txn_token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        target, content_type = request.url.raw_path.decode("ascii"), request.headers.get("content-type")
        options = {"content_type": content_type, "txn_token": self._txn_token, "gateway": self._gateway}
        request.headers.update(sign_call(self._key, request.method, target, request.content, **options))
        yield request
