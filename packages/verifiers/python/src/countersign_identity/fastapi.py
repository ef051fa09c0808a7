"""Dependencies for FastAPI: `def hello(user: CurrentUser)`, and `Depends(require_scope("orders.read"))`."""

from typing import Annotated

from fastapi import Depends

from .asgi import IdentityMiddleware
from .identity import UserIdentity
from .starlette import require_identity, require_role, require_scope

__all__ = ["CurrentUser", "IdentityMiddleware", "require_identity", "require_role", "require_scope"]

CurrentUser = Annotated[UserIdentity, Depends(require_identity())]
