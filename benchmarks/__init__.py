"""How fast the chat is, beside other servers: ``python -m benchmarks``.

``scenarios`` and ``servers`` are tables: a new one is one entry.  ``load.c`` plays the people and
checks what they hear, ``measure`` brings the two together, ``report`` and ``picture`` show what
came out.

Whether it stays well for hours: ``python -m benchmarks.soak``.  ``life`` has the people who stay,
``crowd`` those who come and go, each a ``person`` at one of the ``doors``; ``ledger`` checks what
they hear, ``soaked`` is the chat, ``vitals`` tells how it is, and ``timeline`` shows that.
"""
