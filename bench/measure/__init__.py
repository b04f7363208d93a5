"""What really happened: ranks, clocks, calls, data. torch lives here and nowhere below."""
