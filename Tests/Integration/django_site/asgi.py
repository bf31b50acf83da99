"""For runworker: which consumer reads which channel. Browsers never come here."""

import django

django.setup()

from channels.routing import ChannelNameRouter, ProtocolTypeRouter  # noqa: E402

from django_site.consumers import Talk  # noqa: E402

application = ProtocolTypeRouter({"channel": ChannelNameRouter({"talk": Talk.as_asgi()})})
