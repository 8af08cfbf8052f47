"""A report as a page to print, and as a PDF that fetches nothing."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

from django.contrib.staticfiles import finders
from django.http import Http404
from django.template.loader import render_to_string
from django.utils.translation import get_language, get_language_bidi
from django.utils.translation import gettext as _

from lucidray_clinic.errors import SiteError
from lucidray_clinic.reports import content, keyimages, services
from lucidray_clinic.reports.models import Report

STYLE = "lucidray/report.css"


def page_of(user: Any, key: UUID, action: str) -> dict[str, Any]:
    """Return what the page to print shows.

    Args:
        user: The person.
        key: The case's id.
        action: What the audit calls it.

    Raises:
        Http404: There is no report.
    """
    case, report = services.open_report(user, key, action)
    if report is None:
        raise Http404
    addenda = services.addenda_of(report)
    return {
        "case": case,
        "report": report,
        "told": content.shown(report),
        "intact": not report.is_signed or content.is_intact(report),
        "addenda": [
            {"report": one, "told": one.content, "intact": content.is_intact(one)}
            for one in addenda
        ],
        "language": get_language(),
        "direction": "rtl" if get_language_bidi() else "ltr",
    }


def picture_of(user: Any, key: UUID, number: int) -> bytes:
    """Return a key image of a report as JPEG.

    Args:
        user: The person.
        key: The case's id.
        number: Its place among the report's pictures, from 0.

    Raises:
        Http404: There is no such picture.
    """
    case, report = services.open_report(user, key, "view picture")
    if report is None or number >= len(report.key_images):
        raise Http404
    return keyimages.draw(case, report.key_images[number])


def pdf_of(user: Any, key: UUID) -> bytes:
    """Return a report as PDF.

    Args:
        user: The person.
        key: The case's id.

    Raises:
        SiteError: What makes PDFs is not installed here.
        Http404: There is no report.
    """
    weasyprint = _weasyprint()
    page = page_of(user, key, "export")
    page["pictures"] = [_inline(page["report"], place) for place in page["report"].key_images]
    page["is_pdf"] = True
    html = render_to_string("reports/print.html", page)

    class Nothing(weasyprint.URLFetcher):  # type: ignore[name-defined]
        """Fetches what stands in the page itself, and nothing else."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            """Answer for ``data:`` addresses only."""
            if not url.startswith("data:"):
                raise ValueError("a report fetches nothing")
            return super().fetch(url, headers)

    fetcher = Nothing(allowed_protocols=["data"])
    style = weasyprint.CSS(filename=finders.find(STYLE), url_fetcher=fetcher)
    document = weasyprint.HTML(string=html, url_fetcher=fetcher)
    return bytes(document.write_pdf(stylesheets=[style], pdf_variant="pdf/ua-1"))


def _inline(report: Report, key: str) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(keyimages.draw(report.case, key)).decode()


def _weasyprint() -> Any:
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise SiteError(
            _(
                "PDFs cannot be made on this server: install lucidray[pdf] and the system's Pango "
                "library (Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0). The page to "
                "print works without them."
            ),
            "no_pdf",
        ) from error
    return weasyprint
