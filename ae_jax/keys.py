"""What a trial's key is folded with: no two uses share random numbers."""

INIT, NOISE, ORDER, PAIR, OBJECTIVE, STATE, NETWORK, UPDATE = range(8)
VALIDATION = 8
ENCODER, DECODER = range(2)  # of the noise of a network
