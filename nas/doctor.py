"""`python -m nas.doctor RUN`: what is wrong with a run folder, and how to repair it."""

from __future__ import annotations

import argparse
import sys

from nas.errors import run_command

EXAMPLES = """examples:
  python -m nas.doctor runs/pix-digits-1
  python -m nas.doctor runs/pix-digits-1 --repair        # only what is safe: torn last lines and remains of broken writes
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code: 0 for a healthy run, 2 where there are faults."""
    return run_command("nas doctor", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.doctor",
        description="Check a run folder, and say what is wrong and how to repair it. Nothing is changed without --repair.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended without losing anything")
    options = parser.parse_args(arguments)
    from nas.health import examine, repair
    from nas.run import RunFolder

    folder = RunFolder(RunFolder.existing(options.run))
    if options.repair:
        with folder.locked():
            for line in repair(folder):
                print(f"repaired: {line}")
    checks = examine(folder)
    for check in checks:
        print(f"{'fault' if check.fault else 'ok':>5}  {check.what}: {check.found}")
        if check.fault:
            print(f"       {'repair' if check.repair else 'no repair is known'}: {check.repair}".removesuffix(": "))
    faults = sum(check.fault for check in checks)
    print(f"\n{options.run}: " + ("healthy" if not faults else f"{faults} fault{'s' * (faults > 1)}"))
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
