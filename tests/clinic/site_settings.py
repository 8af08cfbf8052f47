"""Settings of the tests: a database in memory, cheap passwords, files in a temporary folder.

``LUCIDRAY_TEST_DATABASE=postgresql://…`` runs the same tests on PostgreSQL.
"""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("LUCIDRAY_HOME", tempfile.mkdtemp(prefix="lucidray-clinic-"))

from lucidray_clinic.environment import postgresql
from lucidray_clinic.settings import *  # noqa: F403

SECRET_KEY = AUDIT_KEY = "only for tests, and long enough to sign with"
_SERVER = os.environ.get("LUCIDRAY_TEST_DATABASE", "")
DATABASES = {
    "default": postgresql(_SERVER)
    if _SERVER
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
WHITENOISE_USE_FINDERS = False
WHITENOISE_AUTOREFRESH = True
DECODE_SECONDS = 30
