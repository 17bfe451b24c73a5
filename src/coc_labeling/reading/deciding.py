"""From what ego is said to do to the decisions of the taxonomy."""

from collections.abc import Callable

from coc_labeling.schema import Category, LateralDecision, LongitudinalDecision, Relation, Side

from .building import Deed, Role, Thing
from .reading import Colour, Motion, SaidDecision, State, UserClass
from .verbs import Kind

_LON, _LAT = LongitudinalDecision, LateralDecision
_Resolved = tuple[LongitudinalDecision | LateralDecision | None, Motion | None, Side | None]
_STATIC = frozenset({UserClass.OBJECT, UserClass.ANIMAL})
_PAST = frozenset({"around", "past", "from", "beside", "for"})
_GOES = ("mov", "go", "com", "get", "cross", "bring", "guid")
_ROOM = frozenset({"room", "space", "gap"})


def decide(deeds: list[Deed], things: list[Thing]) -> tuple[SaidDecision, ...]:
    """Return the decisions that the deeds are, each resolved by its own causes."""
    said: list[SaidDecision] = []
    for index in range(len(deeds)):
        one = _Deciding(deeds, index, [t for t in things if t.counts]).decision()
        if one is not None:
            said.append(one)
    return tuple(_once(said))


def _once(said: list[SaidDecision]) -> list[SaidDecision]:
    kept: list[SaidDecision] = []
    for one in said:
        twin = next((k for k in kept if _same(k, one)), None)
        if twin is None:
            kept.append(one)
    return kept


def _same(one: SaidDecision, other: SaidDecision) -> bool:
    return (
        one.decision == other.decision
        and one.negated == other.negated
        and other.direction in (None, one.direction)
        and (one.part == other.part or (other.direction is None and other.motion in (None, one.motion)))
        and (one.decision is not None or one.motion == other.motion)
        and not (one.decision is not None and one.decision in tuple(_LAT) and one.part != other.part)
    )


class _Deciding:
    """One deed among the others."""

    def __init__(self, deeds: list[Deed], index: int, things: list[Thing]) -> None:
        self.deeds, self.index, self.deed = deeds, index, deeds[index]
        self.all = things
        self.own = [t for t in self.deed.things if t.counts]
        later = [t for d in deeds[index + 1 :] if d.role is Role.PURPOSE for t in d.things if t.counts]
        self.near = [t for t in [*self.own, *later] if not t.negated] or [t for t in things if not t.negated]

    def decision(self) -> SaidDecision | None:
        """Return what the deed says of ego; None where it says no decision, motion or side."""
        deed = self.deed
        if deed.act.kind is Kind.LEAVE:
            return None
        resolved = self._resolved()
        if resolved is None:
            return None
        decision, motion, direction = resolved
        if deed.negated and decision is _LON.TRACK_SPEED and deed.words[0].startswith(_GOES):
            return SaidDecision(_LON.STOP, Motion.STAND, None, deed.part, False, f"not {' '.join(deed.words)}")
        if decision is None and motion is None and direction is None:
            return None
        if deed.tentative:
            motion = None
        return SaidDecision(decision, motion, direction, deed.part, deed.negated, " ".join(deed.words))

    def _resolved(self) -> _Resolved | None:
        """Return the decision, motion and direction of the deed; None where it says none of its own."""
        resolve = _BY_KIND.get(self.deed.act.kind)
        return resolve(self) if resolve is not None else None

    def _purposes(self) -> list[Deed]:
        """Return the deeds that this one is done for, up to the next main one."""
        found = []
        for deed in self.deeds[self.index + 1 :]:
            if deed.role is not Role.PURPOSE or deed.part != self.deed.part:
                break
            if not deed.negated:
                found.append(deed)
        return found

    def _purpose_on_speed(self) -> bool:
        """Whether a purpose names the decision on speed that this motion serves."""
        for offset, deed in enumerate(self._purposes(), start=1):
            inner = _Deciding(self.deeds, self.index + offset, self.all)
            if deed.act.kind not in {Kind.SPEED, Kind.GO, Kind.ADAPT} and inner._is_on_speed():
                return True
        return False

    def _is_on_speed(self) -> bool:
        if self.deed.act.kind is Kind.LEAVE:
            return False
        resolved = self._resolved()
        return resolved is not None and isinstance(resolved[0], LongitudinalDecision)

    def _before(self) -> Deed | None:
        return self.deeds[self.index - 1] if self.index and self.deed.role is Role.PURPOSE else None

    def _inherited_motion(self) -> Motion | None:
        """Return the motion of the deeds that this one is the purpose of."""
        index = self.index
        while index and self.deeds[index].role is Role.PURPOSE:
            index -= 1
            act = self.deeds[index].act
            if act.kind is Kind.SPEED and self.deeds[index].part == self.deed.part and not self.deeds[index].negated:
                return act.motion
        return None

    def _has(self, relation: Relation) -> bool:
        return any(t.relation is relation for t in self.near)

    def _light(self, *colours: Colour) -> bool:
        lights = [t for t in self.all if t.category is Category.TRAFFIC_LIGHT]
        return any(t.colour in colours or t.later_colour in colours for t in lights)

    def _first(self, *categories: Category) -> Thing | None:
        return next((t for t in self.near if t.category in categories), None)

    def _fixed(self) -> _Resolved | None:
        act, deed = self.deed.act, self.deed
        motion = act.motion
        if act.decision is _LON.STOP and deed.role is Role.PURPOSE:
            return act.decision, Motion.STOP, None
        if act.decision is _LON.OVERTAKE:
            return act.decision, self._inherited_motion(), None
        if act.decision is _LON.TRACK_SPEED:
            return act.decision, self._inherited_motion() or motion, None
        direction = deed.direction if act.decision is None or isinstance(act.decision, LateralDecision) else None
        if act.decision is None:
            return None, motion, deed.direction
        return act.decision, motion, direction

    def _speed(self) -> _Resolved | None:
        if self._purpose_on_speed():
            return None
        motion = self.deed.act.motion
        before = self._before()
        if before is not None and before.act.kind is Kind.ADAPT:
            return None
        if motion is Motion.DECELERATE:
            return self._slowing(), motion, None
        if motion is Motion.KEEP_SPEED:
            return (_LON.FOLLOW_LEAD if self._has(Relation.LEAD) else _LON.TRACK_SPEED), motion, None
        return self._accelerating(), motion, None

    def _slowing(self) -> LongitudinalDecision | None:
        for thing in self.near:
            if thing.relation is Relation.LEAD or (thing.user_class is UserClass.ANY and _in_the_way(thing)):
                return _LON.FOLLOW_LEAD
            if thing.relation is Relation.CROSSING or (
                thing.user_class in {UserClass.PEDESTRIAN, UserClass.ANIMAL} and thing.relation is not Relation.PARKED
            ):
                return _LON.YIELD
            if thing.category in {Category.LANE, Category.ROAD_EVENT, Category.ODD_CONSTRAINT}:
                return _LON.ADAPT_SPEED
            if thing.category is Category.TRAFFIC_LIGHT or thing.phrase in {"stop sign", "stop line"}:
                return None
            if thing.category is Category.TRAFFIC_CONTROL and _limits(thing):
                return _LON.ADAPT_SPEED
        return None

    def _accelerating(self) -> LongitudinalDecision | None:
        purposes = {deed.act.kind for deed in self._purposes()}
        if Kind.CHANGE in purposes or any(isinstance(d.act.decision, LateralDecision) for d in self._purposes()):
            return None
        if self._light(Colour.GREEN) or Kind.GO in purposes:
            return _LON.TRACK_SPEED
        if self._has(Relation.LEAD):
            turns_off = any(t.relation is Relation.LEAD and State.TURNING in t.states for t in self.near)
            return None if turns_off else _LON.FOLLOW_LEAD
        if any(t.negated for t in self.all) or any(_limits(t) for t in self.near):
            return _LON.TRACK_SPEED
        if any(t.user_class is UserClass.ANY and {State.MOVING, State.ACCELERATING} & set(t.states) for t in self.near):
            return _LON.TRACK_SPEED
        return None

    def _adapt(self) -> _Resolved | None:
        if self._purpose_on_speed():
            return None
        slows = [d for d in self._purposes() if d.act.kind is Kind.SPEED]
        return _LON.ADAPT_SPEED, slows[0].act.motion if slows else None, None

    def _stand(self) -> _Resolved | None:
        if (
            self.deed.words[0].startswith(("hold", "sit", "stand", "idle"))
            and len(self.deed.words) == 1
            and not self.near
        ):
            return _LON.STOP, Motion.STAND, None
        return _LON.STOP, Motion.STAND, None

    def _wait(self) -> _Resolved | None:
        wanted = next((t for t in self.own if t.prep == "for"), None) or (self.own[0] if self.own else None)
        wanted = wanted or (self.near[0] if self.near else None)
        if wanted is None:
            return None, Motion.STAND, None
        if wanted.category is Category.CRITICAL_OBJECT and not (
            wanted.relation is Relation.LEAD and wanted.prep != "for"
        ):
            return _LON.YIELD, Motion.STAND, None
        return _LON.STOP, Motion.STAND, None

    def _lets(self) -> _Resolved | None:
        before = self._before()
        if before is not None and before.act.kind in {Kind.NUDGE, Kind.STEER} and _ROOM & set(self.deed.words):
            return None
        return _LON.YIELD, self._inherited_motion(), None

    def _distance(self) -> _Resolved | None:
        before = self._before()
        if before is not None and isinstance(before.act.decision, LateralDecision):
            return None
        if any(t.relation in {Relation.PARKED, Relation.ONCOMING, Relation.ADJACENT} for t in self.own[:1]):
            return None
        if (
            self.own
            and self.own[0].category is not Category.CRITICAL_OBJECT
            and self.deed.act.kind is not Kind.DISTANCE
        ):
            return None
        for thing in self.own[:1]:
            if thing.is_vehicle:
                thing.relation = thing.relation or Relation.LEAD
        return _LON.FOLLOW_LEAD, self._inherited_motion(), None

    def _follow(self) -> _Resolved | None:
        target = self.own[0] if self.own else None
        if target is not None and target.category is Category.CRITICAL_OBJECT:
            target.relation = target.relation or (Relation.LEAD if target.is_vehicle else None)
            return _LON.FOLLOW_LEAD, self._inherited_motion(), None
        if self.deed.role is Role.PURPOSE:
            return None
        if target is None or target.category is Category.LANE:
            return _LAT.KEEP_LANE, None, None
        return None

    def _pass(self) -> _Resolved | None:
        target = self.own[0] if self.own else None
        around = {"around", "bypass", "bypasses", "bypassing"} & set(self.deed.words)
        before = self._before()
        if before is not None and before.act.kind in {Kind.NUDGE, Kind.STEER}:
            return None
        if target is None and not around:
            return (_LON.OVERTAKE, None, None) if self.deed.negated else None
        if target is not None and _moves(target) and not around:
            return (None if "clear" in self.deed.words[0] else _LON.OVERTAKE), self._inherited_motion(), None
        if around or self.deed.direction is not None or (before is not None and before.act.kind is Kind.LEAVE):
            if before is not None and isinstance(before.act.decision, LateralDecision):
                return None
            wide = self.deed.out_of_lane or self._leaves_lane()
            return (_LAT.NUDGE_OUT_OF_LANE if wide else _LAT.NUDGE_IN_LANE), None, self.deed.direction
        return None

    def _leaves_lane(self) -> bool:
        return any(
            (d.act.kind is Kind.LEAVE or d.into_oncoming) and d.part == self.deed.part and not d.negated
            for d in self.deeds
        )

    def _gap(self) -> _Resolved | None:
        if {"make", "create", "leave", "open"} & set(self.deed.words) and any(
            t.category is Category.CRITICAL_OBJECT and t.prep == "for" for t in self.own
        ):
            return _LON.YIELD, self._inherited_motion(), None
        return _LON.SEARCH_GAP, self._inherited_motion(), None

    def _change(self) -> _Resolved | None:
        if self.deed.into_oncoming:
            return self._into_oncoming()
        return _LAT.CHANGE_LANE, None, self.deed.direction

    def _into_oncoming(self) -> _Resolved | None:
        """Say that ego leaves its lane, unless another deed says so already."""
        others = [d for d in self.deeds if d is not self.deed and d.part == self.deed.part]
        if any(d.act.kind in {Kind.NUDGE, Kind.PASS} for d in others):
            return None
        return _LAT.NUDGE_OUT_OF_LANE, None, self.deed.direction

    def _hold(self) -> _Resolved | None:
        return _LAT.KEEP_LANE, None, None

    def _nudge(self) -> _Resolved | None:
        wide = self.deed.out_of_lane or self._leaves_lane()
        return (_LAT.NUDGE_OUT_OF_LANE if wide else _LAT.NUDGE_IN_LANE), None, self.deed.direction

    def _steer(self) -> _Resolved | None:
        deed = self.deed
        direction = deed.direction
        if deed.into_oncoming:
            return self._into_oncoming()
        if deed.to_lane and deed.out_of_lane and deed.act.kind is Kind.STEER:
            return _LAT.CHANGE_LANE, None, direction
        bare = direction is None and len(deed.words) == 1 and deed.words[0].startswith(_GOES)
        if bare and not {t.prep for t in deed.things} & _PAST:
            return self._go()
        obstacle = next((t for t in self.near if _may_be_passed(t, named=t in self.own)), None)
        curve = self._first(Category.LANE)
        if deed.words[0].startswith(("keep", "stay")):
            return None, None, direction
        if obstacle is not None and (direction is not None or obstacle in self.own):
            wide = deed.out_of_lane or self._leaves_lane()
            return (_LAT.NUDGE_OUT_OF_LANE if wide else _LAT.NUDGE_IN_LANE), None, direction
        if curve is not None and (curve.noun.curve or curve.curved):
            return _LAT.KEEP_LANE, None, direction
        return None, None, direction

    def _return(self) -> _Resolved | None:
        earlier = [
            d for d in self.deeds[: self.index] if _Deciding(self.deeds, self.deeds.index(d), self.all)._is_lateral()
        ]
        if earlier:
            index = self.deeds.index(earlier[-1])
            if self.deed.part == earlier[-1].part:
                self.deed.part += 1
            decision = _Deciding(self.deeds, index, self.all).decision()
            return (decision.decision if decision else None), None, self.deed.direction
        if self.deed.direction is not None and "lane" in self.deed.words:
            return _LAT.CHANGE_LANE, None, self.deed.direction
        return None, None, self.deed.direction

    def _is_lateral(self) -> bool:
        if self.deed.act.kind in {Kind.LEAVE, Kind.RETURN}:
            return False
        resolved = self._resolved()
        return resolved is not None and isinstance(resolved[0], LateralDecision) and resolved[0] is not _LAT.KEEP_LANE

    def _go(self) -> _Resolved | None:
        before = self._before()
        if before is not None:
            return None
        if self.deed.role is Role.REASON or (self.deed.form == "ing" and self.deed.part == 0 and self.index):
            return None
        if any(t.relation is Relation.LEAD for t in self.near if State.STOPPED not in t.states) and self.near:
            return _LON.FOLLOW_LEAD, None, None
        motion = Motion.ACCELERATE if self._light(Colour.GREEN) and self.deed.words[0].startswith("proceed") else None
        return _LON.TRACK_SPEED, motion, None


_BY_KIND: dict[Kind, Callable[[_Deciding], _Resolved | None]] = {
    Kind.FIXED: _Deciding._fixed,
    Kind.SPEED: _Deciding._speed,
    Kind.ADAPT: _Deciding._adapt,
    Kind.STEER: _Deciding._steer,
    Kind.NUDGE: _Deciding._nudge,
    Kind.PASS: _Deciding._pass,
    Kind.FOLLOW: _Deciding._follow,
    Kind.DISTANCE: _Deciding._distance,
    Kind.WAIT: _Deciding._wait,
    Kind.STAND: _Deciding._stand,
    Kind.GO: _Deciding._go,
    Kind.RETURN: _Deciding._return,
    Kind.HOLD: _Deciding._hold,
    Kind.LETS: _Deciding._lets,
    Kind.GAP: _Deciding._gap,
    Kind.CHANGE: _Deciding._change,
}


def _in_the_way(thing: Thing) -> bool:
    return thing.relation is None and bool(
        thing.phrase == "traffic" or {State.SLOWING, State.SLOWER, State.STOPPED, State.QUEUED} & set(thing.states)
    )


def _may_be_passed(thing: Thing, *, named: bool) -> bool:
    """Say whether one steers for a thing; for who is followed or let go only where it is named with the steering."""
    yields = thing.relation in (Relation.LEAD, Relation.CUT_IN, Relation.CROSSING, Relation.ONCOMING)
    return thing.category in (Category.CRITICAL_OBJECT, Category.ROAD_EVENT) and (named or not yields)


def _limits(thing: Thing) -> bool:
    return thing.category is Category.TRAFFIC_CONTROL and (
        "speed" in thing.phrase
        or "zone" in thing.phrase
        or "advisory" in thing.phrase
        or thing.phrase in {"sign", "warning sign", "chevron", "chevron sign"}
    )


def _moves(thing: Thing) -> bool:
    """Whether a thing is one to overtake: it moves, as far as is said, and goes ego's way."""
    return (
        thing.category is Category.CRITICAL_OBJECT
        and thing.user_class not in _STATIC
        and thing.relation not in {Relation.PARKED, Relation.ONCOMING, Relation.CROSSING}
        and State.STOPPED not in thing.states
        and thing.user_class is not UserClass.PEDESTRIAN
    )
