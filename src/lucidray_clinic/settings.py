"""Django's settings: what follows from the environment, and what is the same everywhere."""

from __future__ import annotations

from pathlib import Path

from django.utils.translation import gettext_lazy as _

from lucidray_clinic.environment import read_environment
from lucidray_clinic.pacs.environment import read_node_environment

ENVIRONMENT = read_environment()
NODE = read_node_environment()
HERE = Path(__file__).resolve().parent

DEBUG = ENVIRONMENT.debug
SECRET_KEY = ENVIRONMENT.key("secret")
AUDIT_KEY = ENVIRONMENT.key("audit")
ALLOWED_HOSTS = list(ENVIRONMENT.hosts)
CSRF_TRUSTED_ORIGINS = list(ENVIRONMENT.origins)
DATABASES = {"default": ENVIRONMENT.database()}
DEMO = ENVIRONMENT.demo

# --- apps -------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "lucidray_clinic.core",
    "lucidray_clinic.accounts",
    "lucidray_clinic.patients",
    "lucidray_clinic.cases",
    "lucidray_clinic.administration",
    "lucidray_clinic.analyses",
    "lucidray_clinic.annotations",
    "lucidray_clinic.reports",
    "lucidray_clinic.curation",
    "lucidray_clinic.studies",
    "lucidray_clinic.care",
    "lucidray_clinic.pacs",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "csp",
    "django_htmx",
]
ROOT_URLCONF = "lucidray_clinic.urls"
WSGI_APPLICATION = "lucidray_clinic.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "lucidray_clinic.core.observing.observed",
    "django.middleware.security.SecurityMiddleware",
    "lucidray_clinic.core.freshness.FreshFiles",
    "csp.middleware.CSPMiddleware",
    "lucidray_clinic.core.middleware.never_stored",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "lucidray_clinic.accounts.middleware.session_rules",
    "lucidray_clinic.accounts.middleware.own_language",
    "lucidray_clinic.accounts.middleware.LoginRequired",
    "lucidray_clinic.accounts.middleware.second_factor_where_required",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "lucidray_clinic.core.middleware.request_origin",
    "lucidray_clinic.core.middleware.told_mistakes",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "lucidray_clinic.core.context.page",
            ],
            "builtins": ["lucidray_clinic.core.templatetags.room"],
        },
    }
]

# --- accounts ---------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "lucidray_clinic.accounts.passwords.NoWordsOfTheHouse"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"

ACCOUNT_ADAPTER = "lucidray_clinic.accounts.adapter.Adapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_SIGNUP_FORM_CLASS = "lucidray_clinic.accounts.forms.SignUpExtras"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = {"login_failed": False}  # django-axes counts: by user and address together
ACCOUNT_PREVENT_ENUMERATION = True
SIGN_UP_IS_OPEN = ENVIRONMENT.sign_up
MFA_ADAPTER = "allauth.mfa.adapter.DefaultMFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "LucidRay"
MFA_PASSKEY_LOGIN_ENABLED = False
#: Roles whose members must have a second factor before they see anything.
SECOND_FACTOR_ROLES: tuple[str, ...] = ENVIRONMENT.second_factor

AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "lucidray_clinic.core.addresses.client_address"
AXES_USERNAME_CALLABLE = "lucidray_clinic.accounts.adapter.username_tried"
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_DISABLE_ACCESS_LOG = True  # our audit holds sign-ins and failures
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "login", "ip_address"]

#: Shared by all processes: a code of an authenticator app counts once, limits are limits of all.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": ENVIRONMENT.folder("cache"),
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

# --- sessions ---------------------------------------------------------------------------------
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_IDLE_SECONDS = 15 * 60
SESSION_LIFE_SECONDS = 12 * 3600
SESSION_COOKIE_AGE = SESSION_LIFE_SECONDS
_HOST_ONLY = "__Host-" if ENVIRONMENT.https else ""  # browsers then pin them to host and TLS
SESSION_COOKIE_NAME = f"{_HOST_ONLY}lucidray_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.https
CSRF_COOKIE_NAME = f"{_HOST_ONLY}lucidray_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "lucidray_clinic.core.views.csrf_failed"

# --- the browser ------------------------------------------------------------------------------
PROXIES = ENVIRONMENT.proxies
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None
SECURE_SSL_REDIRECT = ENVIRONMENT.https
SECURE_REDIRECT_EXEMPT = [r"^health(/\w+)?$", r"^metrics$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 365 * 86400 if ENVIRONMENT.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = ENVIRONMENT.https
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "manifest-src": ["'self'"],
        "script-src": ["'self'", "'wasm-unsafe-eval'"],
        "style-src": ["'self'"],
        "worker-src": ["'self'"],
    }
}

# --- files ------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = ENVIRONMENT.folder("static")
STATICFILES_DIRS = [HERE / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_ALLOW_ALL_ORIGINS = False
MEDIA_ROOT = ENVIRONMENT.folder("films")
MODELS_ROOT = ENVIRONMENT.folder("models")
EXPORTS_ROOT = ENVIRONMENT.folder("exports")
SPOOL_ROOT = ENVIRONMENT.folder("spool")
FILE_UPLOAD_TEMP_DIR = ENVIRONMENT.folder("quarantine")
#: What a backup holds beside the database; first what moves on to the next as it is filed.
KEPT_FOLDERS = [SPOOL_ROOT, MEDIA_ROOT, MODELS_ROOT, EXPORTS_ROOT]
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
DATA_UPLOAD_MAX_NUMBER_FILES = 500
MAX_FILE_BYTES = 512 * 2**20
MAX_PIXELS = 80_000_000
QUOTA_BYTES = 50 * 2**30
DECODE_SECONDS = 60
DECODE_MEMORY_BYTES = 3 * 2**30
#: Asked about every file before it is decoded; its last word is the file.
SCANNER = ENVIRONMENT.scanner
SCANNER_SECONDS = 60
#: Processor threads of one reading on the server; None: all.
INFERENCE_THREADS: int | None = None
#: Cases of one data set.
EXPORT_MAX_CASES = 5000

# --- language and time ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ar", _("Arabic"))]
LOCALE_PATHS = [HERE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- what a machine asks ----------------------------------------------------------------------
METRICS_TOKEN = ENVIRONMENT.metrics_token
#: Minutes that a film may wait for the server before its queue counts as late.
QUEUE_LATE_MINUTES = 15

# --- logs: never a name, an identifier or a query string --------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "lucidray_clinic.core.logs.JsonLines"},
    },
    "filters": {"no_names": {"()": "lucidray_clinic.core.logs.NoNames"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if ENVIRONMENT.json_logs else "line",
            "filters": ["no_names"],
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "lucidray_clinic": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "lucidray_clinic.requests": {"level": "INFO" if ENVIRONMENT.json_logs else "ERROR"},
    },
}
