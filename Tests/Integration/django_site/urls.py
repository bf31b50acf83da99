from django.contrib.auth import views as auth
from django.urls import path

from django_site import views

urlpatterns = [
    path("", views.home),
    path("accounts/login/", auth.LoginView.as_view()),
    path("accounts/logout/", auth.LogoutView.as_view(next_page="/")),
    path("accounts/login", views.catmaid_login),
    path("accounts/whoami", views.whoami),
    path("ticket", views.ticket),
    path("echo", views.echo),
    path("stream", views.stream),
    path("notify", views.notify),
]
