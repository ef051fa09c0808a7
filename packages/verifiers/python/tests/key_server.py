"""A key set on a real port, whose answers a test chooses."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from countersign_identity._contract.rfc9421 import base64url
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def jwk_named(kid: str) -> dict[str, str]:
    x = base64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}


class KeyServer:
    """Answers with a set of these kids. `answer` replaces the answer, and `hold` delays it until it is released."""

    def __init__(self, *kids: str) -> None:
        self.requests: list[dict[str, str]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.released = threading.Event()
        self.released.set()
        self.asked = threading.Semaphore(0)
        self.serve(*kids)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append({name.lower(): value for name, value in self.headers.items()})
                outer.asked.release()
                outer.released.wait()
                outer.answer(self) if outer.answer else send(self, outer.document)

            def log_message(self, *_args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/.well-known/jwks.json"

    def serve(self, *kids: str) -> None:
        self.document: Any = {"keys": [jwk_named(kid) for kid in kids]}

    @contextmanager
    def running(self) -> Iterator["KeyServer"]:
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()


def send(handler: BaseHTTPRequestHandler, document: Any, status: int = 200, **headers: str) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    handler.send_response(status)
    for name, value in (
        {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    ).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
