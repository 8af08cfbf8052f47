"""Addresses of the care of models."""

from __future__ import annotations

from django.urls import path

from lucidray_clinic.care import views

_SHADOW = "admin-room/care/shadows/<uuid:shadow>"

urlpatterns = [
    path("admin-room/care/", views.care, name="care"),
    path("admin-room/care/reference/", views.drift_reference, name="drift_reference"),
    path("admin-room/care/alerts/<uuid:alert>/seen/", views.drift_seen, name="drift_seen"),
    path("admin-room/care/shadows/start/", views.start_shadow, name="start_shadow"),
    path("admin-room/care/shadows/install/", views.install_shadow, name="install_shadow"),
    path(f"{_SHADOW}/", views.shadow, name="shadow"),
    path(f"{_SHADOW}/stop/", views.stop_shadow, name="stop_shadow"),
    path(f"{_SHADOW}/promote/", views.promote_shadow, name="promote_shadow"),
    path(f"{_SHADOW}/roll-back/", views.roll_back_shadow, name="roll_back_shadow"),
]
