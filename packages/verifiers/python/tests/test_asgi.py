"""The ASGI middleware, seen from both sides: what the server gives it, and what reaches the application."""

import asyncio
import json
from typing import Any

import pytest
from countersign_identity import MemoryReplay, UserIdentity, Verifier
from countersign_identity.asgi import IdentityMiddleware
from countersign_identity.testing import SignedRequest, SigningGateway
from resign import resigned

GATEWAY = SigningGateway("my-service")


class App:
    """Records what reaches it, and answers with the body that it read."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope, receive, send) -> None:
        self.scopes.append(scope)
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Server:
    """One application behind the middleware, as an ASGI server calls it."""

    def __init__(self, verifier: Verifier | None = None, **options: Any) -> None:
        self.app = App()
        self.middleware = IdentityMiddleware(self.app, verifier or GATEWAY.verifier(), **options)

    def ask(
        self, request: SignedRequest, *chunks: bytes, lines: list = (), **scope: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """`chunks` replace the body, and an empty one stands for a client that leaves."""
        path, _, query = request.target.partition("?")
        headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
        full = {
            "type": "http",
            "method": request.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }
        full |= {"headers": [*headers, *lines]} | scope
        pending = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks or [request.body]]
        pending[-1]["more_body"] = False
        if chunks and not chunks[-1]:
            pending[-1] = {"type": "http.disconnect"}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return pending.pop(0) if pending else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.middleware(full, receive, send))
        if not sent:
            return 0, {}, b""
        if sent[0]["type"] == "websocket.close":
            return sent[0]["code"], {}, b""
        return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, sent[1]["body"]


def test_a_signed_request_reaches_the_application_with_its_body():
    server = Server()
    request = GATEWAY.sign("POST", "/orders?x=1", json_body={"a": 1})
    assert server.ask(request)[::2] == (200, b'{"a": 1}')
    identity = server.app.scopes[0]["countersign_identity"].identity
    assert isinstance(identity, UserIdentity)
    assert identity.user_id == "user-1"


@pytest.mark.parametrize("chunks", [[b'{"a"', b": 1}"], [bytes([byte]) for byte in b'{"a": 1}']])
def test_a_body_may_come_in_pieces(chunks):
    assert Server().ask(GATEWAY.sign("POST", "/", json_body={"a": 1}), *chunks)[::2] == (200, b'{"a": 1}')


REFUSED = {
    "no signature": (lambda it: it.headers.pop("signature"), "signature_missing"),
    "another user": (lambda it: it.headers.update({"x-user-id": "root"}), "signature_invalid"),
    "another role": (lambda it: it.headers.update({"x-user-role": "admin"}), "signature_invalid"),
    "another kind": (lambda it: it.headers.update({"x-identity": "gateway"}), "coverage_insufficient"),
    "an alias": (lambda it: it.headers.update({"x_user_id": "root"}), "header_alias"),
    "a header that no signature covers": (
        lambda it: it.headers.update({"x-identity-admin": "1"}),
        "coverage_insufficient",
    ),
    "another audience": (lambda it: it.headers.update({"x-identity-audience": "other"}), "audience_mismatch"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_changed_request_is_refused_before_the_application(change, reason):
    server, request = Server(), GATEWAY.sign("GET", "/orders?secret=1")
    change(request)
    status, headers, body = server.ask(request)
    assert (status, headers["x-identity-refused"], headers["www-authenticate"]) == (401, reason, "Countersign")
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body) == {
        "type": "urn:countersign:error:identity_refused",
        "title": "The request does not carry a valid identity from the gateway",
        "status": 401,
        "instance": "/orders",
        "code": "identity_refused",
        "request_id": request.headers["x-request-id"],
    }
    assert server.app.scopes == []


def test_a_duplicate_line_another_body_and_a_replay_are_refused():
    server, request = Server(), GATEWAY.sign("POST", "/", json_body={"a": 1})
    assert server.ask(request, lines=[(b"x-user-id", b"root")])[1]["x-identity-refused"] == "header_duplicated"
    assert server.ask(request, b'{"a": 2}')[1]["x-identity-refused"] == "content_digest_mismatch"
    assert server.ask(request)[0] == 200
    assert server.ask(request)[1]["x-identity-refused"] == "replayed"
    assert len(server.app.scopes) == 1


def test_a_body_that_no_header_announces_is_refused_without_a_digest():
    server = Server()
    assert server.ask(GATEWAY.sign("GET", "/"), b"x")[1]["x-identity-refused"] == "content_digest_missing"
    assert server.app.scopes == []


def test_a_stream_reaches_the_application_unread_and_nothing_else_may_lack_a_digest():
    server = Server(stream=lambda method, path: (method, path) == ("POST", "/upload"))
    for path, status in (("/upload", 200), ("/other", 401)):
        answer = server.ask(resigned(GATEWAY, "POST", path), b"a", b"b")
        assert answer[0] == status
    assert answer[1]["x-identity-refused"] == "content_digest_missing"
    assert server.ask(GATEWAY.sign("GET", "/upload"), b"x")[1]["x-identity-refused"] == "content_digest_missing"
    assert len(server.app.scopes) == 1


def test_a_body_beyond_the_limit_is_answered_413_however_it_comes():
    server = Server(max_body_bytes=5)
    for lines in ([(b"content-length", b"8")], [(b"content-length", b"9" * 20)], []):
        status, headers, body = server.ask(GATEWAY.sign("POST", "/", json_body={"a": 1}), lines=lines)
        assert (status, headers["connection"], json.loads(body)["code"]) == (413, "close", "payload_too_large")
    assert server.app.scopes == []


def test_nothing_is_answered_to_a_client_that_leaves():
    server = Server()
    assert server.ask(GATEWAY.sign("POST", "/", json_body={"a": 1}), b'{"a"', b"") == (0, {}, b"")
    assert server.app.scopes == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", "/.well-known/a/b"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_exempt_path_needs_no_identity_and_sees_none(path, method):
    server = Server()
    request = SignedRequest(method, path, {"x-user-id": "root", "x_user_id": "root", "accept": "*/*"}, b"")
    assert server.ask(request)[0] == 200
    assert server.app.scopes[0]["headers"] == [(b"accept", b"*/*")]
    assert "countersign_identity" not in server.app.scopes[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[(method, "/healthz") for method in ("POST", "PUT", "DELETE", "OPTIONS")],
        *[
            ("GET", path)
            for path in ("/", "/healthz/", "/HEALTHZ", "/metrics;x", "/.well-known", "/.well-known/../orders")
        ],
        *[("GET", path) for path in ("/.well-known//x", "//healthz", "/nowhere", "/.well-known/" + "x" * 256)],
    ],
)
def test_every_other_path_needs_one(method, path):
    server = Server()
    assert server.ask(SignedRequest(method, path, {}, b""))[0] == 401
    assert server.app.scopes == []


def test_a_path_in_another_spelling_is_not_exempt():
    server = Server()
    assert server.ask(SignedRequest("GET", "/healthz", {}, b""), raw_path=b"/%68ealthz")[0] == 401


def test_a_server_without_raw_path_and_a_middleware_that_changed_the_path_are_faults():
    with pytest.raises(RuntimeError, match="raw_path"):
        Server().ask(GATEWAY.sign("GET", "/orders"), raw_path=None)
    with pytest.raises(RuntimeError, match="outermost"):
        Server().ask(GATEWAY.sign("GET", "/orders"), path="/admin")


def test_a_websocket_is_verified_before_its_handshake_ends():
    key, server = "dGhlIHNhbXBsZSBub25jZQ==", Server()
    request = resigned(GATEWAY, "GET", "/socket", upgrade="websocket", sec_websocket_key=key)
    lines = [(b"upgrade", b"websocket"), (b"sec-websocket-key", key.encode())]
    assert server.ask(request, type="websocket", lines=lines) == (0, {}, b"")
    assert server.app.scopes[0]["countersign_identity"].identity.kind == "user"
    replayed = server.ask(request, type="websocket", lines=lines, extensions={"websocket.http.response": {}})
    assert (replayed[0], replayed[1]["x-identity-refused"]) == (401, "replayed")
    assert server.ask(SignedRequest("GET", "/healthz", {}, b""), type="websocket")[0] == 1008
    assert len(server.app.scopes) == 1


def answering(status: int, headers: dict[bytes, bytes], body: bytes):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
        await send({"type": "http.response.body", "body": body})

    return app


KEY_SET = SignedRequest("GET", "/.well-known/jwks.json", {}, b"")


def agreeing() -> Verifier:
    return Verifier(audience="my-service", keys=GATEWAY.keys, replay=MemoryReplay(), agreement="memory")


def test_the_keys_for_agreement_replace_a_404():
    server = Server(verifier := agreeing())
    server.middleware.app = answering(404, {b"content-length": b"2"}, b"no")
    status, headers, body = server.ask(KEY_SET)
    assert (status, headers["content-type"]) == (200, "application/jwk-set+json")
    assert json.loads(body) == {"keys": verifier.agreement_keys.published}
    assert "d" not in verifier.agreement_keys.published[0]
    assert server.ask(SignedRequest("HEAD", KEY_SET.target, {}, b""))[::2] == (200, b"")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {b"location": b"/keys"}, b""),
        (200, {b"content-type": b"text/html"}, b"<p>"),
        (200, {b"content-type": b"application/json"}, b'{"keys": []}'),
        (503, {b"retry-after": b"1"}, b"later"),
    ],
)
def test_any_other_answer_at_the_path_of_the_key_set_stays_as_it_is(status, headers, body):
    server = Server(agreeing())
    server.middleware.app = answering(status, headers, body)
    expected = {name.decode(): value.decode() for name, value in headers.items()}
    assert server.ask(KEY_SET) == (status, expected, body)


@pytest.mark.parametrize("path", ["/things", "/healthz"])
def test_a_relayed_refusal_of_another_service_loses_its_reason(path):
    server = Server()
    server.middleware.app = answering(401, {b"X-Identity-Refused": b"key_unknown", b"a": b"b"}, b"")
    assert server.ask(GATEWAY.sign("GET", path)) == (401, {"a": "b"}, b"")


def test_lifespan_passes():
    server = Server()
    asyncio.run(server.middleware({"type": "lifespan"}, None, None))
    assert server.app.scopes == [{"type": "lifespan"}]
