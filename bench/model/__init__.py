"""What must be moved, and what optics, framing and fabric allow. Pure: no torch, no Hydra, no files."""
