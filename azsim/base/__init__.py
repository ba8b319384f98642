"""What every other room stands on: errors, units, keyed chance, the compiler's switchboard."""
