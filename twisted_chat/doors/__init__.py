"""The ways in: each door is one file that provides `IClient`."""
