"""The one order of events: on one node, and over many."""
