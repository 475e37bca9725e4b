from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('api', '0003_stored_responses'),
    ]

    operations = [
        migrations.AddField(
            model_name='storedresponse',
            name='waiting',
            field=models.BooleanField(default=False),
        ),
    ]
