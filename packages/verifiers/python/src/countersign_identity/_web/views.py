"""Decorators of views, synchronous and asynchronous, which Flask and Django share."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from ..errors import IdentityNotAllowed
from ..identity import Identity
from .guards import Guard, kinds_guard, role_guard, scope_guard

View = TypeVar("View", bound=Callable[..., Any])


class ViewGuards:
    """Both functions get the view's arguments: one returns the scope or the environ, one answers an error."""

    def __init__(self, state_of: Callable[..., Mapping[str, object]], answer: Callable[..., Any]) -> None:
        self._state_of, self._answer = state_of, answer

    def require_identity(self, *kinds: type[Identity]) -> Callable[[View], View]:
        """Allow these kinds of caller, by default users alone."""
        return self._decorator(kinds_guard(*kinds))

    def require_role(self, *roles: str) -> Callable[[View], View]:
        """Allow callers with one of these roles."""
        return self._decorator(role_guard(*roles))

    def require_scope(self, *scopes: str) -> Callable[[View], View]:
        """Allow callers whose token has all of these scopes."""
        return self._decorator(scope_guard(*scopes))

    def _decorator(self, guard: Guard) -> Callable[[View], View]:
        def refusal(*args: Any) -> Any:
            try:
                guard(self._state_of(*args))
            except IdentityNotAllowed as error:
                return self._answer(error, *args)
            return None

        def decorate(view: View) -> View:
            @wraps(view)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                refused = refusal(*args)
                return await view(*args, **kwargs) if refused is None else refused

            @wraps(view)
            def synchronous(*args: Any, **kwargs: Any) -> Any:
                refused = refusal(*args)
                return view(*args, **kwargs) if refused is None else refused

            return asynchronous if iscoroutinefunction(view) else synchronous  # type: ignore[return-value]

        return decorate
