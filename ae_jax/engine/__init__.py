"""Trials of one shape as one compiled program."""
