"""Models are servers: clients, the supervised engine, the catalogue of weights, the shipped fakes."""
