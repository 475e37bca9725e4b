"""URLs of the management API."""

from django.urls import path

from api.manage import views

urlpatterns = [
    path("", views.Index.as_view(), name="manage"),
    path("models/", views.Models.as_view(), name="manage-models"),
    path("models/<path:name>/", views.OneModel.as_view(), name="manage-model"),
    path("accounts/", views.Accounts.as_view(), name="manage-accounts"),
    path("accounts/<str:name>/", views.OneAccount.as_view(), name="manage-account"),
    path("projects/", views.Projects.as_view(), name="manage-projects"),
    path("projects/<str:name>/", views.OneProject.as_view(), name="manage-project"),
    path("revisions/", views.Revisions.as_view(), name="manage-revisions"),
    path("revisions/<int:number>/", views.OneRevisionOfMany.as_view(), name="manage-revision"),
    path("usage/", views.Usage.as_view(), name="manage-usage"),
    path("processes/", views.Processes.as_view(), name="manage-processes"),
    path("workers/", views.Workers.as_view(), name="manage-workers"),
    path("health/", views.Places.as_view(), name="manage-health"),
    path("explain/", views.Explain.as_view(), name="manage-explain"),
]
