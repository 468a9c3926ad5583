"""What adapters learn from: recipes, the cloud, own exchanges; each example with its provenance."""
