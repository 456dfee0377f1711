"""The network itself, as PISE's authors define it."""
