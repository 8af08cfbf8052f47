"""Addresses of the administration app."""

from __future__ import annotations

from django.urls import path

from lucidray_clinic.administration import views

_KIND = "<str:kind>/<uuid:row>"

urlpatterns = [
    path("emergency/", views.break_glass, name="break_glass"),
    path("admin-room/", views.people, name="people"),
    path("admin-room/people/new/", views.new_person, name="new_person"),
    path("admin-room/people/<uuid:person>/", views.person, name="person"),
    path("admin-room/people/<uuid:person>/roles/", views.set_roles, name="set_roles"),
    path("admin-room/people/<uuid:person>/open/", views.open_account, name="open_account"),
    path("admin-room/people/<uuid:person>/close/", views.close_account, name="close_account"),
    path("admin-room/people/<uuid:person>/end/", views.end_sessions, name="end_sessions"),
    path("admin-room/people/<uuid:person>/unlock/", views.unlock, name="unlock"),
    path("admin-room/people/<uuid:person>/link/", views.new_link, name="new_link"),
    path(
        "admin-room/people/<uuid:person>/factor/", views.forget_factor, name="forget_second_factor"
    ),
    path("admin-room/teams/", views.teams, name="teams"),
    path("admin-room/audit/", views.audit_log, name="audit"),
    path("admin-room/deleted/", views.deleted, name="deleted"),
    path(f"admin-room/deleted/{_KIND}/restore/", views.restore, name="restore"),
    path(f"admin-room/deleted/{_KIND}/purge/", views.request_purge, name="request_purge"),
    path("admin-room/purges/<uuid:purge>/approve/", views.approve_purge, name="approve_purge"),
    path("admin-room/purges/<uuid:purge>/withdraw/", views.withdraw_purge, name="withdraw_purge"),
    path("admin-room/emergencies/", views.emergencies, name="emergencies"),
    path(
        "admin-room/emergencies/<uuid:emergency_>/",
        views.review_emergency,
        name="review_emergency",
    ),
    path("admin-room/system/", views.system, name="system"),
]
