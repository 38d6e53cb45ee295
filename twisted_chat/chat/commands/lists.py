"""Lists of names, cut to what a screen holds."""

import heapq
from collections.abc import Sequence

from twisted_chat.chat.events import Listing
from twisted_chat.chat.limits import LISTED


def listing(title: str, names: Sequence[str], hint: str = "") -> Listing:
    """Sort names as people do, and show no more than a screen holds.

    :param hint: what shows those that were left out.
    """
    first = heapq.nsmallest(LISTED, names, key=lambda name: (name.casefold(), name))
    return Listing(title, first, len(names) - len(first), hint)
