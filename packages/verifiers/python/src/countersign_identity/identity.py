"""The caller of a request, as the gateway signed it."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


def new_request_id() -> str:
    """Return a UUIDv7 (RFC 9562 section 5.7)."""
    random = secrets.randbits(74)
    number = time.time_ns() // 10**6 << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True)
class Actor:
    """Another party that sends the request for the caller (RFC 8693 section 4.1): `sub` of the issuer `iss`."""

    sub: str
    iss: str


@dataclass(frozen=True, kw_only=True)
class IdentityContext:
    """What else is known about the caller: section 5 of the contract."""

    ip: str | None = None
    iss: str | None = None
    sid: str | None = None
    auth_time: int | None = None
    amr: tuple[str, ...] | None = None
    jkt: str | None = None
    client: str | None = None
    scope: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    act: Actor | None = None


@dataclass(frozen=True, kw_only=True)
class UserClaims:
    user_id: str
    role: str
    tenant_id: str


@dataclass(frozen=True, kw_only=True)
class ClientClaims:
    client_id: str
    role: str | None = None
    tenant_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Base of the five kinds of caller. The service sends `txn_token` back on nested calls."""

    kind: ClassVar[str]
    request_id: str = field(default_factory=new_request_id)
    context: IdentityContext = IdentityContext()
    txn_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class UserIdentity(UserClaims, Identity):
    """A person in one tenant. The service decides what the user may do."""

    kind: ClassVar[str] = "user"


@dataclass(frozen=True, kw_only=True)
class ClientIdentity(ClientClaims, Identity):
    """An OAuth client with a token of its own. It is never a user."""

    kind: ClassVar[str] = "client"


@dataclass(frozen=True, kw_only=True)
class ServiceIdentity(Identity):
    """Another service on a nested call: for a user, for a client, or for itself."""

    kind: ClassVar[str] = "service"
    service_id: str
    user: UserClaims | None = None
    client: ClientClaims | None = None


class AnonymousIdentity(Identity):
    """No known caller, on a public route."""

    kind: ClassVar[str] = "anonymous"


class GatewayIdentity(Identity):
    """The gateway itself."""

    kind: ClassVar[str] = "gateway"


def identity_from(headers: Mapping[str, str], context: IdentityContext) -> Identity:
    """Build the identity from headers whose presence and grammar were checked."""
    kind, role, tenant_id = headers["x-identity"], headers.get("x-user-role"), headers.get("x-tenant-id")
    common: dict[str, Any] = {"request_id": headers["x-request-id"], "context": context}
    common["txn_token"] = headers.get("txn-token")
    user = client = None
    if "x-user-id" in headers:
        user = UserClaims(user_id=headers["x-user-id"], role=headers["x-user-role"], tenant_id=headers["x-tenant-id"])
    elif "x-client-id" in headers:
        client = ClientClaims(client_id=headers["x-client-id"], role=role, tenant_id=tenant_id)
    if kind == "service":
        return ServiceIdentity(service_id=headers["x-service-id"], user=user, client=client, **common)
    if user is not None:
        return UserIdentity(**vars(user), **common)
    if client is not None:
        return ClientIdentity(**vars(client), **common)
    return AnonymousIdentity(**common) if kind == "anonymous" else GatewayIdentity(**common)
