"""Adapters: their files, cards and versions, which of them answer, and which are loaded. Works without torch."""
