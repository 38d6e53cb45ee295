"""How fast the chat is, beside other servers: ``python -m benchmarks``.

``scenarios`` and ``servers`` are tables: a new one is one entry.  ``load.c`` plays the people and
checks what they hear, ``measure`` brings the two together, ``report`` and ``picture`` show what
came out.
"""
