"""The WSGI middleware, seen from both sides: what the server gives it, and what reaches the application."""

import json
from io import BytesIO
from typing import Any

import pytest
from countersign_identity import MemoryReplay, Verifier
from countersign_identity.testing import SignedRequest, SigningGateway
from countersign_identity.wsgi import IdentityMiddleware
from resign import resigned

GATEWAY = SigningGateway("my-service")


class Server:
    """One application behind the middleware, as a WSGI server calls it."""

    def __init__(self, verifier: Verifier | None = None, **options: Any) -> None:
        self.reached: list[dict[str, Any]] = []
        self.middleware = IdentityMiddleware(self._app, verifier or GATEWAY.verifier(), **options)

    def _app(self, environ, start_response):
        self.reached.append(environ)
        start_response("200 OK", [])
        length = environ.get("CONTENT_LENGTH")
        return [environ["wsgi.input"].read(int(length) if length else 0)]

    def ask(
        self, request: SignedRequest, *, body: bytes | None = None, **more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        body = request.body if body is None else body
        path, _, query = request.target.partition("?")
        environ = {
            "REQUEST_METHOD": request.method,
            "RAW_URI": request.target,
            "PATH_INFO": path,
            "QUERY_STRING": query,
        }
        environ |= {"SCRIPT_NAME": "", "wsgi.input": BytesIO(body), "wsgi.multiprocess": False}
        environ |= {"CONTENT_LENGTH": str(len(body))} if body else {}
        for name, value in request.headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        environ = {key: value for key, value in (environ | more).items() if value is not None}
        started: list[Any] = []
        answer = b"".join(self.middleware(environ, lambda *arguments: started.extend(arguments)))
        return int(started[0].split()[0]), dict(started[1]), answer


def test_a_signed_request_reaches_the_application_with_its_body():
    server = Server()
    assert server.ask(GATEWAY.sign("POST", "/orders?x=1", json_body={"a": 1}))[::2] == (200, b'{"a": 1}')
    assert server.reached[0]["countersign_identity"].identity.user_id == "user-1"


def test_a_chunked_body_reaches_the_application_where_the_server_ends_the_input():
    server, chunked = Server(), {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}
    request = GATEWAY.sign("POST", "/", json_body={"a": 1})
    assert server.ask(request, **chunked)[1]["x-identity-refused"] == "content_digest_mismatch"
    assert server.ask(request, **chunked, **{"wsgi.input_terminated": True})[::2] == (200, b'{"a": 1}')
    assert "HTTP_TRANSFER_ENCODING" not in server.reached[0]


REFUSED = {
    "no signature": ({"HTTP_SIGNATURE": None}, "signature_missing"),
    "another user": ({"HTTP_X_USER_ID": "root"}, "signature_invalid"),
    "a user twice, which the server joins": ({"HTTP_X_USER_ID": "user-1,root"}, "header_malformed"),
    "another kind": ({"HTTP_X_IDENTITY": "gateway"}, "coverage_insufficient"),
    "an alias": ({"HTTP_X.USER.ID": "root"}, "header_alias"),
    "a header that no signature covers": ({"HTTP_X_IDENTITY_ADMIN": "1"}, "coverage_insufficient"),
    "another audience": ({"HTTP_X_IDENTITY_AUDIENCE": "other"}, "audience_mismatch"),
    "another path": ({"PATH_INFO": "/admin"}, "target_malformed"),
    "another query": ({"QUERY_STRING": "x=2"}, "target_malformed"),
    "a mount that a header names": ({"SCRIPT_NAME": "/orders", "PATH_INFO": ""}, "target_malformed"),
    "another target": ({"RAW_URI": "/admin", "PATH_INFO": "/admin", "QUERY_STRING": ""}, "signature_invalid"),
    "an absolute target": ({"RAW_URI": "http://service/orders?x=1"}, "target_malformed"),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_changed_request_is_refused_before_the_application(changes, reason):
    server, request = Server(), GATEWAY.sign("GET", "/orders?x=1")
    status, headers, body = server.ask(request, **changes)
    assert (status, headers["x-identity-refused"], headers["www-authenticate"]) == (401, reason, "Countersign")
    assert json.loads(body)["request_id"] == request.headers["x-request-id"]
    assert server.reached == []
    assert server.ask(request)[0] == 200


def test_another_body_and_a_replay_are_refused():
    server, request = Server(), GATEWAY.sign("POST", "/", json_body={"a": 1})
    assert server.ask(request, body=b'{"a": 2}')[1]["x-identity-refused"] == "content_digest_mismatch"
    assert server.ask(request)[0] == 200
    assert server.ask(request)[1]["x-identity-refused"] == "replayed"
    assert len(server.reached) == 1


def test_headers_that_are_not_of_the_contract_are_ignored():
    assert (
        Server().ask(GATEWAY.sign("GET", "/"), HTTP_CONTENT_TYPE="x", HTTP_CONTENT_LENGTH="9", HTTP_X_CLIENT="y")[0]
        == 200
    )


def test_a_mount_that_a_header_names_opens_no_exempt_path():
    server, request = Server(), SignedRequest("GET", "/.well-known/admin", {}, b"")
    answer = server.ask(request, SCRIPT_NAME="/.well-known", PATH_INFO="/admin")
    assert answer[1]["x-identity-refused"] == "target_malformed"
    assert server.reached == []


def test_an_application_under_a_path_must_say_so():
    request = GATEWAY.sign("GET", "/api/orders")
    under = {"SCRIPT_NAME": "/api", "PATH_INFO": "/orders"}
    assert Server().ask(request, **under)[1]["x-identity-refused"] == "target_malformed"
    assert Server(mount="/api").ask(request, **under)[0] == 200


def test_without_the_raw_target_a_path_without_percent_is_verified_as_the_application_sees_it():
    server = Server()
    assert server.ask(GATEWAY.sign("GET", "/orders?q=%20"), RAW_URI=None)[0] == 200
    for raw, seen in (("/a%20b", "/a b"), ("/a%2541", "/a%41")):
        answer = server.ask(GATEWAY.sign("GET", raw), RAW_URI=None, PATH_INFO=seen)
        assert answer[1]["x-identity-refused"] == "target_malformed"
    assert len(server.reached) == 1


def test_a_decoded_path_matches_its_raw_target():
    assert Server().ask(GATEWAY.sign("GET", "/caf%C3%A9"), PATH_INFO="/caf\xc3\xa9")[0] == 200


def test_a_stream_reaches_the_application_unread():
    server = Server(stream=lambda method, path: (method, path) == ("POST", "/upload"))
    assert server.ask(resigned(GATEWAY, "POST", "/upload"), body=b"streamed")[::2] == (200, b"streamed")
    refused = server.ask(resigned(GATEWAY, "POST", "/other"), body=b"streamed")
    assert refused[1]["x-identity-refused"] == "content_digest_missing"


def test_a_body_beyond_the_limit_is_answered_413_however_it_comes():
    server, terminated = Server(max_body_bytes=5), {"wsgi.input_terminated": True}
    for more in ({}, {"CONTENT_LENGTH": "9" * 20}, {"CONTENT_LENGTH": None, **terminated}):
        status, headers, body = server.ask(GATEWAY.sign("POST", "/", json_body={"a": 1}), **more)
        assert (status, json.loads(body)["code"]) == (413, "payload_too_large")
        assert "connection" not in headers  # PEP 3333 leaves it to the server.
    assert server.reached == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/.well-known/jwks.json"])
def test_an_exempt_path_needs_no_identity_and_sees_none(path):
    server = Server()
    assert (
        server.ask(SignedRequest("GET", path, {"x-user-id": "root", "X.User.Id": "root", "accept": "*/*"}, b""))[0]
        == 200
    )
    assert [key for key in server.reached[0] if key.startswith("HTTP_")] == ["HTTP_ACCEPT"]


def test_every_other_path_needs_one_and_head_is_answered_without_a_body():
    server = Server()
    for method, path in (("POST", "/healthz"), ("GET", "/healthz/"), ("GET", "/%68ealthz"), ("GET", "/")):
        assert server.ask(SignedRequest(method, path, {}, b""))[0] == 401
    assert server.ask(SignedRequest("HEAD", "/", {}, b""))[::2] == (401, b"")
    assert server.reached == []


def test_several_processes_with_a_memory_each_are_a_fault():
    with pytest.raises(RuntimeError, match="RedisReplay"):
        Server().ask(GATEWAY.sign("GET", "/"), **{"wsgi.multiprocess": True})


def agreeing() -> Verifier:
    return Verifier(audience="my-service", keys=GATEWAY.keys, replay=MemoryReplay(), agreement="memory")


def answering(status: str, headers: list, body: bytes):
    def app(environ, start_response):
        start_response(status, headers)
        yield body

    return app


KEY_SET = SignedRequest("GET", "/.well-known/jwks.json", {}, b"")


def test_the_keys_for_agreement_replace_a_404():
    server = Server(verifier := agreeing())
    server.middleware.app = answering("404 Not Found", [("content-length", "2")], b"no")
    status, headers, body = server.ask(KEY_SET)
    assert (status, json.loads(body)) == (200, {"keys": verifier.agreement_keys.published})
    assert headers["content-length"] == str(len(body))
    assert server.ask(SignedRequest("HEAD", KEY_SET.target, {}, b""))[::2] == (200, b"")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("302 Found", {"location": "/keys"}, b""),
        ("200 OK", {"content-type": "text/html"}, b"<p>"),
        ("200 OK", {"content-type": "application/json"}, b'{"keys": []}'),
        ("503 Service Unavailable", {"retry-after": "1"}, b"later"),
    ],
)
def test_any_other_answer_at_the_path_of_the_key_set_stays_as_it_is(status, headers, body):
    server = Server(agreeing())
    server.middleware.app = answering(status, list(headers.items()), body)
    assert server.ask(KEY_SET) == (int(status[:3]), headers, body)


@pytest.mark.parametrize("path", ["/things", "/healthz"])
def test_a_relayed_refusal_of_another_service_loses_its_reason(path):
    server = Server()
    server.middleware.app = answering("401 Unauthorized", [("X-Identity-Refused", "key_unknown"), ("a", "b")], b"")
    assert server.ask(GATEWAY.sign("GET", path)) == (401, {"a": "b"}, b"")
