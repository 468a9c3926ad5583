"""Training adapters on the box. Torch is imported below here only, and never at `import netgpt`."""
