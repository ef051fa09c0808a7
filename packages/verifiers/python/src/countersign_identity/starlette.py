"""Guards for Starlette and FastAPI, after `app.add_middleware(countersign_identity.asgi.IdentityMiddleware, …)`.

Each returns an asynchronous function of the request, for `Depends` in FastAPI. In Starlette, `require_user =
require_identity()` and `user = await require_user(request)`. The middleware answers a refusal with 403.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from ._web.guards import Guard, kinds_guard, role_guard, scope_guard
from .identity import Identity

Dependency = Callable[[HTTPConnection], Awaitable[Identity]]


def _dependency(guard: Guard) -> Dependency:
    # Asynchronous, because FastAPI runs other dependencies in a thread.
    async def dependency(connection: HTTPConnection) -> Identity:
        return guard(connection.scope)

    return dependency


def require_identity(*kinds: type[Identity]) -> Dependency:
    """Allow these kinds of caller, by default users alone."""
    return _dependency(kinds_guard(*kinds))


def require_role(*roles: str) -> Dependency:
    """Allow callers with one of these roles."""
    return _dependency(role_guard(*roles))


def require_scope(*scopes: str) -> Dependency:
    """Allow callers whose token has all of these scopes."""
    return _dependency(scope_guard(*scopes))
