"""ASGI middleware: for FastAPI, Starlette, Django under ASGI, and every other ASGI application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from ._contract.headers import HeaderLines, is_exempt, is_identity_header
from ._web.guards import STATE_KEY, Verified
from ._web.problems import Answer, problem_for
from ._web.protection import Protection, is_too_long
from .errors import BodyTooLarge, IdentityError, IdentityNotAllowed
from .verifier import RequestHead

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _ClientDisconnected(Exception):
    """The client left before its request was complete, so nothing can be answered."""


class IdentityMiddleware(Protection[App]):
    """Refuses every request that the gateway did not sign for this service. Make it the outermost middleware."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        target, lines = target_of(scope), header_lines(scope)
        head = self._head_of(scope.get("method", "GET"), target, lines)
        if scope["type"] == "http" and is_exempt(head.method, target):
            scope["headers"] = [line for line in scope["headers"] if not is_identity_header(line[0].decode("latin-1"))]
            keys = self._key_set(target)
            replace = (lambda: None) if keys is None else (lambda: _answer(keys, scope, send))
            await self.app(scope, receive, _without_identity(send, replace))
            return
        try:
            receive = await self._verify(head, scope, receive)
        except _ClientDisconnected:
            return
        except IdentityError as error:
            await _answer(self._refusal(error, head), scope, send)
            return
        started, passed = False, _without_identity(send)

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await passed(message)

        try:
            await self.app(scope, receive, watched)
        except IdentityNotAllowed as error:
            if started:
                raise
            await _answer(problem_for(error, target, lines), scope, send)

    async def _verify(self, head: RequestHead, scope: Scope, receive: Receive) -> Receive:
        verifier, limit = self.verifier, self.max_body_bytes
        signed = await verifier.averify_head(head)
        if scope["type"] != "http" or not signed.needs_body:
            scope[STATE_KEY] = Verified(await verifier.acomplete(signed))
            return receive
        if is_too_long(signed.headers.get("content-length", ""), limit):
            raise BodyTooLarge
        body = await _read(receive, limit)
        scope[STATE_KEY] = Verified(await verifier.acomplete(signed, body))
        return _once_more(body, receive)


def _without_identity(send: Send, replace: Callable[[], Awaitable[None] | None] = lambda: None) -> Send:
    """Remove `x-identity-*` from answers: a relayed 401 of another service would make the gateway use ed25519.

    `replace` sends another answer instead of a 404.
    """
    is_replaced = False

    async def sent(message: Message) -> None:
        nonlocal is_replaced
        if message.get("status") == 404 and (replacing := replace()) is not None:
            is_replaced = True
            await replacing
        elif not is_replaced:
            kept = [line for line in message.get("headers", ()) if not line[0].lower().startswith(b"x-identity-")]
            await send({**message, "headers": kept} if "headers" in message else message)

    return sent


def target_of(scope: Scope) -> str:
    """Return the target as the server received it. `path` is decoded, so it cannot stand in for `raw_path`."""
    raw_path, query = scope.get("raw_path"), scope.get("query_string", b"")
    if not isinstance(raw_path, bytes):
        raise RuntimeError("this ASGI server gives no raw_path, without which no signature can be verified")
    if raw_path.isascii() and unquote(raw_path.decode()) != scope["path"]:
        raise RuntimeError("make IdentityMiddleware the outermost middleware: another one has changed the path")
    return (raw_path + (b"?" + query if query else b"")).decode("latin-1")


def header_lines(scope: Scope) -> HeaderLines:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


async def _read(receive: Receive, limit: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _ClientDisconnected
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLarge
        more = message.get("more_body", False)
    return bytes(body)


def _once_more(body: bytes, receive: Receive) -> Receive:
    """Give the application the body that was read."""
    unread = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return again


async def _answer(answer: Answer, scope: Scope, send: Send) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        # Before the handshake ends. A server without this extension answers the close with a plain 403.
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": answer.status, "headers": lines})
    await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else answer.body})
