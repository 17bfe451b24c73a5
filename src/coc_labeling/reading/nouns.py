"""Nouns of the road: what each one is as a cause."""

from dataclasses import dataclass

from coc_labeling.schema import Category, Relation

from .reading import Colour, State, UserClass


@dataclass(frozen=True)
class Noun:
    """What a noun names.

    Attributes:
        category: as a cause; None for ego's own and for words that only hold others ("line of cars").
        user_class: of a critical object.
        place: a part of the road, which is a cause only where it is said to be one ("for the intersection").
        lane: a lane, a road or ego's way, to be in or to go to.
    """

    category: Category | None
    user_class: UserClass | None = None
    relation: Relation | None = None
    state: State | None = None
    colour: Colour | None = None
    place: bool = False
    lane: bool = False
    curve: bool = False
    roadside: bool = False
    gap: bool = False
    junction: bool = False


def _table(text: str, noun: Noun) -> dict[tuple[str, ...], Noun]:
    return {tuple(phrase.split()): noun for phrase in text.strip().replace("\n", "|").split("|") if phrase.strip()}


def _object(user_class: UserClass, relation: Relation | None = None, state: State | None = None) -> Noun:
    return Noun(Category.CRITICAL_OBJECT, user_class, relation, state)


_LANE_PLACE = Noun(Category.LANE, place=True, lane=True)
_JUNCTION = Noun(Category.LANE, place=True, junction=True)
_CURVE = Noun(Category.LANE, curve=True)
_CONTROL = Noun(Category.TRAFFIC_CONTROL)

# Keys are in the singular; a plural is read as its singular.
NOUNS: dict[tuple[str, ...], Noun] = {
    **_table("vehicle|automobile|minivan|motor vehicle", _object(UserClass.VEHICLE)),
    **_table(
        """
        car|sedan|suv|van|hatchback|taxi|cab|coupe|passenger car|police car|jeep|convertible|station wagon|crossover
        police vehicle|delivery van|minivan|cargo van|camper van|wagon|patrol car|pickup|pickup truck|pick up
        pick up truck
        """,
        _object(UserClass.CAR),
    ),
    **_table(
        """
        truck|lorry|semi|semi truck|tractor trailer|garbage truck|delivery truck|box truck|dump truck|tow truck
        fire truck|fire engine|ambulance|cement truck|rv|motorhome|camper|tractor|excavator|heavy vehicle
        heavy goods vehicle|tanker|flatbed|flatbed truck|large vehicle|trash truck|cargo truck|street sweeper
        snowplow|snow plow|bulldozer|loader|work truck|utility truck|moving truck|mail truck|semi trailer truck
        18 wheeler|rig|hgv|firetruck|big rig|forklift
        """,
        _object(UserClass.TRUCK),
    ),
    **_table(
        """
        emergency vehicle|service vehicle|work vehicle|construction vehicle|maintenance vehicle|utility vehicle
        """,
        _object(UserClass.VEHICLE),
    ),
    **_table(
        "bus|school bus|coach|shuttle|shuttle bus|city bus|minibus|trolleybus|transit bus", _object(UserClass.BUS)
    ),
    **_table("train|tram|streetcar|trolley|light rail|locomotive|freight train", _object(UserClass.TRAIN)),
    **_table("trailer|caravan|semi trailer", _object(UserClass.TRAILER)),
    **_table(
        """
        pedestrian|person|people|child|kid|man|woman|jogger|runner|walker|crowd|foot traffic|worker|road worker
        construction worker|flagger|crossing guard|police officer|officer|jaywalker|boy|girl|student|schoolchild
        stroller|wheelchair user|wheelchair|skater|skateboarder|individual|passenger|traffic officer|policeman
        someone|bystander|pedestrian traffic|adult|guard|school child|lady|guy|crowd of people|workman|passerby
        """,
        _object(UserClass.PEDESTRIAN),
    ),
    **_table(
        """
        cyclist|bicyclist|bicycle|bike|motorcycle|motorcyclist|motorbike|scooter|rider|moped|e scooter|e bike|biker
        scooter rider|bike rider|bicycle rider|electric scooter|motor scooter|rickshaw|tricycle|two wheeler
        motor bike
        """,
        _object(UserClass.RIDER),
    ),
    **_table("animal|dog|deer|cat|bird|cow|goose|horse|squirrel|duck|sheep|cattle", _object(UserClass.ANIMAL)),
    **_table(
        """
        obstacle|barrier|bollard|post|pole|bin|trash bin|trash can|garbage can|garbage bin|door|open door|car door
        dumpster|barricade|box|tree branch|fence|guardrail|guard rail|shopping cart|cart|object|wall
        concrete barrier|jersey barrier|water barrier|planter|overhanging branch|tree|gate post|pillar|hydrant
        container|ladder|mattress|tire|tyre|rock|recycling bin|waste bin|wheelie bin|obstruction|hazard|blockage
        street furniture|delineator|skip|ball|vehicle door
        """,
        _object(UserClass.OBJECT),
    ),
    **_table(
        """
        agent|road user|user|actor|traffic|road traffic|traffic participant|participant|party|driver|motorist
        """,
        _object(UserClass.ANY),
    ),
    **_table(
        "lead vehicle|leading vehicle|lead|leader|preceding vehicle|vehicle lead",
        _object(UserClass.VEHICLE, Relation.LEAD),
    ),
    **_table(
        "lead car|leading car|lead sedan|lead suv|lead van|lead pickup|lead taxi", _object(UserClass.CAR, Relation.LEAD)
    ),
    **_table("lead truck|leading truck", _object(UserClass.TRUCK, Relation.LEAD)),
    **_table("lead bus|leading bus", _object(UserClass.BUS, Relation.LEAD)),
    **_table(
        "cross traffic|crossing traffic|traffic crossing|perpendicular traffic",
        _object(UserClass.ANY, Relation.CROSSING),
    ),
    **_table("pedestrian cross", _object(UserClass.PEDESTRIAN, Relation.CROSSING)),
    **_table("oncomer|opposing traffic|oncoming traffic|opposite traffic", _object(UserClass.ANY, Relation.ONCOMING)),
    **_table("cut in|cut in vehicle", _object(UserClass.VEHICLE, Relation.CUT_IN)),
    **_table(
        """
        queue|traffic queue|line of traffic|traffic jam|congestion|traffic congestion|jam|backup|tailback|platoon
        stopandgo traffic|gridlock|rush hour traffic
        """,
        _object(UserClass.ANY, None, State.QUEUED),
    ),
    # lights
    **_table(
        """
        light|traffic light|traffic signal|signal|signal light|stop light|stoplight|arrow|turn arrow|arrow light
        turn light|turn signal light|traffic lamp|lamp|arrow signal|green arrow signal|stop lamp|semaphore
        turn traffic light|ramp meter|turn traffic signal|straight traffic light|intersection light
        intersection signal|signal head|ramp signal
        """,
        Noun(Category.TRAFFIC_LIGHT),
    ),
    # controls
    **_table(
        """
        stop sign|speed camera|yield sign|give way sign|crosswalk|zebra crossing|zebra|pedestrian crosswalk
        cross walk|speed limit|speed limit sign|speed limit change|speed restriction|gate|railroad gate
        level crossing gate|crossing gate|toll gate|toll booth|hand sign|hand signal|sign|road sign|traffic sign
        warning sign|stop line|stop bar|advisory sign|hold line|all way stop|four way stop|4 way stop|way stop
        yield line|give way line|give way marking|yield marking|railroad crossing|railway crossing|level crossing
        rail crossing|train crossing|stop control|railroad track|railway track|school zone|chevron sign|chevron
        advisory speed|advisory speed sign|boom barrier|boom gate|police hand sign|marked crosswalk|school crossing
        bike crossing|crossing|traffic control|signage|arrow board|stop marking|security gate|parking gate
        barrier gate|entry gate|checkpoint|toll plaza|signboard|right of way rule|traffic rule|speed advisory
        speed zone|pedestrian zone|no turn on red sign|do not enter sign|merge sign|lane control sign|toll
        stop sign paddle|stop paddle|flag|all way stop|four way stop|all way stop sign|four way stop sign
        two way stop|two way stop sign
        3 way stop|three way stop|stop controlled intersection|yield controlled intersection|stop sign arm
        """,
        _CONTROL,
    ),
    # events
    **_table(
        """
        construction|construction zone|work zone|roadwork|road work|construction site|construction area
        construction work|cone|traffic cone|construction cone|work zone cone|construction barrier
        construction barrel|barrel|drum|traffic barrel|traffic drum|closure|lane closure|road closure|taper
        cone taper|debris|accident|crash|collision|incident|crash scene|flooding|flood|bump|speed bump|hump
        speed hump|speed table|pothole|speed cushion|road bump|dip|rough road|rut|puddle|standing water|flooded road
        breakdown|road hazard|detour|work area|spill|fallen tree|accident scene|road damage|construction equipment
        uneven road|uneven pavement|rough pavement|steel plate|manhole|gravel|sinkhole|rubble|crater|road repair
        repair work|maintenance work|construction sign|speed ramp|bumpy road|rumble strip|raised crosswalk
        raised crossing|ice patch|oil spill|landslide|parade|street fair|emergency scene|fire|construction fence
        drain|ditch|road debris|construction activity|work crew|road crew|cone line|work zone sign|roadwork sign
        construction vehicle zone
        """,
        Noun(Category.ROAD_EVENT),
    ),
    # lanes and geometry
    **_table(
        """
        curve|bend|road curve|road curvature|curvature|road bend|road geometry|lane geometry|hairpin|s curve
        lane curvature|lane curve|path curvature|switchback|chicane|curved road|curving road|winding road|curvy road
        twisty road|ramp curve|curve in road|curving lane|curved lane|curved ramp|curving ramp|hairpin turn
        hairpin bend|road bending|s bend|turn radius|road geometry change|hairpin curve
        """,
        _CURVE,
    ),
    **_table("turn|u turn|turning", Noun(Category.LANE, curve=True, junction=True)),
    **_table(
        """
        ramp|off ramp|on ramp|exit ramp|entrance ramp|slip road|slip lane|exit|off ramp exit|merge area|merge lane
        acceleration lane|deceleration lane|exit lane|highway exit|freeway exit|highway ramp|loop ramp|merge
        lane merge|merge point|access ramp|entry ramp|offramp|onramp|connector ramp|connector|on ramp merge
        """,
        _JUNCTION,
    ),
    **_table(
        """
        roundabout|traffic circle|rotary|intersection|junction|t intersection|t junction|crossroad|crossroads|corner
        four way intersection|mini roundabout|fork|split|lane split|road split|gore|gore area|gore point
        y intersection|side street|cross street|driveway|parking lot|parking aisle|aisle|parking garage|parking area
        car park|lot|alley|side road|entrance|lot entrance|parking space|parking spot|parking bay|gas station
        petrol station|bay|bus stop|pocket|turn pocket|bus bay|pickup area|drop off area|loading zone|bridge|tunnel
        underpass|overpass|hill|hill crest|crest|slope|downhill|uphill|grade|incline|downgrade|garage|blind corner
        blind turn|narrow passage|passage|narrow bridge|bottleneck|narrowing|road narrowing|lane narrowing|lane end
        lane drop|merging lane|merge zone|conflict zone|conflict area|refuge island|island|median|divider
        median island|traffic island|splitter island|channelizer|building|house|school|station|park|store|restaurant
        terminal|airport|toll lane|plaza|entry|tight turn|sharp turn|driveway entrance|box junction
        """,
        _JUNCTION,
    ),
    **_table(
        """
        lane|road|street|roadway|highway|freeway|motorway|interstate|path|way|route ahead|avenue|mainline
        carriageway|travel lane|through lane|turn lane|turning lane|bike lane|bus lane|hov lane|carpool lane
        center turn lane|parking lane|travel path|driving path|ego lane|ego path|ego's lane|ego's path|main road
        main lane|main street|center lane|middle lane|passing lane|fast lane|slow lane|oncoming lane|opposing lane
        opposite lane|adjacent lane|neighboring lane|boulevard|neighbouring lane|next lane|lane ahead|path ahead
        road ahead|through traffic lane|expressway|single lane road|bike path|driving lane|two lane road
        one way street|two way street|one way road|country road|bicycle lane|space ahead|area ahead|turn only lane
        exit only lane|traffic lane|road surface|pavement|surface|blind spot|cycle lane|trajectory|lane position
        straight path|planned path|forward path|turn path|turning path|course|straightaway|straight road|throughway
        block
        """,
        _LANE_PLACE,
    ),
    **_table(
        """
        lane line|lane marking|lane boundary|center line|centre line|centerline|lane marker|road marking|marking
        line marking|double yellow line|yellow line|white line|solid line|dashed line|dividing line|road edge
        lane edge|pavement marking|double line|double yellow|road line|lane arrow|pavement arrow|lane divider
        boundary|edge line|curb line|road boundary|lane center|lane centre|lane centerline
        """,
        Noun(Category.LANE, place=True),
    ),
    **_table(
        """
        shoulder|curb|kerb|roadside|side of road|side of street|edge of road|sidewalk|curbside|pavement edge|verge
        bike rack|road shoulder|right of road|side road edge|walkway|footpath|crosswalk edge|berm|breakdown lane
        hard shoulder
        """,
        Noun(Category.LANE, place=True, roadside=True),
    ),
    # intent
    **_table(
        """
        route|navigation|destination|nav|navigation route|route plan|planned route|navigation instruction
        navigation command|intended route|navigation system|gps|route instruction|itinerary|routing|navigation goal
        mission|waypoint|planned turn|planned exit|route guidance|trip|target destination|route direction
        desired route
        """,
        Noun(Category.ROUTING_INTENT),
    ),
    # conditions
    **_table(
        """
        rain|fog|glare|night|snow|ice|mist|storm|darkness|sun glare|wet road|wet pavement|wet surface|wet roadway
        icy road|snowy road|slippery road|slippery surface|visibility|low visibility|poor visibility
        reduced visibility|limited visibility|weather|bad weather|adverse weather|heavy rain|nighttime|night time
        low light|sunlight|slush|sleet|hail|wind|smoke|dust|crosswind|wet street|sun|haze|occlusion|blind spot view
        wet condition|low light condition|slick road|downpour|spray|dusk|dawn|gust|wet lane|snowfall|rainfall
        black ice|dark condition|weather condition|road condition|night condition|sight distance|raining|snowing
        limited sight distance|icy condition|snow covered road|slippery condition
        """,
        Noun(Category.ODD_CONSTRAINT),
    ),
    **_table("gap|lane change|opening|space|room|slot|stop|halt|standstill|full stop|priority", Noun(None, gap=True)),
}

# Ego itself, where a sentence speaks of it as of somebody.
EGO = frozenset(
    tuple(phrase.strip().split())
    for phrase in """
    ego|ego vehicle|ego car|ego agent|ego driver|ego truck|autonomous vehicle|autonomous car|av|self driving car
    self driving vehicle|host vehicle|host car|our vehicle|our car|my car|my vehicle|your car|your vehicle
    subject vehicle|own vehicle|own car|ego's vehicle|robotaxi
    """.strip()
    .replace("\n", "|")
    .split("|")
)
IRREGULAR_PLURALS = {
    "people": "people",
    "children": "child",
    "men": "man",
    "women": "woman",
    "buses": "bus",
    "busses": "bus",
    "lorries": "lorry",
    "geese": "goose",
    "crosswalks": "crosswalk",
    "bicycles": "bicycle",
    "crossings": "crossing",
    "branches": "branch",
    "boxes": "box",
    "crashes": "crash",
    "roadworks": "roadwork",
    "works": "work",
    "taxis": "taxi",
    "schoolchildren": "schoolchild",
    "boundaries": "boundary",
    "ditches": "ditch",
    "benches": "bench",
    "foggy": "fog",
    "rainy": "rain",
    "snowy": "snow",
    "centre": "center",
    "neighbouring": "neighboring",
    "passersby": "passerby",
    "lines": "line",
    "alleys": "alley",
    "stories": "story",
    "bodies": "body",
    "patches": "patch",
}
