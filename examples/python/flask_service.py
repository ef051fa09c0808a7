import os

from countersign_identity import GatewayKeys, MemoryReplay, Verifier
from countersign_identity.flask import IdentityMiddleware, current_identity, require_identity
from flask import Flask

keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
verifier = Verifier(audience="my-service", keys=keys, replay=MemoryReplay(), agreement="memory")
app = Flask(__name__)
app.wsgi_app = IdentityMiddleware(app.wsgi_app, verifier)


@app.get("/hello")
@require_identity()
def hello():
    return {"hello": current_identity().user_id}
