"""Readers of what other programs print: nccl-tests, rccl-tests, OSU. They know no run folder and no model of a fabric."""
