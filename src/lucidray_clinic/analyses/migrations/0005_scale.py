"""Indexes by which long lists are read in order."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("analyses", "0004_team_of_rows_needed"),
        ("cases", "0003_scale"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="called",
            name="call_by_time",
        ),
        migrations.RemoveIndex(
            model_name="called",
            name="call_of_finding",
        ),
        migrations.AddIndex(
            model_name="called",
            index=models.Index(
                fields=["team", "positive", "made_at", "finding", "case"], name="calls_by_time"
            ),
        ),
        migrations.AddIndex(
            model_name="called",
            index=models.Index(
                fields=["finding", "positive", "team", "made_at", "case"], name="calls_of_finding"
            ),
        ),
    ]
