"""Addresses of the core app."""

from __future__ import annotations

from django.urls import path

from lucidray_clinic.core import views

urlpatterns = [
    path("", views.home, name="home"),
    path("health", views.live, name="health"),
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
    path("metrics", views.metrics, name="metrics"),
]
