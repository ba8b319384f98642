"""The data plane: every request, attempt, queue place, CPU share and timer; the kernel and its readable twin."""
