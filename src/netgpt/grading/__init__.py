"""Training the model of difficulty: which requests a small model answers as well as a large one."""
