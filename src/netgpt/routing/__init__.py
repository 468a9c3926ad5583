"""Where a request goes, and why: what the text looks like, what may leave, who is well."""
