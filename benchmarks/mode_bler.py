"""Makes ``baselines/digital/mode_bler.tsv`` again: block error rates of the digital modes at the standard conditions.

Run: ``python benchmarks/mode_bler.py > mode_bler.tsv`` (hours of one core).
"""

from __future__ import annotations

from aether_lite.baselines.digital.modes import CODEC2_MODES, HASH_MODES, TRIAL_SEED, failed_blocks, stored_rates
from aether_lite.link import LinkConfig


def main() -> None:
    """Measure every line of the table that comes with the package."""
    modes = {mode.name: mode for mode in (*CODEC2_MODES, *HASH_MODES)}
    print("mode\tchannel\tuses_per_s\tesn0_db\tblocks\tfailed")
    for name, channel, rate, snr_db in stored_rates():
        failed, blocks = failed_blocks(modes[name], LinkConfig(channel, rate, snr_db, TRIAL_SEED))
        print(f"{name}\t{channel}\t{rate}\t{snr_db:g}\t{blocks}\t{failed}")


if __name__ == "__main__":
    main()
