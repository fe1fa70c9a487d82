"""`python -m nas.export RUN --pick knee --to DIR`: takes networks away, in every form, each checked against the network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nas.errors import UserError, run_command
from nas.pick_flag import add_pick

EXAMPLES = """examples:
  python -m nas.export runs/pix-digits-1 --pick knee --to exported
  python -m nas.export runs/pix-digits-1 --pick "prefer:accuracy>=0.95,macs" --to exported-small
  python -m nas.export runs/pix-digits-1 --pick best:accuracy --int8 --certify --to exported-best
  python -m nas.export runs/pix-digits-1 --pick all --to exported-all     # each in a folder of its own
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas export", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.export",
        description="Write found networks as source, weights, torch.export program and ONNX, and check that all agree.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    add_pick(parser)
    parser.add_argument("--to", metavar="DIR", required=True, help="folder to be made; of several picks, DIR/KEY")
    parser.add_argument(
        "--weights",
        choices=("auto", "search", "trained"),
        default="auto",
        help="the search's weights or those of nas.train (default: trained where there are any)",
    )
    parser.add_argument("--torchscript", action="store_true", help="write a TorchScript module too")
    parser.add_argument("--int8", action="store_true", help="write an 8-bit ONNX too, calibrated on training images")
    parser.add_argument(
        "--certify",
        action="store_true",
        help="measure every form on the test part, time it, count it, and write CERTIFICATE.md",
    )
    options = parser.parse_args(arguments)

    from nas.archive import Archive
    from nas.exports.rebuild import check_new
    from nas.members import members
    from nas.pick import pick_all
    from nas.run import RunFolder

    rules = options.pick or ["knee"]
    folder, target = RunFolder.open(options.run), check_new(options.to)
    archive = Archive.open(options.run)
    if archive.recipe["name"] == "table":
        raise UserError(f"the run {options.run!r} looked its scores up in a table: it has no networks to export")
    picks = pick_all(rules, archive.front(), members(archive.trials), archive.objectives)

    from nas.exports.package import Wishes, export

    wishes = Wishes(
        weights=options.weights, torchscript=options.torchscript, int8=options.int8, certify=options.certify
    )
    for one in picks:
        print(f"{one.member.trial.key}: {one.reason}")
        place = target / one.member.trial.key if len(picks) > 1 or "all" in rules else target
        _say(export(folder, archive, one, place, rule=",".join(rules), wishes=wishes), place)
    return 0


def _say(card: dict[str, Any], place: Path) -> None:
    """What came of one export."""
    print(f"{'weights':>20}  of {card['weights']['of']}")
    if "accuracy" in card["scores"] and "accuracy_again" in card:
        again, promised = card["accuracy_again"], card["scores"]["accuracy"]
        print(f"{'accuracy':>20}  {100 * again:.2f} % on the validation part; the search said {100 * promised:.2f} %")
    for form, check in card["checks"].items():
        same = f", the same class on {100 * check['same_class']:.1f} %" if "same_class" in check else ""
        print(f"{form:>20}  differs by {check['relative_difference']:.1e} on {check['images']} images{same}")
    for form, row in card.get("certificate", {}).get("forms", {}).items():
        print(
            f"{form:>20}  test accuracy {100 * row['accuracy']:.2f} %, {row['latency_ms']['median']:.3g} ms, "
            f"{row['macs']:,} MACs, {row['bytes']:,} bytes"
        )
    print(f"wrote {place}: " + ", ".join(sorted(f.name for f in place.iterdir())))


if __name__ == "__main__":
    sys.exit(main())
