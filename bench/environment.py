"""Which environment variables may be written down: an allow-list, and never the whole environment."""

import re
from collections.abc import Mapping
from typing import Final

_ALLOWED: Final = re.compile(
    r"^(NCCL_|RCCL_|TORCH_|GLOO_|OMPI_MCA_(btl|pml|mtl|coll|smsc|accelerator|op|mpi)|UCX_|FI_|OMP_|MASTER_|SLURM_(JOB_ID|STEP_ID|NTASKS|STEP_NUM_TASKS|JOB_NUM_NODES)"
    r"|CUDA_VISIBLE_DEVICES$|TORCHELASTIC_RESTART_COUNT$)"
)
_SECRET: Final = re.compile(r"TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL", re.IGNORECASE)


def allowed(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that change what is measured, by allow-list; what looks like a secret is left out."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if _ALLOWED.match(name) and not _SECRET.search(name)
    }
