"""P_con to P_com (arXiv 2307.06148): a terse request completed with the facts that it needs, and with no others."""
