"""What verbs say of those who are not ego: road users, lights and roads."""

from coc_labeling.schema import Relation

from .reading import State
from .words import Effect, word_set

# What a verb says of a road user, light or road that is its subject.
SAYS_OF_OTHERS: dict[str, Effect] = {
    **dict.fromkeys(("slow", "brake", "decelerate", "reduce"), Effect(state=State.SLOWING)),
    **dict.fromkeys(
        ("stop", "halt", "wait", "stand", "idle", "pause", "sit", "stall", "await"), Effect(state=State.STOPPED)
    ),
    **dict.fromkeys(("park", "double-park"), Effect(relation=Relation.PARKED)),
    **dict.fromkeys(("queue", "back up"), Effect(state=State.QUEUED)),
    **dict.fromkeys(("cross", "jaywalk"), Effect(relation=Relation.CROSSING)),
    **dict.fromkeys(("merge", "cut", "cut in"), Effect(relation=Relation.CUT_IN)),
    **dict.fromkeys(("accelerate", "speed"), Effect(state=State.ACCELERATING)),
    **dict.fromkeys(("turn",), Effect(state=State.TURNING)),
    **dict.fromkeys(
        ("move", "drive", "travel", "proceed", "go", "roll", "flow", "walk", "ride", "run", "crawl", "pull away"),
        Effect(state=State.MOVING),
    ),
    **dict.fromkeys(("clear", "leave", "vacate", "disappear"), Effect(gone=True)),
    **dict.fromkeys(("narrow", "taper", "constrain"), Effect(narrow=True)),
    **dict.fromkeys(("close", "block", "obstruct"), Effect(closed=True)),
    **dict.fromkeys(("oncome",), Effect(relation=Relation.ONCOMING)),
}

# Verbs that others do, and that say nothing that is kept.
OTHER_VERBS = word_set(
    """
    approach enter exit occupy encroach swerve drift shift change pass overtake yield follow require need affect remain
    stay keep continue begin start end merge-in come become appear emerge step wait signal indicate lead drop show
    display control mark sign form create reduce limit restrict cause force make take pull open unload load board alight
    straddle hold maintain increase set allow prevent let separate line fall hang protrude intrude stick cover work
    direct wave point guide sway bend curve split fork diverge wind slope rise descend overlap meet join flash blink
    illuminate activate place locate position spread spill lie exist attempt try prepare intend permit give have face
    guard govern regulate border define channelize channel request bring look push carry tow haul gain near reach arrive
    head veer move-over ease back reverse dart run jog play stroll lean sit nudge steer hesitate linger bear conflict
    impede interfere advance surround present warn advise suggest prohibit dictate demand call say announce impair
    obscure hide matter influence pose share use extend pick stack bunch wrap resume gather squeeze build clear
    accelerate fade rest turn-on lower raise lift settle weave cycle skate catch trail transition widen shrink taper
    shine rain snow visible
    """
)
