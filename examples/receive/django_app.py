"""Webhooks in Django:  gunicorn django_app:wsgi (or uvicorn django_app:asgi), and orders.py"""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
settings.configure(
    ROOT_URLCONF="django_urls",
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
)
asgi, wsgi = get_asgi_application(), get_wsgi_application()
