"""Why a model gives no result, as the library words it, marked for the languages' catalogs."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

#: What `lucidray.bundle.gate` says of a film that is not judged; rows keep it in English.
MESSAGES = (
    _(
        "No reliable result: this does not look like the chest films that the model has learned "
        "from."
    ),
    _("No reliable result: the picture fails a quality check (too small)."),
    _("No reliable result: the picture fails a quality check (a strip)."),
    _("No reliable result: the picture fails a quality check (blank or nearly so)."),
    _("No reliable result: the picture fails a quality check (almost one tone)."),
    _("No reliable result: the picture fails a quality check (inverted: bone dark)."),
    _("No reliable result: the picture fails a quality check (mostly black)."),
    _("No reliable result: the picture fails a quality check (blurred, or noise only)."),
)
