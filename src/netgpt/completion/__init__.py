"""P_con to P_com (arXiv 2307.06148): a terse request is completed with the facts that it needs, and no others."""
