"""The terminal: command line, screens, widgets. torch is never imported at module level here."""
