"""What the ASGI and the WSGI middleware share."""

import json
import logging
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Generic, TypeVar

from .._contract.headers import HeaderLines
from ..errors import IdentityError
from ..verifier import RequestHead, Verifier
from .problems import Answer, problem_for

logger = logging.getLogger("countersign_identity")

App = TypeVar("App")
StreamRule = Callable[[str, str], bool]


def no_stream(_method: str, _path: str) -> bool:
    return False


@dataclass(eq=False)
class Protection(Generic[App]):
    """Refuses every request that the gateway did not sign for this service, before routing.

    GET and HEAD of `/healthz`, `/readyz`, `/metrics` and `/.well-known/*` need no identity. Bodies of up to
    `max_body_bytes` are read to check their digest. `stream` says for a method and a path whether a body may lack one;
    never let a header decide.
    """

    app: App
    verifier: Verifier
    _: KW_ONLY
    max_body_bytes: int = 1024 * 1024
    stream: StreamRule = no_stream

    def __post_init__(self) -> None:
        self.verifier.keys.start()

    def _head_of(self, method: str, target: str, lines: HeaderLines) -> RequestHead:
        return RequestHead(method, target, lines, self.stream(method, target.partition("?")[0]))

    def _key_set(self, target: str) -> Answer | None:
        """Return what replaces the application's 404 where the gateway looks for this service's keys for agreement."""
        own = self.verifier.agreement_keys
        if own is None or target.partition("?")[0] != "/.well-known/jwks.json":
            return None
        headers = {"content-type": "application/jwk-set+json", "cache-control": "public, max-age=60"}
        return Answer(200, headers, json.dumps({"keys": own.published}).encode())

    def _refusal(self, error: IdentityError, head: RequestHead) -> Answer:
        logger.warning("refused %s %r: %s", head.method, head.target.partition("?")[0], error)
        return problem_for(error, head.target, head.headers)


def is_too_long(content_length: str, limit: int) -> bool:
    """Whether a body is announced that is too large to buffer."""
    return content_length.isdecimal() and (len(content_length) > 15 or int(content_length) > limit)
