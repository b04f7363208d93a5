"""linerate: do my collectives run at the line rate of my optics, and what would other optics buy me?

The folder names are the layers; an arrow points at what may be imported (tests/test_architecture.py enforces it):

    L0  bench/model/     what must be moved, what the optics allow; statistics; no torch, no Hydra
                         (optics/ the link, flow/ flows on a fat tree, fit/ curves of a run)
        bench/exits.py   exit statuses
    L1  bench/record.py, reported.py, summary.py, point_warnings.py, run_folder.py, catalog.py, nccl_log.py, published.py,
        fit_file.py, environment.py, importers/, point_key.py, floor_file.py, bmwg.py
                         what is written, what is known                                          -> L0
    L2  bench/measure/   torch, MPI: what really happened                                            -> L0
    L3  bench/config.py, emulation_config.py, library_config.py, link_config.py, mpi_algorithms.py, compose.py
                         what was asked; compose is the only door to Hydra  -> L0, L1
    L4  bench/launch/, joining.py, points.py, capable.py, sweep.py, runner.py, describe.py, manifest.py, provenance.py, counters.py,
        console.py, findings.py, nccl_table.py, expect.py, forecast.py, forecast_view.py, listing.py, link.py, fitting.py,
        fit_view.py, calibrating.py, glass.py, glass_view.py, validation.py, importing.py, foreign_records.py, import_view.py,
        ab.py, gating.py, gate_view.py
                         one run or one prediction, start to finish                                  -> all above
    L5  bench/cli.py, options.py, result_verbs.py, session.py, __main__.py   the verbs; torch and analysis inside functions only
        analysis/        pandas, matplotlib; never torch, never Hydra                                -> L0, L1
"""

__version__ = "0.1.0"
