import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('api', '0004_waiting_responses'),
    ]

    operations = [
        migrations.CreateModel(
            name='StoredItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(max_length=16)),
                ('project', models.BigIntegerField()),
                ('response', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='api.storedresponse')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('digest', 'project'), name='one_item_per_id')],
            },
        ),
    ]
