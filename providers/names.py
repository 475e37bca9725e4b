"""What a name may be made of. Names come from operators and from upstream model lists, and the latter are hostile.

Pure: patterns and the Django validators made of them. Everything that is shown in the admin, sent in a header or
written in a log has passed one of these, so no control character, quote, angle bracket or bidi mark gets that far.
"""

import re
from typing import Final

from django.core.validators import RegexValidator

#: Ids as providers use them: `/`, `:`, `@`, `.`, `+` occur in real ones (P-15) and survive unaltered.
MODEL_NAME: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:@/+\-]{0,190}\Z")
PROVIDER_SLUG: Final = re.compile(r"\A[a-z0-9][a-z0-9.\-]{0,62}\Z")
#: Accounts are named by people: "Azure (Myceli)", "io.net".
ACCOUNT_NAME: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9 ._()\-]{0,62}\Z")
PROJECT_NAME: Final = re.compile(r"\A[a-z0-9][a-z0-9._\-]{0,62}\Z")
VARIABLE_NAME: Final = re.compile(r"\A[a-z][a-z0-9_]{0,62}\Z")
ENV_NAME: Final = re.compile(r"\A[A-Za-z0-9_]{1,100}\Z")

valid_model_name = RegexValidator(
    MODEL_NAME, "A model name starts with a letter or digit and holds letters, digits and . _ : @ / + - (191 at most)."
)
valid_provider_slug = RegexValidator(
    PROVIDER_SLUG, "A provider id starts with a lower-case letter or digit and holds those, dots and hyphens."
)
valid_account_name = RegexValidator(
    ACCOUNT_NAME, "An account name holds letters, digits, spaces and . _ ( ) - and starts with a letter or digit."
)
valid_project_name = RegexValidator(
    PROJECT_NAME, "A project name holds lower-case letters, digits and . _ - and starts with a letter or digit."
)
