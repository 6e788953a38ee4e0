"""The pages of the site: the toolkit's own, the way in, and a protected resource."""

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


def enter(request):
    person = User.objects.get(username=f"person-{request.GET['person']}")
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("signed in")


@protected_resource(scopes=["read"])
def me(request):
    return JsonResponse({"id": request.resource_owner.pk, "displayName": request.resource_owner.username})


urlpatterns = [path("enter", enter), path("me", me), path("o/", include("oauth2_provider.urls"))]
