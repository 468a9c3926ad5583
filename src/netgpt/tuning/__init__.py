"""Learning on the box: examples, LoRA training, export, the registry of adapters, the gate.

Torch is imported by `lora.py`, `layers.py` and their siblings named in docs/design.md only; everything that the
serving box needs (`card.py`, `adapters.py`, `evaluate.py`, `gate.py`) works without it.
"""
