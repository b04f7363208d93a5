"""Who starts the ranks, and what network they find: loopback, the emulated fabric, or a cluster's own."""
