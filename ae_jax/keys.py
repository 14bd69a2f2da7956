"""What a trial's key is folded with, so that no two uses share random numbers."""

INIT, NOISE, ORDER, PAIR, OBJECTIVE = range(5)
