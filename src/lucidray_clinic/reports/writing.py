"""The sheet on which a report is written, and the page on which it is read."""

from __future__ import annotations

from typing import Any

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses.telling import readings_of
from lucidray_clinic.cases.models import Case
from lucidray_clinic.cases.parts import patient_label
from lucidray_clinic.cases.sections import sections_of
from lucidray_clinic.reports import content, keyimages, services
from lucidray_clinic.reports.forms import AddendumForm, FindingFormSet, ReportForm, SignForm
from lucidray_clinic.reports.models import Report
from lucidray_clinic.reports.wording import finding_choices


class Sheet:
    """The forms of one report, filled from what was sent, the draft, or what was accepted.

    Args:
        user: Who writes.
        case: The case.
        report: The draft; None: not begun.
        sent: What the page sent; None: it was only opened.
    """

    def __init__(self, user: Any, case: Case, report: Report | None, sent: Any) -> None:
        self._user, self._case, self._report = user, case, report
        begin = services.draft_for(user, case) if report is None else _values(report)
        images = [(one.key, one.title) for one in keyimages.choices_of(user, case)]
        initial = begin | {"version": report.version if report is not None else 0}
        readings = readings_of(user, case)
        self.form = ReportForm(sent, initial=initial, readings=readings, images=images)
        kwargs = {"findings": finding_choices()}
        self.rows = FindingFormSet(
            sent, initial=begin["findings"], prefix="finding", form_kwargs=kwargs
        )
        if sent is not None and "more" in sent:
            self.rows = self._longer(sent, kwargs)

    @property
    def version(self) -> int:
        """The version that the writer saw."""
        return int(self.form.cleaned_data["version"])

    def is_valid(self) -> bool:
        """Whether everything can be understood."""
        return self.form.is_valid() and self.rows.is_valid()

    def values(self) -> dict[str, Any]:
        """What was written, as `services.save_draft` takes it."""
        values = self.form.cleaned_data
        kept = ("finding", "certainty", "note")
        rows = [row for row in self.rows.cleaned_data if row.get("finding")]
        return {
            "findings": [{name: row[name] for name in kept} for row in rows],
            "comparison": values["comparison"].strip(),
            "impression": values["impression"].strip(),
            "reading": values["reading"],
            "key_images": values["key_images"],
        }

    def told(self, message: str) -> None:
        """Say what is wrong above the form.

        Args:
            message: What.
        """
        self.form.add_error(None, message)

    def page(self) -> dict[str, Any]:
        """Return what the page shows."""
        current = services.report_of(self._case)
        return {
            "case": self._case,
            "patient_label": patient_label(self._user, self._case),
            "form": self.form,
            "rows": self.rows,
            "current": None if current is None else content.shown(current),
            "current_version": 0 if current is None else current.version,
            "films": list(self._case.instances.filter(deleted_at=None)),
        }

    def _longer(self, sent: Any, kwargs: dict[str, Any]) -> Any:
        """Return the rows as they were sent, with two empty ones more."""
        data = sent.copy()
        data["finding-TOTAL_FORMS"] = str(min(int(data.get("finding-TOTAL_FORMS") or 0) + 2, 60))
        return FindingFormSet(data, prefix="finding", form_kwargs=kwargs)


def page_of(user: Any, case: Case, report: Report) -> dict[str, Any]:
    """Return what the page of a report shows.

    Args:
        user: The person.
        case: The case.
        report: The report.
    """
    return {
        "case": case,
        "patient_label": patient_label(user, case),
        "report": report,
        "told": content.shown(report),
        "intact": not report.is_signed or content.is_intact(report),
        "addenda": services.addenda_of(report),
        "may_sign": user.may(Permission.SIGN, case),
        "may_write": user.may(Permission.READ, case),
        "has_password": user.has_usable_password(),
        "sign_form": SignForm(initial={"version": report.version}),
        "addendum_form": AddendumForm(),
        "sections": sections_of(user, case, "report"),
    }


def _values(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in services.FIELDS}
