"""The terminal: command line, screens, widgets. torch is never imported at module level here."""

__version__ = "0.1.0"
