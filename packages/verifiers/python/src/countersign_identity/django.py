"""Decorators for Django views, after `application = IdentityMiddleware(get_wsgi_application(), verifier)`."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse

from . import asgi, wsgi
from ._web.guards import allowed_in
from ._web.problems import problem_for
from ._web.views import ViewGuards
from .errors import IdentityNotAllowed
from .identity import Identity

__all__ = ["identity_of", "require_identity", "require_role", "require_scope"]


def identity_of(request: HttpRequest) -> Identity:
    """Return the identity that a decorator has allowed. Raise RuntimeError without one."""
    return allowed_in(_state_of(request))


def _state_of(request: HttpRequest, *_args: object) -> Mapping[str, object]:
    state: Mapping[str, object] = getattr(request, "scope", request.META)
    return state


def _answer(error: IdentityNotAllowed, request: HttpRequest, *_args: object) -> HttpResponse:
    state, server = dict(_state_of(request)), asgi if hasattr(request, "scope") else wsgi
    answer = problem_for(error, server.target_of(state), server.header_lines(state))
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


_guards = ViewGuards(_state_of, _answer)
require_identity, require_role, require_scope = _guards.require_identity, _guards.require_role, _guards.require_scope
