"""Curves of time over size, fitted to a run, and what they mean for other optics."""
