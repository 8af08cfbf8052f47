"""Addresses of the pacs app."""

from __future__ import annotations

from django.urls import path

from lucidray_clinic.pacs import views

urlpatterns = [
    path("pacs/", views.overview, name="pacs"),
    path("pacs/state/", views.state, name="pacs_state"),
    path("pacs/incoming/", views.incoming, name="pacs_incoming"),
    path("pacs/incoming/<uuid:arrival>/again/", views.look_again, name="pacs_look_again"),
    path("pacs/incoming/<uuid:arrival>/seen/", views.arrival_seen, name="pacs_arrival_seen"),
    path("pacs/outgoing/", views.outgoing, name="pacs_outgoing"),
    path("pacs/outgoing/<uuid:delivery>/again/", views.send_again, name="pacs_send_again"),
    path("pacs/outgoing/<uuid:delivery>/seen/", views.delivery_seen, name="pacs_delivery_seen"),
    path("pacs/import/", views.search, name="pacs_import"),
    path("pacs/import/start/", views.start_import, name="pacs_start_import"),
    path("pacs/peers/", views.peers, name="pacs_peers"),
    path("pacs/peers/new/", views.new_peer, name="pacs_new_peer"),
    path("pacs/peers/<uuid:peer>/", views.edit_peer, name="pacs_peer"),
    path("pacs/peers/<uuid:peer>/test/", views.test_peer, name="pacs_test_peer"),
    path("pacs/rules/", views.rules, name="pacs_rules"),
    path("pacs/rules/new/", views.new_rule, name="pacs_new_rule"),
    path("pacs/rules/<uuid:rule>/", views.edit_rule, name="pacs_rule"),
    path("pacs/rules/<uuid:rule>/delete/", views.delete_rule, name="pacs_delete_rule"),
    path("cases/<uuid:case>/report/send/", views.send_report, name="pacs_send_report"),
    path("cases/<uuid:case>/send/", views.send_reading, name="pacs_send_reading"),
]
