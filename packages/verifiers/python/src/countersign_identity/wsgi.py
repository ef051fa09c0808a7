"""WSGI middleware: for Flask, Django under WSGI, and every other WSGI application.

A WSGI server joins repeated headers and reads `X_User_Id` as `X-User-Id`. So the signature is verified over what the
application sees, and a value that was joined or replaced does not match it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ._contract.headers import HeaderLines, is_exempt, is_identity_header
from ._web.guards import STATE_KEY, Verified
from ._web.problems import Answer
from ._web.protection import Protection, is_too_long
from .errors import BodyTooLarge, IdentityError, IdentityRefused
from .identity import Identity
from .verifier import RequestHead

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = dict[str, Any]


@dataclass(eq=False, kw_only=True)
class IdentityMiddleware(Protection["WSGIApplication"]):
    """Refuses every request that the gateway did not sign for this service.

    `mount` is the path under which the server mounts the application: any other SCRIPT_NAME is refused, because
    gunicorn takes it from a header.
    """

    mount: str = ""

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        target, lines = target_of(environ), header_lines(environ)
        head = self._head_of(environ["REQUEST_METHOD"], target, lines)
        is_routed_so = self._is_routed_as_received(target, environ)
        if is_routed_so and is_exempt(head.method, target):
            for name in [name for name in environ if name.startswith("HTTP_") and is_identity_header(_header(name))]:
                del environ[name]
            if (keys := self._key_set(target)) is not None:
                return self._publish(keys, environ, start_response)
            return self.app(environ, _without_identity(start_response))
        try:
            if not is_routed_so:
                raise IdentityRefused("target_malformed", f"SCRIPT_NAME is {environ.get('SCRIPT_NAME')!r}")
            environ[STATE_KEY] = Verified(self._verify(head, environ))
        except IdentityError as error:
            return _answer(self._refusal(error, head), head.method, start_response)
        return self.app(environ, _without_identity(start_response))

    def _publish(self, keys: Answer, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        started: list[Any] = []
        written: list[bytes] = []

        def start(*args: Any) -> Callable[[bytes], None]:
            started[:] = args[:2]
            return written.append

        chunks = self.app(environ, start)
        try:
            written += chunks
        finally:
            getattr(chunks, "close", bool)()
        if started[0].startswith("404"):
            return _answer(keys, environ["REQUEST_METHOD"], start_response)
        _without_identity(start_response)(*started)
        return written

    def _is_routed_as_received(self, target: str, environ: Environ) -> bool:
        path, _, query = target.partition("?")
        script_name, path_info = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        is_same = unquote(path, "latin-1") == script_name + path_info and query == environ.get("QUERY_STRING", "")
        return bool(is_same and script_name == self.mount)

    def _verify(self, head: RequestHead, environ: Environ) -> Identity:
        verifier = self.verifier
        has_own_memory = not verifier.replay.shared or (
            verifier.agreement_keys is not None and verifier.agreement_keys.in_memory
        )
        if environ.get("wsgi.multiprocess") and has_own_memory:
            raise RuntimeError("several processes serve this application: use RedisReplay, and keys that they share")
        signed = verifier.verify_head(head)
        if not signed.needs_body:
            return verifier.complete(signed)
        body = _read(environ, self.max_body_bytes)
        environ |= {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(body))}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return verifier.complete(signed, body)


def target_of(environ: Environ) -> str:
    """Return the target as the server received it.

    wsgiref, such as Django's runserver, gives the decoded path alone. It is what the application sees, so it is
    verified instead, unless it has a percent sign: then one path has two spellings.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is not None:
        return str(raw)
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".replace("%", " ")
    return f"{path}?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else path


def _without_identity(start_response: "StartResponse") -> Any:
    """Remove `x-identity-*` from answers: a relayed 401 of another service would make the gateway use ed25519."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        kept = [line for line in headers if not line[0].lower().startswith("x-identity-")]
        return start_response(status, kept, *exc_info)

    return start


def _header(key: str) -> str:
    return key[5:].replace("_", "-")


def header_lines(environ: Environ) -> HeaderLines:
    others = {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}
    lines = [(_header(key), value) for key, value in environ.items() if key.startswith("HTTP_") and key not in others]
    names = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    return lines + [(name, environ[key]) for key, name in names.items() if environ.get(key)]


def _read(environ: Environ, limit: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if is_too_long(length, limit):
        raise BodyTooLarge
    # Without a length, only a server that ends the input at the end of the body lets it be read.
    amount = int(length) if length.isdecimal() else limit + 1 if environ.get("wsgi.input_terminated") else 0
    body: bytes = environ["wsgi.input"].read(amount)
    if len(body) > limit:
        raise BodyTooLarge
    return body


def _answer(answer: Answer, method: str, start_response: "StartResponse") -> list[bytes]:
    # `connection` belongs to the server (PEP 3333).
    headers = [(name, value) for name, value in answer.headers.items() if name != "connection"]
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    start_response(status, [*headers, ("content-length", str(len(answer.body)))])
    return [] if method == "HEAD" else [answer.body]
