"""Many runs of a scenario: replicates, their store, and what follows from them."""
