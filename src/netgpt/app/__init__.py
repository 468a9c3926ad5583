"""Single parts of the box, made from the settings and not started yet. Put together by `build.py`."""
