"""What the ASGI and the WSGI middleware share."""

import json
import logging
from collections.abc import Callable, Mapping

from .._contract.headers import HeaderLines
from ..errors import IdentityError
from ..verifier import RequestHead, Verifier
from .problems import Answer, problem_for

logger = logging.getLogger("countersign_identity")


class Protection:
    """`stream` says for a method and a path whether the body may lack a digest; never let a header decide.

    `own_keys` returns the service's own key set, if it publishes one besides its keys for agreement.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        max_body_bytes: int = 1024 * 1024,
        stream: Callable[[str, str], bool] = lambda method, path: False,
        own_keys: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.verifier, self.max_body_bytes = verifier, max_body_bytes
        self._stream, self._own_keys = stream, own_keys
        verifier.keys.start()

    def head_of(self, method: str, target: str, lines: HeaderLines) -> RequestHead:
        return RequestHead(method, target, lines, self._stream(method, target.partition("?")[0]))

    def key_set(self, target: str) -> Answer | None:
        """Return the answer at the place where the gateway looks for this service's keys for agreement."""
        if self.verifier.agreement is None or target.partition("?")[0] != "/.well-known/jwks.json":
            return None
        document = dict(self._own_keys())
        keys = document.get("keys")
        document["keys"] = [*(keys if isinstance(keys, list) else []), *self.verifier.agreement.published]
        headers = {"content-type": "application/jwk-set+json", "cache-control": "public, max-age=60"}
        return Answer(200, headers, json.dumps(document).encode())

    def refusal(self, error: IdentityError, head: RequestHead) -> Answer:
        logger.warning("refused %s %r: %s", head.method, head.target.partition("?")[0], error)
        return problem_for(error, head.target, head.headers)


def is_too_long(content_length: str, limit: int) -> bool:
    """Whether a body is announced that is too large to buffer."""
    return content_length.isdecimal() and (len(content_length) > 15 or int(content_length) > limit)
