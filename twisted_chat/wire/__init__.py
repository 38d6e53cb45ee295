"""Bytes: what comes off a wire, what goes onto it, and when."""
