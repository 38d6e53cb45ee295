"""Fuzzing: what must hold of any bytes at all.

``targets`` is a table of functions that take bytes, and fail if something does not hold; ``corpus``
has what is worth trying of each.  ``test_fuzz.py`` tries all of it, with a few changes; ``run``
looks for more.
"""
