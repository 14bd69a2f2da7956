"""What a trial's key is folded with: no two uses share random numbers."""

INIT, NOISE, ORDER, PAIR, OBJECTIVE = range(5)
