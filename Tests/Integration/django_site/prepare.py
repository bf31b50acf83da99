"""Makes the database, with alice (team red) and bob (team blue), whose passwords are their names."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)
for name, team in (("alice", "red"), ("bob", "blue")):
    User.objects.create_user(name, password=name).groups.add(Group.objects.create(name=team))
