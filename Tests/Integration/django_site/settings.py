"""Settings; what differs between tests comes from the environment."""

import json
import os

SECRET_KEY = "a-secret-of-the-tests-and-of-nobody-else"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_site.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DATABASE", ":memory:")}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_ENGINE = os.environ.get("SITE_SESSIONS", "django.contrib.sessions.backends.db")
SESSION_COOKIE_NAME = os.environ.get("SITE_COOKIE", "sessionid")
# The default takes a second of processor time for each login.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "/accounts/login/"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "OPTIONS": {
        "context_processors": ["django.template.context_processors.request"],
        "loaders": [("django.template.loaders.locmem.Loader", {
            "registration/login.html":
                '<form method="post">{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>',
        })],
    },
}]
USE_TZ = True
if "SITE_LAYERS" in os.environ:
    INSTALLED_APPS.append("channels")
    ASGI_APPLICATION = "django_site.asgi.application"
    CHANNEL_LAYERS = json.loads(os.environ["SITE_LAYERS"])
