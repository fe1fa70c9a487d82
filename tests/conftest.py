"""What all tests share: one torch thread, so that two test processes do not fight over two cores."""

import os
import signal

# Under a runner in the background SIGINT is ignored, and the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from hypothesis import settings  # noqa: E402 - after the environment is set

# A shared machine is slow at times, which is no fault of what is tested; the same examples everywhere make a failure repeat.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")
