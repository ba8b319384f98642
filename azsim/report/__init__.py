"""What a person reads: the card of a run and its pictures, drawn from results alone."""
