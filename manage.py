#!/usr/bin/env python
"""Jackfield's command line: every administrative verb is a Django management command."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - the settings module comes first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
