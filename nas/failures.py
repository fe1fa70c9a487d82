"""Why a trial failed, each kind with one meaning; it knows no trial and no worker."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "infeasible": "the architecture cannot be built for this input",
    "out_of_memory": "the device or the host had too little memory",
    "diverged": "the loss became infinite or not a number",
    "timed_out": "the trial took longer than --trial-timeout",
    "worker_lost": "the worker's process ended before the trial did",
    "error": "the evaluation raised an exception, or returned no scores",
}
