import os

from countersign_identity import GatewayKeys, MemoryReplay, Verifier
from countersign_identity.fastapi import CurrentUser, IdentityMiddleware
from fastapi import FastAPI

keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
verifier = Verifier(audience="my-service", keys=keys, replay=MemoryReplay(), agreement="memory")
app = FastAPI()
app.add_middleware(IdentityMiddleware, verifier=verifier)


@app.get("/hello")
def hello(user: CurrentUser) -> dict[str, str]:
    return {"hello": user.user_id}
