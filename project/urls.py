"""URLs of the control plane. The data plane's are in api.urls."""

from django.contrib import admin
from django.urls import include, path

from project.landing import landing

urlpatterns = [
    path("", landing, name="landing"),
    path("admin/", admin.site.urls),
    path("manage/", include("api.manage.urls")),
    path("", include("api.urls")),
]
