"""Flask: `gunicorn flask_app:app`."""

import os
from typing import Any

import service
from countersign_identity.flask import IdentityMiddleware, current_identity, require_identity
from countersign_identity.redis import RedisReplay
from flask import Flask, abort, request

app = Flask(__name__)
REDIS_URL = os.environ.get("REDIS_URL")


@app.get("/metrics")
def metrics() -> Any:
    return {"handled": service.handled, "headers": dict(request.headers)}


if service.AGREEMENT_KEY:

    @app.get("/.well-known/jwks.json")
    def no_own_keys() -> Any:
        # The middleware publishes its keys only in place of a 404, and the next route would answer 401.
        abort(404)


@app.route("/", defaults={"path": ""}, methods=service.METHODS)
@app.route("/<path:path>", methods=service.METHODS)
@require_identity(*service.EVERY_KIND)
def echo(path: str) -> Any:
    query = request.query_string.decode()
    return service.echo(current_identity(), request.method, f"/{path}{'?' if query else ''}{query}", request.get_data())


replay = RedisReplay.from_url(REDIS_URL, timeout_sec=2) if REDIS_URL else None
app.wsgi_app = IdentityMiddleware(app.wsgi_app, service.verifier(replay), stream=service.is_stream)
