"""Django: `gunicorn django_app:application`, and `uvicorn django_app:asgi_application`."""

import os
from typing import Any

import django
import service
from countersign_identity import asgi, wsgi
from countersign_identity.django import identity_of, require_identity
from countersign_identity.redis import AsyncRedisReplay, RedisReplay
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import re_path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="test service", LOGGING_CONFIG=None)
django.setup()


def metrics(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"handled": service.handled, "headers": dict(request.headers)})


@require_identity(*service.EVERY_KIND)
def echo(request: HttpRequest) -> JsonResponse:
    return JsonResponse(service.echo(identity_of(request), request.method, request.get_full_path(), request.body))


urlpatterns = [re_path("^metrics$", metrics), re_path("", echo)]
url: Any = os.environ.get("REDIS_URL")
if os.environ.get("SERVER") == "asgi":
    replay = AsyncRedisReplay.from_url(url, timeout_sec=2) if url else None
    asgi_application = asgi.IdentityMiddleware(
        get_asgi_application(), service.verifier(replay), stream=service.is_stream
    )
else:
    memory = RedisReplay.from_url(url, timeout_sec=2) if url else None
    application = wsgi.IdentityMiddleware(get_wsgi_application(), service.verifier(memory), stream=service.is_stream)
