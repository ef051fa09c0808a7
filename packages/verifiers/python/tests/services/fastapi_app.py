"""FastAPI: `uvicorn fastapi_app:app`."""

import json
import os
from typing import Annotated, Any

import httpx
import service
from countersign_identity import Identity
from countersign_identity.fastapi import CurrentUser, IdentityMiddleware, require_identity
from countersign_identity.httpx import ServiceAuth
from countersign_identity.nested import service_key
from countersign_identity.redis import AsyncRedisReplay
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket

app = FastAPI()
REDIS_URL = os.environ.get("REDIS_URL")


@app.get("/metrics")
def metrics(request: Request) -> Any:
    return {"handled": service.handled, "headers": dict(request.headers)}


@app.get("/v1/things/nested")
async def nested(user: CurrentUser) -> Any:
    key = service_key(json.loads(os.environ["SERVICE_KEY"]))
    async with httpx.AsyncClient(base_url=os.environ["INTERNAL_URL"], trust_env=False) as client:
        answer = await client.post("/internal/lookup/7?a=b", json={"a": 1}, auth=ServiceAuth(key, user))
        return [answer.status_code, answer.json()]


if service.AGREEMENT_KEY:

    @app.get("/.well-known/jwks.json")
    def no_own_keys() -> Any:
        # The middleware publishes its keys only in place of a 404, and the next route would answer 401.
        raise HTTPException(404)


@app.api_route("/{path:path}", methods=service.METHODS)
async def echo(request: Request, caller: Annotated[Identity, Depends(require_identity(*service.EVERY_KIND))]) -> Any:
    query = f"?{request.url.query}" if request.url.query else ""
    return service.echo(caller, request.method, request.url.path + query, await request.body())


@app.websocket("/v1/socket")
async def socket(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.accept()
    await websocket.send_json(service.echo(user, "GET", "/v1/socket", b""))
    await websocket.close()


replay = AsyncRedisReplay.from_url(REDIS_URL, timeout_sec=2) if REDIS_URL else None
app.add_middleware(IdentityMiddleware, verifier=service.verifier(replay), stream=service.is_stream)
