"""Indexes by which long lists are read in order."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("cases", "0003_scale"),
        ("reports", "0004_team_of_rows_needed"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="reported",
            name="reported_by_time",
        ),
        migrations.AddIndex(
            model_name="reported",
            index=models.Index(
                fields=["team", "signed_at", "finding", "certainty", "case"],
                name="all_reported_by_time",
            ),
        ),
    ]
