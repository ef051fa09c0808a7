"""What the ASGI and the WSGI middleware share."""

import json
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from .._contract.headers import HeaderLines
from ..errors import IdentityError
from ..verifier import RequestHead, Verifier
from .problems import Answer, problem_for

MAX_BODY_BYTES = 1024 * 1024

logger = logging.getLogger("countersign_identity")

App = TypeVar("App")
StreamRule = Callable[[str, str], bool]


def no_stream(_method: str, _path: str) -> bool:
    return False


class Protection(Generic[App]):
    """Refuses every request that the gateway did not sign for this service, before routing.

    GET and HEAD of `/healthz`, `/readyz`, `/metrics` and `/.well-known/*` need no identity. Bodies of up to
    `max_body_bytes` are read to check their digest. `stream` says for a method and a path whether a body may lack one;
    never let a header decide.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        stream: StreamRule = no_stream,
    ) -> None:
        self._app, self._verifier, self._max_body_bytes, self._stream = app, verifier, max_body_bytes, stream
        verifier.keys.start()

    def _head_of(self, method: str, target: str, lines: HeaderLines) -> RequestHead:
        return RequestHead(method, target, lines, self._stream(method, target.partition("?")[0]))

    def _key_set(self, target: str) -> Answer | None:
        """Return the answer at the place where the gateway looks for this service's keys for agreement."""
        if self._verifier.agreement is None or target.partition("?")[0] != "/.well-known/jwks.json":
            return None
        headers = {"content-type": "application/jwk-set+json", "cache-control": "public, max-age=60"}
        return Answer(200, headers, json.dumps({"keys": self._verifier.agreement.published}).encode())

    def _refusal(self, error: IdentityError, head: RequestHead) -> Answer:
        logger.warning("refused %s %r: %s", head.method, head.target.partition("?")[0], error)
        return problem_for(error, head.target, head.headers)


def is_too_long(content_length: str, limit: int) -> bool:
    """Whether a body is announced that is too large to buffer."""
    return content_length.isdecimal() and (len(content_length) > 15 or int(content_length) > limit)
