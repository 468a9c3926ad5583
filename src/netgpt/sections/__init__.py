"""The sections of the settings: every name, its default, its bounds, and what it means. Read by `settings.py`."""
