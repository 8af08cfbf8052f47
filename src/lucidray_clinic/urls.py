"""All addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from lucidray_clinic.accounts.views import one_door
from lucidray_clinic.api import api

handler500 = "lucidray_clinic.core.views.failed"

urlpatterns = [
    path("", include("lucidray_clinic.core.urls")),
    path("", include("lucidray_clinic.accounts.urls")),
    path("patients/", include("lucidray_clinic.patients.urls")),
    path("", include("lucidray_clinic.cases.urls")),
    path("", include("lucidray_clinic.analyses.urls")),
    path("", include("lucidray_clinic.reports.urls")),
    path("", include("lucidray_clinic.curation.urls")),
    path("", include("lucidray_clinic.studies.urls")),
    path("", include("lucidray_clinic.care.urls")),
    path("", include("lucidray_clinic.pacs.urls")),
    path("", include("lucidray_clinic.administration.urls")),
    path("api/v1/", api.urls),
    path("django-admin/login/", one_door, name="admin_login"),
    path("django-admin/", admin.site.urls),
]
