"""The link: fibre, FEC, margin, loss, latency, power, and what may face what."""
