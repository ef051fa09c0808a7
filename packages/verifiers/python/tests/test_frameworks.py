"""FastAPI, Starlette, Flask and Django: the guards of each, with one table of callers."""

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from countersign_identity import (
    AnonymousIdentity,
    ClientClaims,
    ClientIdentity,
    GatewayIdentity,
    Identity,
    IdentityContext,
    ServiceIdentity,
    UserClaims,
    UserIdentity,
    asgi,
    wsgi,
)
from countersign_identity.testing import SignedRequest, SigningGateway

httpx = pytest.importorskip("httpx")
GATEWAY = SigningGateway("my-service")

Ask = Callable[[SignedRequest], Any]


def over_asgi(app: Any) -> Ask:
    async def send(request: SignedRequest) -> Any:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(request.method, request.target, headers=request.headers, content=request.body)

    return lambda request: asyncio.run(send(request))


def over_wsgi(app: Any) -> Ask:
    client = httpx.Client(transport=httpx.WSGITransport(app=app, raise_app_exceptions=False), base_url="http://service")
    return lambda request: client.request(request.method, request.target, headers=request.headers, content=request.body)


def fastapi_app() -> Ask:
    from countersign_identity.fastapi import CurrentUser, require_identity, require_role, require_scope
    from fastapi import Depends, FastAPI, Request

    app = FastAPI()
    kinds = require_identity(UserIdentity, ClientIdentity)
    machines = require_identity(ServiceIdentity, GatewayIdentity)

    @app.get("/whoami")
    def whoami(user: CurrentUser) -> str:
        return user.user_id

    @app.post("/echo")
    async def echo(user: CurrentUser, request: Request) -> Any:
        return await request.json()

    @app.get("/staff")
    def staff(caller: Annotated[Identity, Depends(require_role("agent", "admin"))]) -> str:
        return caller.kind

    @app.get("/orders")
    def orders(caller: Annotated[Identity, Depends(require_scope("orders.read", "orders.write"))]) -> str:
        return caller.kind

    @app.get("/clients/orders", dependencies=[Depends(kinds)])
    def clients(caller: Annotated[Identity, Depends(require_scope("orders.read", "orders.write"))]) -> str:
        return caller.kind

    @app.get("/open")
    def open_to_all(caller: Annotated[Identity, Depends(require_identity(AnonymousIdentity, UserIdentity))]) -> str:
        return caller.kind

    @app.get("/machines")
    def for_machines(caller: Annotated[Identity, Depends(machines)]) -> str:
        return caller.kind

    @app.get("/healthz")
    def healthz(user: CurrentUser) -> str:
        return user.user_id

    app.add_middleware(asgi.IdentityMiddleware, verifier=GATEWAY.verifier())
    return over_asgi(app)


def starlette_app() -> Ask:
    from countersign_identity.starlette import require_identity, require_role, require_scope
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    orders = require_scope("orders.read", "orders.write")
    guards = {
        "/staff": [require_role("agent", "admin")],
        "/orders": [orders],
        "/clients/orders": [require_identity(UserIdentity, ClientIdentity), orders],
        "/open": [require_identity(AnonymousIdentity, UserIdentity)],
        "/machines": [require_identity(ServiceIdentity, GatewayIdentity)],
        "/healthz": [require_identity()],
    }
    require_user = require_identity()

    async def whoami(request: Request) -> Response:
        return JSONResponse((await require_user(request)).user_id)

    async def echo(request: Request) -> Response:
        await require_user(request)
        return JSONResponse(await request.json())

    async def kind(request: Request) -> Response:
        callers = [await guard(request) for guard in guards[request.url.path]]
        return JSONResponse(callers[-1].kind)

    routes = [Route("/whoami", whoami), Route("/echo", echo, methods=["POST"]), *(Route(path, kind) for path in guards)]
    protection = Middleware(asgi.IdentityMiddleware, verifier=GATEWAY.verifier())
    return over_asgi(Starlette(routes=routes, middleware=[protection]))


def flask_app(*, asynchronous: bool = False) -> Ask:
    from countersign_identity.flask import current_identity, require_identity, require_role, require_scope
    from flask import Flask, jsonify, request

    app = Flask("service")

    def route(path: str, *guards: Any, methods: tuple[str, ...] = ("GET",)) -> Any:
        def decorate(view: Any) -> Any:
            async def aview() -> Any:
                return view()

            guarded = aview if asynchronous and guards else view
            for guard in reversed(guards):
                guarded = guard(guarded)
            app.add_url_rule(path, path, guarded, methods=methods)

        return decorate

    orders = require_scope("orders.read", "orders.write")
    route("/whoami", require_identity())(lambda: jsonify(current_identity().user_id))
    route("/echo", require_identity(), methods=("POST",))(lambda: jsonify(request.get_json()))
    kind = lambda: jsonify(current_identity().kind)  # noqa: E731
    route("/staff", require_role("agent", "admin"))(kind)
    route("/orders", orders)(kind)
    route("/clients/orders", require_identity(UserIdentity, ClientIdentity), orders)(kind)
    route("/open", require_identity(AnonymousIdentity, UserIdentity))(kind)
    route("/machines", require_identity(ServiceIdentity, GatewayIdentity))(kind)
    route("/forgotten")(kind)
    route("/healthz")(kind)
    app.wsgi_app = wsgi.IdentityMiddleware(app.wsgi_app, GATEWAY.verifier())
    return over_wsgi(app)


def django_app(*, asynchronous: bool = False) -> Ask:
    import django
    from countersign_identity.django import identity_of, require_identity, require_role, require_scope
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=None, SECRET_KEY="tests", LOGGING_CONFIG=None)
        django.setup()

    def answer(value: Any) -> JsonResponse:
        return JsonResponse(value, safe=False)

    def kind_view(*guards: Any) -> Any:
        async def aview(request):
            return answer(identity_of(request).kind)

        def view(request):
            return answer(identity_of(request).kind)

        guarded = aview if asynchronous else view
        for guard in reversed(guards):
            guarded = guard(guarded)
        return guarded

    @require_identity()
    def whoami(request):
        return answer(identity_of(request).user_id)

    @require_identity()
    def echo(request):
        return answer(json.loads(request.body))

    orders = require_scope("orders.read", "orders.write")

    class Urls:
        urlpatterns = [
            path("whoami", whoami),
            path("echo", echo),
            path("staff", kind_view(require_role("agent", "admin"))),
            path("orders", kind_view(orders)),
            path("clients/orders", kind_view(require_identity(UserIdentity, ClientIdentity), orders)),
            path("open", kind_view(require_identity(AnonymousIdentity, UserIdentity))),
            path("machines", kind_view(require_identity(ServiceIdentity, GatewayIdentity))),
            path("forgotten", kind_view()),
            path("healthz", kind_view()),
        ]

    settings.ROOT_URLCONF = Urls
    if asynchronous:
        return over_asgi(asgi.IdentityMiddleware(get_asgi_application(), GATEWAY.verifier()))
    return over_wsgi(wsgi.IdentityMiddleware(get_wsgi_application(), GATEWAY.verifier()))


FRAMEWORKS = {
    "fastapi": fastapi_app,
    "starlette": starlette_app,
    "flask": flask_app,
    "flask async": lambda: flask_app(asynchronous=True),
    "django": django_app,
    "django async": lambda: django_app(asynchronous=True),
}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def ask(request) -> Ask:
    pytest.importorskip(request.param.split()[0])
    return FRAMEWORKS[request.param]()


agent = UserClaims(user_id="u", role="agent", tenant_id="t")
ORDERS = IdentityContext(scope=("orders.read", "orders.write"))
READS = IdentityContext(scope=("orders.read",))
user, anonymous = UserIdentity(**vars(agent)), AnonymousIdentity()
service, for_user = ServiceIdentity(service_id="s"), ServiceIdentity(service_id="s", user=agent)
client = ClientIdentity(client_id="c", context=ORDERS)
for_client = ServiceIdentity(service_id="s", client=ClientClaims(client_id="c", role="agent"), context=ORDERS)
CALLERS = [
    ("a user", "/whoami", user, 200, "u"),
    ("an anonymous caller on a user route", "/whoami", anonymous, 403, "identity_not_allowed"),
    ("a client on a user route", "/whoami", client, 403, "identity_not_allowed"),
    ("a service for a user on a user route", "/whoami", for_user, 403, "identity_not_allowed"),
    ("the gateway on a user route", "/whoami", GatewayIdentity(), 403, "identity_not_allowed"),
    ("a user with the role", "/staff", user, 200, "user"),
    (
        "a user with another role",
        "/staff",
        UserIdentity(user_id="u", role="member", tenant_id="t"),
        403,
        "insufficient_role",
    ),
    ("a service for a user with the role", "/staff", for_user, 200, "service"),
    ("a service for itself on a role route", "/staff", service, 403, "insufficient_role"),
    ("a service for a client on a role route", "/staff", for_client, 403, "insufficient_role"),
    ("a client with the role", "/staff", ClientIdentity(client_id="c", role="agent"), 403, "insufficient_role"),
    ("a user with the scopes", "/orders", UserIdentity(**vars(agent), context=ORDERS), 200, "user"),
    ("a user with one scope", "/orders", UserIdentity(**vars(agent), context=READS), 403, "insufficient_scope"),
    ("a user without scope", "/orders", user, 403, "insufficient_scope"),
    ("a client on a scope route", "/orders", client, 403, "identity_not_allowed"),
    ("a client where clients are accepted", "/clients/orders", client, 200, "client"),
    (
        "a client with one scope there",
        "/clients/orders",
        ClientIdentity(client_id="c", context=READS),
        403,
        "insufficient_scope",
    ),
    ("an anonymous caller on an open route", "/open", anonymous, 200, "anonymous"),
    ("a user on an open route", "/open", user, 200, "user"),
    ("the gateway on an open route", "/open", GatewayIdentity(), 403, "identity_not_allowed"),
    ("a service on a machine route", "/machines", service, 200, "service"),
    ("a service for a client on a machine route", "/machines", for_client, 403, "identity_not_allowed"),
    ("the gateway on a machine route", "/machines", GatewayIdentity(), 200, "gateway"),
    ("a user on a machine route", "/machines", user, 403, "identity_not_allowed"),
]


@pytest.mark.parametrize(
    ("path", "caller", "status", "said"), [case[1:] for case in CALLERS], ids=[case[0] for case in CALLERS]
)
def test_the_guard_of_each_framework_decides_alike(ask, path, caller, status, said):
    request = GATEWAY.sign("GET", path, caller)
    answer = ask(request)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == said
        return
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["instance"], problem["request_id"]) == (
        said,
        path,
        request.headers["x-request-id"],
    )
    challenge = (
        'Bearer error="insufficient_scope", scope="orders.read orders.write"' if said == "insufficient_scope" else None
    )
    assert answer.headers.get("www-authenticate") == challenge


def test_a_caller_whose_token_is_bound_to_a_key_is_challenged_for_dpop(ask):
    caller = UserIdentity(**vars(agent), context=IdentityContext(jkt="x" * 43))
    assert ask(GATEWAY.sign("GET", "/orders", caller)).headers["www-authenticate"].startswith("DPoP ")


def test_a_body_reaches_the_view(ask):
    assert ask(GATEWAY.sign("POST", "/echo", json_body={"a": "ü€😀"})).json() == {"a": "ü€😀"}


def test_an_unsigned_request_is_refused_before_routing(ask):
    for path in ("/whoami", "/nowhere", "/open"):
        answer = ask(SignedRequest("GET", path, {}, b""))
        assert (answer.status_code, answer.headers["x-identity-refused"]) == (401, "signature_missing")
    changed = GATEWAY.sign("POST", "/echo", json_body={"a": 1})
    answer = ask(SignedRequest(changed.method, changed.target, changed.headers, b'{"a": 2}'))
    assert (answer.status_code, answer.headers["x-identity-refused"]) == (401, "content_digest_mismatch")


def test_an_identity_without_a_guard_is_a_fault(ask, request):
    if request.node.callspec.params["ask"] in ("fastapi", "starlette"):
        pytest.skip("a guard of this framework returns the identity, so there is no other way to read it")
    assert ask(GATEWAY.sign("GET", "/forgotten")).status_code == 500


def test_an_exempt_path_has_no_identity(ask):
    assert ask(SignedRequest("GET", "/healthz", {"x-identity": "user", "x-user-id": "root"}, b"")).status_code == 500


@pytest.mark.parametrize("caller", [user, client, anonymous, service, for_user, for_client, GatewayIdentity()])
def test_the_base_of_all_kinds_accepts_every_caller(caller):
    from countersign_identity._web.guards import STATE_KEY, Verified, kinds_guard

    assert kinds_guard(Identity)({STATE_KEY: Verified(caller)}) is caller


def test_guards_that_would_refuse_every_request_are_mistakes():
    from countersign_identity._web.guards import role_guard, scope_guard

    for guard, arguments in ((role_guard, ()), (scope_guard, ()), (scope_guard, ("orders read",))):
        with pytest.raises(ValueError, match="require_"):
            guard(*arguments)
