import os

from countersign_identity import GatewayKeys, Identity, MemoryReplay, Verifier, asgi, wsgi
from countersign_identity.django import identity_of, require_identity
from countersign_identity.testing import identity_json
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import re_path

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="this service signs nothing")
keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
verifier = Verifier(audience="my-service", keys=keys, replay=MemoryReplay())
application = wsgi.IdentityMiddleware(get_wsgi_application(), verifier)
asgi_application = asgi.IdentityMiddleware(get_asgi_application(), verifier)


@require_identity(Identity)
def echo(request):
    return JsonResponse(identity_json(identity_of(request)))


urlpatterns = [re_path("", echo)]
