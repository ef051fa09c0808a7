import os

from countersign_identity import GatewayKeys, Identity, MemoryReplay, Verifier
from countersign_identity.flask import IdentityMiddleware, current_identity, require_identity
from countersign_identity.testing import identity_json
from flask import Flask

keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
app = Flask(__name__)
app.wsgi_app = IdentityMiddleware(app.wsgi_app, Verifier(audience="my-service", keys=keys, replay=MemoryReplay()))


@app.before_request
@require_identity(Identity)
def echo():
    return identity_json(current_identity())
