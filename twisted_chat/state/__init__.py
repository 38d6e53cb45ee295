"""What outlives the moment: the stores."""
