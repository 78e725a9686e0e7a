"""What guards a running policy: the gate, the watch and their image; an alarm from executed actions alone."""
