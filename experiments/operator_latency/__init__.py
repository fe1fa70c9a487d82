"""How near the operators and the networks made of them come to the limits of the machine."""
