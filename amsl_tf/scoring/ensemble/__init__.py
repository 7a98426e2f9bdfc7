"""The ensemble score and its members.

`MEMBERS` is the registry of the members. Each describes scaled windows by features of its own, and measures the distance of a
window to the nearest normal ones; `Ensemble` (`ensemble.py`) calibrates them on left-out windows and averages them.
"""

from typing import TYPE_CHECKING

from amsl_tf.registry import Registry

if TYPE_CHECKING:
    from amsl_tf.scoring.ensemble.member import Member

CHANNELS, BANK = "channels", "bank"  # parts of the state of the ensemble; the others are named after the members
MEMBERS: Registry[type["Member"]] = Registry(
    "member",
    {
        "levels": "amsl_tf.scoring.ensemble.levels:Levels",
        "powers": "amsl_tf.scoring.ensemble.powers:Powers",
        "kernels": "amsl_tf.scoring.ensemble.kernels:Kernels",
    },
    attributes=("describe", "sensors", "divide_by_time", "prepare", "constants", "restore"),
    reserved=(CHANNELS, BANK),
)

__all__ = ["BANK", "CHANNELS", "MEMBERS"]
