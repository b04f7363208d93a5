"""`link_findings`: what is odd about the link that a configuration describes."""

from bench.config import BenchConfig
from bench.model.optics.finding import Finding, without_refusals


def link_findings(config: BenchConfig) -> list[Finding]:
    """Warnings about the link of ``config``, each a sentence, for those who run and predict to show.

    `bench.compose` has refused what cannot be. Call this on the configuration that `bench.launch.resolve` has settled, because
    transceiver=auto names no optics before that, and nothing can be found about them.

    Raises:
        ValueError: the link cannot be, with the optics that are now settled.
    """
    return without_refusals(config.link.problems(config.transceiver, config.fabric))
