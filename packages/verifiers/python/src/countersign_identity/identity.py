"""The caller of a request, as the gateway signed it."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID


def new_request_id() -> str:
    """Return a UUIDv7 (RFC 9562 section 5.7)."""
    version, variant, random = 7 << 76, 2 << 62, secrets.randbits(80) & ~(15 << 76 | 3 << 62)
    return str(UUID(int=time.time_ns() // 10**6 << 80 | version | variant | random))


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
    # What gateway.yaml copies into identity tokens. None without a token.
    claims: Mapping[str, Any] | None = field(default=None, hash=False)


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


def party_of(identity: Identity) -> Identity | UserClaims | ClientClaims | None:
    """Return who has the claims: the caller or, if a service calls, the one for which it acts."""
    return (identity.user or identity.client) if isinstance(identity, ServiceIdentity) else identity


# The headers of claims, and their fields.
CLAIMS = {"x-user-id": "user_id", "x-client-id": "client_id", "x-user-role": "role", "x-tenant-id": "tenant_id"}


def identity_from(headers: Mapping[str, str], context: IdentityContext) -> Identity:
    """Build the identity from headers whose presence and grammar were checked."""
    common: dict[str, Any] = {"request_id": headers["x-request-id"], "context": context}
    common["txn_token"] = headers.get("txn-token")
    claims: dict[str, Any] = {field: headers[name] for name, field in CLAIMS.items() if name in headers}
    match headers["x-identity"]:
        case "user":
            return UserIdentity(**claims, **common)
        case "client":
            return ClientIdentity(**claims, **common)
        case "service":
            user = UserClaims(**claims) if "user_id" in claims else None
            client = ClientClaims(**claims) if "client_id" in claims else None
            return ServiceIdentity(service_id=headers["x-service-id"], user=user, client=client, **common)
        case "anonymous":
            return AnonymousIdentity(**common)
    return GatewayIdentity(**common)
