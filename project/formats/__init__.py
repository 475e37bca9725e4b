"""How the pages write dates: Django's own format of a language goes before the settings, and this before both."""
