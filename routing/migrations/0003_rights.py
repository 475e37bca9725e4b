from django.db import migrations

from keys.rights import rights_mac


def seal_rights(apps, schema_editor):
    """Projects that are there already have the rights that they have."""
    allow = dict(apps.get_model("routing", "Preference")._base_manager.values_list("project_id", "allow"))
    projects = apps.get_model("keys", "Project")._base_manager
    for pk, enabled in projects.values_list("pk", "enabled"):
        projects.filter(pk=pk).update(rights_mac=rights_mac(pk, enabled, allow.get(pk)))


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0002_rights_mac"),
        ("routing", "0002_allow_help"),
    ]

    operations = [migrations.RunPython(seal_rights, migrations.RunPython.noop)]
