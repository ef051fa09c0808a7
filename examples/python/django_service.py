import os

from countersign_identity import GatewayKeys, MemoryReplay, Verifier
from countersign_identity.django import identity_of, require_identity
from countersign_identity.wsgi import IdentityMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"], SECRET_KEY="this example signs nothing")
keys = GatewayKeys(os.environ.get("GATEWAY_KEYS_URL", "http://127.0.0.1:8090/.well-known/jwks.json"))
verifier = Verifier(audience="my-service", keys=keys, replay=MemoryReplay(), agreement="memory")
application = IdentityMiddleware(get_wsgi_application(), verifier)


@require_identity()
def hello(request):
    return JsonResponse({"hello": identity_of(request).user_id})


urlpatterns = [path("hello", hello)]
