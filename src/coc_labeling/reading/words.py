"""Words that carry no decision and no cause of their own: function words, descriptions, and what they add to a noun."""

from dataclasses import dataclass

from coc_labeling.schema import Relation, Side

from .reading import Colour, State


@dataclass(frozen=True)
class Effect:
    """What a word adds to the thing that it describes; ``clear`` says that nothing is there."""

    relation: Relation | None = None
    state: State | None = None
    side: Side | None = None
    colour: Colour | None = None
    clear: bool = False
    narrow: bool = False
    closed: bool = False
    gone: bool = False
    weather: bool = False


def word_set(text: str) -> frozenset[str]:
    """Return the words of a table."""
    return frozenset(text.split())


SIDES = {
    "left": Side.LEFT,
    "right": Side.RIGHT,
    "leftward": Side.LEFT,
    "rightward": Side.RIGHT,
    "leftwards": Side.LEFT,
    "rightwards": Side.RIGHT,
    "leftmost": Side.LEFT,
    "rightmost": Side.RIGHT,
    "leftside": Side.LEFT,
    "rightside": Side.RIGHT,
}

DETERMINERS = word_set(
    """the a an this that these those its their our your his her my another other each every some any both several many
    all such few multiple numerous one two three four five six ego's car's vehicle's"""
)
NEGATIONS = word_set(
    "no not never none nothing neither nor cannot don't doesn't isn't aren't won't can't without nobody"
)
PRONOUNS = word_set("it they he she them him itself themselves someone somebody")
EGO_PRONOUNS = word_set("we i you us me")
AUXILIARIES = word_set(
    """is are was were be been being am has have had having will would shall should can could may might must do does did
    it's they're we're he's she's there's that's we've i'm you're is being"""
)
RELATIVES = word_set("that which who whose whom where")
CONJUNCTIONS = word_set("and or but plus &")
PREPOSITIONS = word_set(
    """for behind at on in into onto from of by with near around past beside between toward towards through across along
    within over under about against beyond during off up down out inside outside ahead-of alongside via upon above below
    without per amid amongst among opposite throughout next"""
)

# Descriptions and fillers that change neither decision nor cause. Nouns here are parts of places and things.
HARMLESS = word_set(
    """
    gently slowly smoothly slightly strongly sharply gradually carefully cautiously safely steadily firmly
    moderately quickly briefly abruptly suddenly fully completely partially partly mostly directly immediately
    already still only again currently temporarily now soon here there also too very more less much somewhat quite
    rather just even yet nearly almost approximately roughly about first second third finally eventually shortly
    later early properly comfortably appropriately accordingly normally freely clearly fairly heavily lightly well
    softly hard promptly continuously consistently easily closely nearby together away back forward forwards
    backward straight onward respectively instead otherwise thereby hence thus therefore so however meanwhile simply
    likely possibly safe smooth gentle slight sharp tight steady constant stable comfortable sufficient proper
    appropriate extra additional short long large small big little wide high low lower higher reduced moderate
    normal usual current new old immediate upcoming visible available usable possible necessary clearer distant far
    close closer main hand central middle same own present critical relevant special certain specific different
    various whole entire full complete enough controlled uncontrolled signalized signalised protected unprotected
    marked unmarked posted legal maximum minimum desired target cruise cruising total initial final previous
    following preceding general overall further hazardous dangerous cautious strong white black silver gray grey
    blue orange brown colored coloured pink heavy dense busy quiet residential urban rural public private commercial
    industrial local single double multi dual paved unpaved solid dashed broken painted temporary permanent active
    inactive position area zone space room side edge center centre end beginning start front rear top bottom part
    portion section segment point spot place way direction path distance gap headway clearance spacing margin buffer
    speed pace flow velocity rate acceleration deceleration time moment seconds meter meters metre metres m km kmh
    kph mph mps ms s ft feet h hour per cent percent degrees action manoeuvre maneuver attention effect behavior
    behaviour control caution care order response need reason situation scene environment conditions condition
    limited presence sight view vision amount number group row series pair couple type kind change progress movement
    motion travel ride stretch kept able ready due based according regarding respect terms case both either least
    most world priority precedence width height length size curvy winding if whose set sets downstream upstream
    ongoing today morning afternoon evening daytime day overhead nearside offside multiple idle idling timely
    efficiently efficient natural naturally usually sometimes once pm am stopandgo larger bigger smaller shorter
    longer greater original intended regular faster quicker reasonable prudent unnecessary required needed allowed
    permitted
    """
)


def _table(text: str, effect: Effect) -> dict[str, Effect]:
    return dict.fromkeys(text.split(), effect)


ADJECTIVES: dict[str, Effect] = {
    **_table("lead leading preceding", Effect(relation=Relation.LEAD)),
    **_table("oncoming opposing opposite", Effect(relation=Relation.ONCOMING)),
    **_table("adjacent neighboring neighbouring adjoining next alongside beside", Effect(relation=Relation.ADJACENT)),
    **_table("parked parking-lot doubleparked", Effect(relation=Relation.PARKED)),
    **_table("slow slower sluggish congested jammed", Effect(state=State.SLOWER)),
    **_table("stationary halted standing motionless immobile stalled disabled", Effect(state=State.STOPPED)),
    **_table("moving", Effect(state=State.MOVING)),
    **_table("queued queuing queueing backed-up", Effect(state=State.QUEUED)),
    "red": Effect(colour=Colour.RED),
    "yellow": Effect(colour=Colour.YELLOW),
    "amber": Effect(colour=Colour.YELLOW),
    "green": Effect(colour=Colour.GREEN),
    **_table("clear free empty unobstructed unoccupied deserted uncongested vacant", Effect(clear=True)),
    "open": Effect(clear=True),
    **_table(
        "uneven bumpy steep rough narrow narrowed narrower constrained tight-fitting confined", Effect(narrow=True)
    ),
    **_table("closed obstructed blocked occupied", Effect(closed=True)),
    **_table("icy wet slippery snowy foggy dark slick snow-covered flooded misty", Effect(weather=True)),
    "cross": Effect(relation=Relation.CROSSING),
    "perpendicular": Effect(relation=Relation.CROSSING),
    "jaywalking": Effect(relation=Relation.CROSSING),
}
