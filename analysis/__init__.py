"""Results to look at: run folders to frames, frames to figures. Never torch, never Hydra."""
