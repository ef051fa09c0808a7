"""What a handler accepts. The guards of every framework are these, applied to its own request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .._contract.context import is_scope
from ..errors import IdentityNotAllowed
from ..identity import ClientIdentity, Identity, ServiceIdentity, UserClaims, UserIdentity, party_of

# Where the middleware puts the identity: a key of the ASGI scope or the WSGI environ, which no header can name.
STATE_KEY = "countersign_identity"


@dataclass
class Verified:
    """The identity of one request. A handler may read it once a guard has allowed it."""

    identity: Identity
    allowed: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether a guard of roles or scopes may decide: for users, and for others after a guard that accepts them."""
        return self.allowed or isinstance(party_of(self.identity), UserClaims)


Guard = Callable[[Mapping[str, object]], Identity]


def _verified_in(state: Mapping[str, object]) -> Verified:
    found = state.get(STATE_KEY)
    if not isinstance(found, Verified):
        raise RuntimeError("no verified identity: add the middleware first; a request on an exempt path has none")
    return found


def allowed_in(state: Mapping[str, object]) -> Identity:
    """Return the identity. Raise RuntimeError if no guard ran, so that a forgotten one is a 500."""
    found = _verified_in(state)
    if not found.allowed:
        raise RuntimeError("identity read without a guard: add require_identity, require_role or require_scope")
    return found.identity


def _guard(check: Callable[[Verified], None]) -> Guard:
    def guard(state: Mapping[str, object]) -> Identity:
        found = _verified_in(state)
        check(found)
        found.allowed = True
        return found.identity

    return guard


def kinds_guard(*kinds: type[Identity]) -> Guard:
    """Allow these kinds, by default users alone. A service that acts for a client needs ClientIdentity too."""
    accepted = kinds or (UserIdentity,)

    def check(found: Verified) -> None:
        for_client = isinstance(found.identity, ServiceIdentity) and found.identity.client is not None
        if not isinstance(found.identity, accepted) or (for_client and not issubclass(ClientIdentity, accepted)):
            raise IdentityNotAllowed("identity_not_allowed")

    return _guard(check)


def role_guard(*roles: str) -> Guard:
    """Allow callers with one of these roles."""
    if not roles:
        raise ValueError("require_role needs a role")

    def check(found: Verified) -> None:
        if not found.is_accepted or getattr(party_of(found.identity), "role", None) not in roles:
            raise IdentityNotAllowed("insufficient_role")

    return _guard(check)


def scope_guard(*scopes: str) -> Guard:
    """Allow callers whose token has all of these scopes."""
    if not scopes or not all(map(is_scope, scopes)):
        raise ValueError("require_scope needs scopes of RFC 6749 section 3.3")

    def check(found: Verified) -> None:
        context = found.identity.context
        if not found.is_accepted:
            raise IdentityNotAllowed("identity_not_allowed")
        if not {*scopes} <= {*(context.scope or ())}:
            # RFC 6750 section 3.1 and RFC 9449 section 7.1: with `jkt`, the token is bound to a key.
            scheme = "Bearer" if context.jkt is None else "DPoP"
            challenge = f'{scheme} error="insufficient_scope", scope="{" ".join(scopes)}"'
            raise IdentityNotAllowed("insufficient_scope", challenge)

    return _guard(check)
