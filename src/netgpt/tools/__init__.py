"""Servers of tools that stand behind the box (Model Context Protocol): connecting to them, and what they offer.

Nothing here knows what is private: `app/tools.py` stands between these servers and whoever calls them.
"""
