"""Kinds of road users as words and as tracks have them."""

from coc_labeling.reading.reading import UserClass
from driving_clips.obstacles import VEHICLE_CLASSES

# Detectors' classes that a word may mean.
CLASSES: dict[UserClass, frozenset[str]] = {
    UserClass.VEHICLE: VEHICLE_CLASSES,
    UserClass.CAR: frozenset({"automobile", "other_vehicle"}),
    UserClass.TRUCK: frozenset({"heavy_truck", "trailer", "other_vehicle"}),
    UserClass.BUS: frozenset({"bus", "trolley_bus"}),
    UserClass.TRAIN: frozenset({"train_or_tram_car"}),
    UserClass.TRAILER: frozenset({"trailer", "heavy_truck"}),
    UserClass.PEDESTRIAN: frozenset({"person", "stroller"}),
    UserClass.RIDER: frozenset({"rider"}),
    UserClass.ANIMAL: frozenset({"animal"}),
    UserClass.OBJECT: frozenset({"protruding_object"}),
}
# What detectors and people take for one another: a van is a car to one and a truck to the other.
_VEHICLES = frozenset({UserClass.CAR, UserClass.TRUCK, UserClass.BUS, UserClass.TRAILER, UserClass.VEHICLE})
_ON_FOOT_OR_TWO_WHEELS = frozenset({UserClass.PEDESTRIAN, UserClass.RIDER})
_MIXED = ((_VEHICLES, VEHICLE_CLASSES), (_ON_FOOT_OR_TWO_WHEELS, frozenset({"person", "stroller", "rider"})))
TRACKED = _ON_FOOT_OR_TWO_WHEELS  # kinds that camera and lidar tracks have, and those of a radar do not


def fits(said: UserClass | None, label_class: str) -> bool:
    """Say whether a track's class is what a word means; any class fits no word."""
    return said in (None, UserClass.ANY) or label_class in CLASSES[said]


def near_enough(said: UserClass | None, label_class: str) -> bool:
    """Say whether a track's class is often taken for what a word means."""
    if said is UserClass.VEHICLE and label_class == "rider":
        return True
    return fits(said, label_class) or any(said in words and label_class in classes for words, classes in _MIXED)
