"""A service behind Countersign: GET /hello answers with the user's id. It needs Python 3.10 and `cryptography`."""

import json
import os
import pathlib
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "verifiers" / "python"))
from verifier import Refused, Verifier

KEYS = os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json")
verifier = Verifier("my-service", json.load(urllib.request.urlopen(KEYS, timeout=5)), {}, began=int(time.time()) + 1)


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            identity = verifier.verify("GET", self.path, self.headers.items(), b"", int(time.time()))
        except Refused as refusal:
            return self.answer(401, {"code": "identity_refused"}, ("x-identity-refused", refusal.args[0]))
        if identity["kind"] != "user":
            return self.answer(403, {"code": "identity_not_allowed"})
        self.answer(200, {"hello": identity["user_id"]})

    def answer(self, status, value, *headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (("content-type", "application/json"), ("content-length", str(len(body))), *headers):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Hello).serve_forever()
