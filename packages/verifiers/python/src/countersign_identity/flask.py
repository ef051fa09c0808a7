"""Decorators for Flask views, after `app.wsgi_app = IdentityMiddleware(app.wsgi_app, verifier)`."""

from flask import Response, request

from ._web.guards import allowed_in
from ._web.problems import problem_for
from ._web.views import ViewGuards
from .errors import IdentityNotAllowed
from .identity import Identity
from .wsgi import IdentityMiddleware, header_lines, target_of

__all__ = ["IdentityMiddleware", "current_identity", "require_identity", "require_role", "require_scope"]


def current_identity() -> Identity:
    """Return the identity that a decorator has allowed. Raise RuntimeError without one."""
    return allowed_in(request.environ)


def _answer(error: IdentityNotAllowed, *_args: object) -> Response:
    answer = problem_for(error, target_of(request.environ), header_lines(request.environ))
    return Response(answer.body, answer.status, answer.headers)


_guards = ViewGuards(lambda *_args: request.environ, _answer)
require_identity, require_role, require_scope = _guards.require_identity, _guards.require_role, _guards.require_scope
