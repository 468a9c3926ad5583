"""NetGPT: the edge half of a cloud LLM."""

__version__ = "0.1.0"
__all__ = ["__version__"]
