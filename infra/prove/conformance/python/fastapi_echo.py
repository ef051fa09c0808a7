import os
from typing import Annotated, Any

from countersign_identity import GatewayKeys, Identity, MemoryReplay, Verifier
from countersign_identity.fastapi import IdentityMiddleware, require_identity
from countersign_identity.testing import identity_json
from fastapi import Depends, FastAPI

keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
app = FastAPI()
app.add_middleware(IdentityMiddleware, verifier=Verifier(audience="my-service", keys=keys, replay=MemoryReplay()))


@app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def echo(caller: Annotated[Identity, Depends(require_identity(Identity))]) -> dict[str, Any]:
    return identity_json(caller)
