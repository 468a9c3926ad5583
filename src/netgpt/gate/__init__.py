"""The gate: what an adapter must show before anybody is answered with it. Works without torch."""
