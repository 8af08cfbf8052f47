"""Indexes for long lists, and a count of cases that PostgreSQL keeps."""

from django.db import migrations, models

from lucidray_clinic.core.tallies import Tally


class Migration(migrations.Migration):
    dependencies = [("cases", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["team", "status", "-created_at"], name="case_by_status"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["team", "urgency", "-created_at"], name="case_by_urgency"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                condition=models.Q(
                    ("deleted_at", None), models.Q(("status", "reported"), _negated=True)
                ),
                fields=["team", "urgency", "created_at"],
                name="case_waiting",
            ),
        ),
        Tally("cases_case", ("status", "urgency"), "deleted_at IS NULL").keep(),
    ]
