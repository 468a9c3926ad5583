"""Training adapters on the box. Torch is imported below here only, and never at `import netgpt`."""

from typing import Final

PURPOSE: Final = "training"
"""What a person consents to before anything is learnt from their words."""
