from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.common.CommonMiddleware"]
)


def answer(handler):
    return lambda request, **_: HttpResponse("", headers={"x-handler": handler})


urlpatterns = [
    path("reports/<str:id>", answer("report")),
    path("reports", answer("reports")),
    path("healthz", answer("health")),
    re_path(".*", answer("all")),
]
application = get_wsgi_application()
