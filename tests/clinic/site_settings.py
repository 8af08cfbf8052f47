"""Settings of the tests: a database in memory, cheap passwords, files in a temporary folder.

``LUCIDRAY_TEST_DATABASE=postgresql://…`` runs the same tests on PostgreSQL.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "LUCIDRAY_TEST_HOME" not in os.environ:
    os.environ["LUCIDRAY_TEST_HOME"] = tempfile.mkdtemp(prefix="lucidray-clinic-")
    atexit.register(shutil.rmtree, os.environ["LUCIDRAY_TEST_HOME"], ignore_errors=True)
# A home for each worker: they inherit the environment of the process that started them.
os.environ["LUCIDRAY_HOME"] = os.path.join(
    os.environ["LUCIDRAY_TEST_HOME"], os.environ.get("PYTEST_XDIST_WORKER", "alone")
)

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
