"""Every setting, and every environment variable named once.

With nothing set, Jackfield runs on one machine from its home directory: SQLite, a generated ring and secret key, the
file-system broker. With DATABASE_URL, REDIS_URL and CELERY_BROKER_URL set, the same code runs on those. With
JACKFIELD_PRODUCTION set, nothing is generated: what must be secret must be given, or `project.checks` refuses to start.
"""

from __future__ import annotations

from pathlib import Path

import environ
from django.templatetags.static import static

from project.home import Home

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

HOME = Home(Path(env.str("JACKFIELD_HOME", str(BASE_DIR / "var"))))
PRODUCTION = env.bool("JACKFIELD_PRODUCTION", False)
HOST = env.str("HOST", "127.0.0.1")
PORT = env.int("PORT", 8000)
WORKERS = env.int("JACKFIELD_WORKERS", 1)
#: What this process serves: `data` (/v1), `control` (admin, /manage/) or `all`.
PLANE = env.str("JACKFIELD_PLANE", "all")
#: The sandbox upstream listens here on loopback; 0 leaves it out.
SANDBOX_PORT = env.int("JACKFIELD_SANDBOX_PORT", 8009)

SECRET_KEY = env.str("SECRET_KEY", "") or ("" if PRODUCTION else HOME.secret_key())
#: Where the ring of master keys lies. Production may point it at a mounted secret or an inherited descriptor.
RING_FILE = Path(env.str("JACKFIELD_RING_FILE", str(HOME.ring)))
DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", HOST])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "project",
    "providers",
    "keys",
    "routing",
    "api",
]

#: The control plane's. The data plane (/v1) runs none of it: see api.handler.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "project.signing_in.SigningIn",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "project.middleware.ContentSecurityPolicy",
    "project.middleware.Author",
]

ROOT_URLCONF = "project.urls"
#: URLs of the data plane, which the hop-free handler resolves.
DATA_URLCONF = "api.urls"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{HOME.database}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A server that vanished without a word is noticed in seconds, not after the kernel's quarter of an hour.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 8000,
        **DATABASES["default"].get("OPTIONS", {}),
    }

REDIS_URL = env.str("REDIS_URL", "")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", PRODUCTION)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31536000 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", False) else None
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "project.formats"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = HOME.static
WHITENOISE_USE_FINDERS = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

#: The admin's theme: its parts are in project.dashboard.
UNFOLD = {
    "SITE_TITLE": "Jackfield",
    "SITE_HEADER": "Jackfield",
    "SITE_SUBHEADER": "The patch panel",
    "SITE_SYMBOL": "settings_input_component",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("project/icon.svg")}],
    "SHOW_VIEW_ON_SITE": True,
    "DASHBOARD_CALLBACK": "project.dashboard.dashboard",
    "STYLES": [lambda request: static("project/panel.css")],
    "SIDEBAR": {"show_search": True, "navigation": "project.dashboard.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .02 190)",
            "100": "oklch(94% .04 190)",
            "200": "oklch(89% .07 190)",
            "300": "oklch(82% .1 190)",
            "400": "oklch(74% .12 190)",
            "500": "oklch(62% .11 190)",
            "600": "oklch(52% .095 190)",
            "700": "oklch(45% .08 190)",
            "800": "oklch(38% .065 190)",
            "900": "oklch(33% .05 190)",
            "950": "oklch(25% .04 190)",
        }
    },
}

# --- the data plane -------------------------------------------------------------------------------------------------
#: Bytes of one JSON request body.
MAX_BODY = env.int("JACKFIELD_MAX_BODY", 32 * 1024 * 1024)
#: Bytes of one request body of the admin and its kin, which is read before its sender is known.
CONTROL_MAX_BODY = env.int("JACKFIELD_CONTROL_MAX_BODY", 2_621_440)
#: Seconds until a request's headers and its body must have come.
HEADER_DEADLINE = env.float("JACKFIELD_HEADER_DEADLINE", 10.0)
BODY_DEADLINE = env.float("JACKFIELD_BODY_DEADLINE", 60.0)
#: Requests that one process has in hand at most; further ones are told to come again (R-REL-22).
MAX_IN_FLIGHT = env.int("JACKFIELD_MAX_IN_FLIGHT", 2000)
#: Seconds that the event loop of a process may be late, time after time, before it takes no further requests; 0: any.
MAX_LAG = env.float("JACKFIELD_MAX_LAG", 0.25)
#: Bytes of memory that one gateway process may use; 0: as much as its control group may.
MEMORY_LIMIT = env.int("JACKFIELD_MEMORY_LIMIT", 0)
#: Connections of clients that one process has at most.
MAX_CONNECTIONS = env.int("JACKFIELD_MAX_CONNECTIONS", 4096)
#: Bytes of all the files of one request that are given by their URL and fetched for an upstream that takes bytes only;
#: 0 fetches none.
FETCH_MAX = env.int("JACKFIELD_FETCH_MAX", 32 * 1024 * 1024)
#: Whether /metrics and /readyz tell names of models and accounts to callers without an admin token.
METRICS_OPEN = env.bool("JACKFIELD_METRICS_OPEN", False)
#: Seconds between two looks at the revision number.
POLL_INTERVAL = env.float("JACKFIELD_POLL_INTERVAL", 0.25)
#: Hours a process may serve a snapshot that it could not check against the database (R-REL-13c).
MAX_SNAPSHOT_AGE_HOURS = env.float("JACKFIELD_MAX_SNAPSHOT_AGE_HOURS", 24.0)
#: Each journal append is followed by fsync.
JOURNAL_FSYNC = env.bool("JACKFIELD_JOURNAL_FSYNC", False)
#: Whether accounts that nobody hears of are asked for their list of models, as each of them is set.
PROBES = env.bool("JACKFIELD_PROBES", True)
#: Seconds a rate-limited key cools when the upstream names no time.
KEY_COOLDOWN = env.float("JACKFIELD_KEY_COOLDOWN", 30.0)
KEY_SPENT = env.float("JACKFIELD_KEY_SPENT", 3600.0)
#: Jobs that one worker of a fleet may ask for at a time.
FLEET_MAX_JOBS = env.int("JACKFIELD_FLEET_MAX_JOBS", 64)
#: Days that responses are kept for GET /v1/responses/{id} and `previous_response_id`; 0 keeps none.
RESPONSES_DAYS = env.float("JACKFIELD_RESPONSES_DAYS", 30.0)
#: Days a token may live at most, which is then also its default; 0 sets no limit.
TOKEN_MAX_DAYS = env.float("JACKFIELD_TOKEN_MAX_DAYS", 0.0)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "WARNING")},
    # An access log writes query strings, and some clients put their token there (R-LOG-01, R-TOK-05).
    "loggers": {"uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False}},
}
