"""The stages: one file each, thin adapters between the exchange and one capability."""
