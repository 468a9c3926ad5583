"""How far an answer of a model on the box may be believed: what can be checked is checked, the rest is weighed."""
