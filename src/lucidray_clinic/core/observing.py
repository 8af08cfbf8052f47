"""One count and one line of the log for each request: its route, never its address."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from lucidray_clinic.core import metrics
from lucidray_clinic.core.addresses import route_of
from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.core.origin import naming_request

log = logging.getLogger("lucidray_clinic.requests")

Handler = Callable[[HttpRequest], HttpResponse]


def observed(respond: Handler) -> Handler:
    """Count and log every request; its response and its log lines carry its number."""

    def middleware(request: HttpRequest) -> HttpResponse:
        number, start = new_id().hex, time.perf_counter()
        with naming_request(number):
            response = respond(request)
            seconds = time.perf_counter() - start
            route = route_of(request)
            metrics.note_request(request.method or "", route, response.status_code, seconds)
            facts = {
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "milliseconds": round(1000 * seconds, 1),
            }
            log.info("request", extra={"facts": facts})
        response.headers["X-Request-ID"] = number
        return response

    return middleware
