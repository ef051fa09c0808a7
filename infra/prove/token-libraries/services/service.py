import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bound_request import is_for_request
from identity_token import Refused, verify_token


class Service(BaseHTTPRequestHandler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            claims = verify_token(self.headers.get("Countersign-Token", ""))
        except Refused as error:
            return self.answer(401, repr(error))
        if self.path.startswith("/stream"):
            body = None
        if not is_for_request(claims, self.command, self.path, self.headers, body):
            return self.answer(401, "another request")
        return self.answer(200, claims["user_id"])

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Service).serve_forever()
