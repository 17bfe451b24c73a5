"""Verbs: what they say of ego, and what they say of others."""

from dataclasses import dataclass
from enum import StrEnum

from coc_labeling.schema import LateralDecision, LongitudinalDecision

from .reading import Motion
from .words import word_set

_LON, _LAT = LongitudinalDecision, LateralDecision


class Kind(StrEnum):
    """How the decision of a verb is found, where the verb alone does not tell."""

    FIXED = "fixed"
    SPEED = "speed"  # a change of speed: its reason tells what for
    ADAPT = "adapt"
    STEER = "steer"  # to a side: for an obstacle, a curve, or another lane
    NUDGE = "nudge"
    PASS = "pass"  # noqa: S105
    FOLLOW = "follow"
    DISTANCE = "distance"
    WAIT = "wait"
    STAND = "stand"
    GO = "go"
    TAKE = "take"  # a ramp, a turn, an exit
    RETURN = "return"
    HOLD = "hold"  # a lane, unless it is a side of it
    LETS = "lets"  # something do something
    GAP = "gap"
    CHANGE = "change"
    LIGHT = "light"  # says nothing by itself ("prepare", "begin")
    LEAVE = "leave"


@dataclass(frozen=True)
class Act:
    """What a verb says that ego does."""

    kind: Kind = Kind.LIGHT
    decision: LongitudinalDecision | LateralDecision | None = None
    motion: Motion | None = None


def _acts(text: str, act: Act) -> dict[tuple[str, ...], Act]:
    return {tuple(phrase.split()): act for phrase in text.strip().replace("\n", "|").split("|") if phrase.strip()}


# Verbs in their base form; "*" stands for up to four words of description ("keep * distance").
ACTS: dict[tuple[str, ...], Act] = {
    **_acts(
        """
        slow|slow down|decelerate|brake|reduce * speed|reduce * pace|lower * speed|ease off|ease off * accelerator
        let off * gas|drop * speed|cut * speed|lose * speed|apply * brake|press * brake|step on * brake
        decrease * speed|hit * brake|crawl|come to * crawl|tap * brake|bleed off * speed|scrub * speed|ease * speed
        use * brake|shed * speed|slow * speed|coast|start * brake|slow * vehicle|slow * car|ease down|use caution
        ease * brake|lift off|lift off * accelerator|begin * brake|bring * speed down|ride * brake|back off
        hold back|slow up|decelerating
        """,
        Act(Kind.SPEED, None, Motion.DECELERATE),
    ),
    **_acts(
        """
        accelerate|speed up|increase * speed|gain * speed|pick up * speed|move off|start moving|begin moving
        pull away|start off|set off|start up|drive off|take off|build * speed|get moving|raise * speed|start driving
        launch|pull forward|inch forward|start to move|begin to move|creep forward|edge forward|roll forward|creep
        ease forward|start rolling|start * roll|nose forward|begin to drive|begin driving|start to drive
        start to roll|get going|press * accelerator|press * gas|add * speed|move from * stop|start from * stop
        start from * standstill|start from rest|move from * standstill|accelerate from * standstill
        accelerate from * stop|depart|pull off
        """,
        Act(Kind.SPEED, None, Motion.ACCELERATE),
    ),
    **_acts(
        """
        keep * speed|maintain * speed|hold * speed|keep * pace|maintain * pace|keep * velocity|maintain * velocity
        hold * pace|sustain * speed|maintain * cruise|keep speed|coast along|remain at * speed|stay at * speed
        hold * velocity|travel at * speed|drive at * speed|move at * speed|drive with * speed|continue at * speed
        proceed at * speed|travel at * pace|drive at * pace|move at * pace|move with * speed|continue with * speed
        cruise at * speed|drive at * velocity|cruise|preserve * speed
        """,
        Act(Kind.SPEED, None, Motion.KEEP_SPEED),
    ),
    **_acts(
        """
        resume * speed|resume * driving|resume|resume * travel|resume * cruise|regain * speed|return to * speed
        recover * speed|get back to * speed|get up to * speed|go back to * speed|come up to * speed
        come back to * speed|reach * speed|resume * movement|resume * motion
        """,
        Act(Kind.FIXED, _LON.TRACK_SPEED, Motion.ACCELERATE),
    ),
    **_acts(
        """
        track * speed|follow * speed limit|obey * speed limit|drive at * speed limit|set * speed
        track * target speed
        """,
        Act(Kind.FIXED, _LON.TRACK_SPEED, Motion.KEEP_SPEED),
    ),
    **_acts(
        """
        adapt * speed|adjust * speed|adapt|modulate * speed|moderate * speed|regulate * speed|adapt * pace
        control * speed|change * speed|temper * speed|limit * speed|adjust * pace|manage * speed|match * speed limit
        """,
        Act(Kind.ADAPT),
    ),
    **_acts(
        """
        stop|halt|come to * stop|come to * halt|come to * standstill|come to rest|pull to * stop|slow to * stop
        slow down to * stop|decelerate to * stop|brake to * stop|roll to * stop|make * stop|brake to * halt
        slow to * halt|slow down to * halt|ease to * stop|decelerate to * halt|stop moving
        decelerate to * standstill|brake to * standstill|slow to * standstill|coast to * stop
        slow down to * standstill|reduce * speed to * stop|adapt * speed to * stop|adjust * speed to * stop
        perform * stop|reduce * speed to * halt|bring * vehicle to * stop|bring * car to * stop|stop * vehicle
        stop * car|freeze|emergency brake|brake and stop|creep to * stop|stop driving|go to * stop|execute * stop
        decelerate into * stop|reach * stop
        """,
        Act(Kind.FIXED, _LON.STOP, Motion.STOP),
    ),
    **_acts(
        """
        remain stopped|stay stopped|remain stationary|stay stationary|hold * position|hold still|stand|stand still
        remain still|stay still|remain at * stop|stay at * stop|remain at * standstill|keep stopped|remain halted
        stay put|hold * stop|hold at|hold|remain standing|keep standing|stay halted|keep * stationary
        remain in * place|hold for|hold behind|sit|continue to stand|keep waiting|remain waiting|remain parked
        sit still|be stopped|be stationary|be at * stop|be at * standstill|be halted|stay in place|continue to stop
        stay at * standstill|maintain * stop|stand by|idle|stay where it is
        """,
        Act(Kind.STAND, _LON.STOP, Motion.STAND),
    ),
    **_acts("wait|await|pause|wait for|continue to wait|hold on", Act(Kind.WAIT, None, Motion.STAND)),
    **_acts(
        """
        yield|give way|yield * right of way|give * right of way|give priority|make way|cede|give * priority
        make room|make space|concede|defer|leave room|leave space|give * time|grant * right of way|give * room
        give * space|leave * space|leave * room|yield way|hold off
        """,
        Act(Kind.LETS, _LON.YIELD),
    ),
    **_acts("let|allow|permit|enable|let * go", Act(Kind.LETS, _LON.YIELD)),
    **_acts(
        """
        keep * distance|maintain * distance|keep * gap|maintain * gap|keep * headway|maintain * headway
        increase * gap|hold * gap|increase * distance|keep * spacing|maintain * spacing|keep up|keep up with
        match * speed|match * pace|increase * headway|tail|trail|stay behind|keep behind|remain behind|stay back
        keep back|hang back|leave * distance|leave * headway|hold * distance|preserve * gap|preserve * distance
        restore * gap|restore * distance|adjust * gap|adjust * distance|widen * gap|open * gap|open * distance
        maintain * following|keep pace|keep pace with|continue behind|queue behind|restore * headway|drive behind
        move behind|fall back|drop back|close * gap|reduce * gap|reduce * distance|ensure * distance|ensure * gap
        hold * headway|create * distance|re establish * distance|establish * distance|increase * spacing|stay with
        keep with|proceed behind|travel behind|creep behind|roll behind|stay close behind|respect * distance|queue
        join * queue|pace|match|move with|go behind|set * distance|set * gap|adapt * distance|inch along|leave * gap
        stay * behind|keep * behind|remain * behind|adapt * gap|tailgate|create * headway
        """,
        Act(Kind.DISTANCE, _LON.FOLLOW_LEAD),
    ),
    **_acts("follow|track", Act(Kind.FOLLOW)),
    **_acts("overtake", Act(Kind.FIXED, _LON.OVERTAKE, None)),
    **_acts(
        """
        pass|get past|get by|go past|drive past|move past|get around|pass by|bypass|go around|drive around
        move around|clear|maneuver around|manoeuvre around|navigate around|travel around|get ahead|proceed around
        pull around|steer clear
        """,
        Act(Kind.PASS),
    ),
    **_acts(
        """
        search * gap|look * gap|find * gap|seek * gap|wait for * gap|wait * gap|create * gap|search for * gap
        look for * gap|make * gap|search for * opening|look for * opening|find * opening|wait for * opening
        wait for * space|find * space|search for * space|look for * space|check for * gap|await * gap
        await * opening|find * room|wait for * break|look for * break|gap search|create * space|create * room
        create * opening|wait for * room|identify * gap|open up * gap|use * gap|align with * gap|time * gap
        search for * slot|seek * opening|find * slot|search for * chance|look for * chance|hunt for * gap
        target * gap|select * gap|pick * gap|search for * opportunity|look for * opportunity|wait for * opportunity
        wait for * chance|wait until * gap|reach * gap
        """,
        Act(Kind.GAP, _LON.SEARCH_GAP),
    ),
    # lateral
    **_acts(
        """
        keep * lane|maintain * lane|stay in * lane|keep in * lane|remain in * lane|hold * lane|stay centered
        keep centered|remain centered|keep center|stay in * center|keep to * center|keep at * center
        stay within * lane|keep within * lane|remain within * lane|keep to * lane|stay on * road|maintain * position
        continue in * lane|drive in * lane|stay on * mainline|keep on * lane|stay in lane|keep lane|center * lane
        keep straight|stay straight|go straight|drive straight|continue straight|follow * lane|stay on * course
        keep * course|hold * course|travel in * lane|hold * line|stay on * path|keep * path|hold * center
        keep * position|stay on * lane|keep * vehicle centered|stay to * center|maintain * lateral position
        keep going straight|stick to * lane|remain on * mainline|keep on * mainline|remain on * road
        keep * car centered|keep * vehicle in * lane|stay at * center|maintain * path|maintain * course
        proceed in * lane|remain centred|go straight ahead|remain in lane|hold center|move straight
        stay on * highway|stay on * motorway|stay on * freeway|remain at * center|center|keep on|follow * path
        track * lane|track * lane center|steer straight|maintain * heading|keep within lane|cruise in * lane
        proceed straight|continue to drive straight|continue driving straight|keep driving straight|travel straight
        head straight|stay on * street|hold straight|maintain lane
        """,
        Act(Kind.HOLD, _LAT.KEEP_LANE),
    ),
    **_acts("keep|stay|remain|continue", Act(Kind.LIGHT)),
    **_acts(
        """
        merge|join|zipper merge|zip merge|enter * highway|enter * freeway|enter * motorway|join * traffic|merge in
        blend|make * merge|zip in|enter * mainline|complete * merge|merge into * lane|merge onto * lane
        merge to * lane
        """,
        Act(Kind.FIXED, _LAT.MERGE),
    ),
    **_acts(
        """
        split|diverge|take * exit|take * ramp|take * off ramp|exit|exit * highway|exit * freeway|take * slip road
        take * exit ramp|leave * highway|take * fork|enter * off ramp|enter * exit|branch|exit onto|fork|peel off
        leave * freeway|leave * motorway|take * branch|exit * motorway|enter * exit lane|enter * slip road
        branch off|take * split|split off|enter * exit ramp|leave * mainline|exit * mainline|take * offramp
        """,
        Act(Kind.FIXED, _LAT.SPLIT),
    ),
    **_acts(
        """
        nudge|inch over|make * nudge|swerve|shift|bias|edge|deviate|offset|sidestep|skirt|make * shift|lean|dodge
        hug|squeeze|scoot|shift over|jog|perform * nudge|execute * nudge|drift
        """,
        Act(Kind.NUDGE, _LAT.NUDGE_IN_LANE),
    ),
    **_acts(
        """
        steer|veer|bear|keep left|keep right|stay left|stay right|keep to * left|keep to * right|stay to * left
        stay to * right|bear left|move|move over|move out|pull|curve|bend|pull out|swing|ease|steer around
        adjust * lane position|shift * lane position|deviate|go|slide|cross over|cut|get over|get|angle|straddle
        encroach|weave|swing out|come over|switch|cross|pull into|bring|guide|cut over
        """,
        Act(Kind.STEER),
    ),
    **_acts(
        """
        change * lane|change lane|make * lane change|lane change|switch * lane|change to * lane|change into * lane
        move into * lane|move to * lane|shift into * lane|shift to * lane|switch to * lane|switch into * lane
        move over to * lane|move over into * lane|perform * lane change|execute * lane change|complete * lane change
        begin * lane change|start * lane change|get into * lane|initiate * lane change|change over to * lane
        change over|move * lane over|move over * lane|cross into * lane|veer into * lane|steer into * lane
        pull into * lane|enter * turn lane|enter * left lane|enter * right lane|move onto * lane|change onto * lane
        transition to * lane|transition into * lane|go into * lane|swerve into * lane|carry out * lane change
        prepare for * lane change|prepare * lane change|go to * lane|shift over to * lane|get in * lane
        prepare to * lane change|shift over into * lane|shift * lane|slide into * lane|cut into * lane
        finish * lane change|drift into * lane|take * lane|enter * turn pocket|enter * turning lane
        enter * adjacent lane|cut across * lane|cross over into * lane|turn into * turn lane
        """,
        Act(Kind.CHANGE, _LAT.CHANGE_LANE),
    ),
    **_acts(
        """
        pull over|pull in|park|pull off * road|pull onto * shoulder|pull to * curb|pull to * side|pull up
        pull alongside|stop on * shoulder|pull aside|move to * shoulder|pull over to * curb|move onto * shoulder
        pull into * parking spot|pull into * parking space|pull in to * curb|move to * curb|pull over to * shoulder
        move over to * shoulder|steer to * shoulder|pull to * shoulder|pull up to * curb|parallel park
        move over to * curb|pull to * roadside|pull into * bay|pull into * bus bay
        """,
        Act(Kind.FIXED, _LAT.PULL_OVER),
    ),
    **_acts(
        """
        turn|make * turn|take * turn|make * u turn|complete * turn|perform * turn|execute * turn|begin * turn|u turn
        start * turn|initiate * turn|negotiate * turn|finish * turn|take * u turn|perform * u turn|carry out * turn
        enter * roundabout|turn around|make * left|make * right|take * left|take * right|hang * left|hang * right
        make * uturn|prepare for * turn|prepare * turn|continue * turn|follow * turn|complete * u turn
        execute * u turn|go left|go right|do * u turn|begin * u turn|navigate * turn|exit * roundabout
        navigate * roundabout|turn off|get ready to turn|go round * roundabout|go around * roundabout
        drive through * roundabout|proceed through * roundabout|circulate|handle * turn|take * exit from roundabout
        take * corner|proceed with * turn|make * turn in|setup for * turn
        """,
        Act(Kind.FIXED, _LAT.TURN),
    ),
    **_acts(
        """
        abort|abort * lane change|abort * manoeuvre|abort * maneuver|abort * merge|abort * turn|abort * nudge
        cancel * lane change|cancel * manoeuvre|cancel * maneuver|cancel * merge|cancel * nudge|cancel * turn
        give up * lane change|give up * manoeuvre|cancel|give up * maneuver|give up * merge|break off * lane change
        break off * manoeuvre|break off * maneuver|stop * lane change|give up|abandon * lane change
        abandon * manoeuvre|abandon * maneuver|abandon * merge|abandon|discontinue * lane change|break off
        call off * lane change|call off|interrupt * lane change|abort * overtake|abort * pass|abandon * overtake
        cancel * overtake|discontinue|suspend * lane change|abandon * turn|give up * nudge|break off * merge
        abort * pull over|abandon * nudge|abort * overtaking|give up * overtaking|abandon * overtaking
        give up * pass
        """,
        Act(Kind.FIXED, _LAT.ABORT_MANOEUVRE),
    ),
    **_acts(
        """
        return|return to * lane|return to * center|move back|steer back|go back|return into * lane|come back
        shift back|get back|merge back|recenter|re center|nudge back|swerve back|move back to * lane
        move back into * lane|steer back to * lane|steer back into * lane|return to * path|return to * lane center
        straighten|straighten out|straighten up|change back|veer back|come back to * lane|realign
        steer back to * center|drift back|ease back|pull back|cut back|recentre|re centre
        """,
        Act(Kind.RETURN),
    ),
    **_acts(
        """
        proceed|drive|continue driving|travel|go on|head|roll|continue to drive|move on|keep moving|keep driving
        continue moving|advance|move forward|drive forward|go forward|continue forward|drive on|carry on|navigate
        traverse|enter|keep going|continue to proceed|move through|go through|pass through|cross * intersection
        enter * intersection|drive through|proceed through|clear * intersection|continue on|continue along
        continue through|move ahead|go ahead|move along|continue to move|continue to travel|continue traveling
        proceed forward|cross * junction|traverse * intersection|keep rolling|pull through|continue to go|progress
        continue moving forward|cross * railroad|cross * road|continue to drive forward|cross * track|cross * bridge
        continue driving forward|pull into * intersection|continue to move forward|continue to follow|ride
        continue to accelerate|keep moving forward|continue to advance|make * progress|keep driving forward
        cross * street|drive straight through|go straight through|proceed straight through|continue straight through
        pass * intersection|pull into * street|pull onto * road|drive into|cross * crosswalk
        cross * railroad crossing
        """,
        Act(Kind.GO),
    ),
    **_acts(
        """
        reverse|back up|back out|back into|drive backwards|back|move backwards|drive backward|move backward|back in
        roll backwards|go backwards|drive in reverse|backup
        """,
        Act(Kind.FIXED, None, Motion.REVERSE),
    ),
    **_acts(
        """
        leave * lane|depart from * lane|exit * lane|cross * lane line|cross * line|cross * centerline
        cross * center line|leave its lane|use * lane|cross over * line|encroach into * lane|go over * line
        cross * lane marking|occupy * lane
        """,
        Act(Kind.LEAVE),
    ),
    **_acts(
        """
        prepare|begin|start|try|attempt|plan|intend|aim|need|approach|avoid|prevent|ensure|clear out|reach|leave|see
        observe|notice|detect|get ready|be ready|help|use|take|make|react|respond|comply|obey|respect|keep clear
        maintain clearance|keep clearance|stay clear|maintain * clearance|keep * clearance|stop accelerating
        keep away|stay away|create * clearance|increase * clearance|leave * clearance|adjust|check|watch|scan|look
        monitor|seek|find|search|ready|pay attention|monitor for|expect|anticipate|want|signal|indicate|choose
        decide|finish|complete|perform|execute|set up|align|position|prioritize|prioritise|negotiate
        navigate * curve|handle|account|set|change|adjust * position|follow through|obtain|give|accommodate
        compensate|minimize|minimise|hit|collide|share|line up|remain * clear|stay * clear|travel safely|fit
        leave clearance|maintain * separation|keep * separation|stabilize|settle|lead|meet|maintain|manage|encounter
        come|drive safely|match|exercise|know|mind|look out|arrive|near|block|bump|interfere|impede|disturb
        collision|keep out|encroach upon|conflict|endanger|negotiate * curve|take * curve|handle * curve
        traverse * curve|round * curve|follow * signal|set * up|follow * instruction|honor|honour|exceed|run|rush
        open|provide|get out|service|turn on|activate
        """,
        Act(Kind.LIGHT),
    ),
}

IRREGULAR = dict(
    entry.split(": ")
    for entry in """
    stop: stopped stopping|cut: cut cutting|begin: began begun|come: came|go: goes went gone going
    drive: drove driven|give: gave given|keep: kept|hold: held|stand: stood|make: made|take: took taken
    slow: slowed|let: letting|run: ran running|get: got getting gotten|swing: swung|bend: bent|wind: winding wound
    rise: rose|fall: fell fallen|lie: lying lay lies|have: having|do: doing done|see: saw seen|find: found
    split: splitting|set: setting|stick: stuck|ride: rode ridden|seek: sought|sit: sat sitting|put: putting
    show: shown|say: said|feel: felt|hang: hung|spread: spread|meet: met|back: backed|travel: travelling travelled
    signal: signalling signalled|build: built|catch: caught|hit: hitting|channel: channelling
    cancel: cancelling cancelled|bear: bore|abort: aborted|shine: shone|speed: sped|bring: brought|know: knew known
    choose: chose chosen|shed: shedding|hide: hid hidden|step: stepped stepping|drop: dropped dropping
    tap: tapped tapping|plan: planning|jog: jogging jogged|hug: hugging hugged|fit: fitting|pick: picked
    centre: centred centring|recenter: recentered|skip: skipping|spill: spilt|dart: darted|scan: scanning scanned
    encroach: encroached|inch: inches inching inched|lead: led
    """.strip()
    .replace("\n    ", "|")
    .split("|")
)
_DOUBLED = word_set(
    """
    stop cut begin run get split set sit let hit fit jog hug step drop tap plan scan shed wrap skip permit bet control
    """
)


def forms_of(verb: str) -> dict[str, str]:
    """Return the inflected forms of a verb, each with its name: base, s, ing or ed."""
    forms = {verb: "base"}
    stem = verb[:-1] if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) else verb
    if verb in _DOUBLED:
        stem = verb + verb[-1]
    consonant_y = verb.endswith("y") and verb[-2:-1] not in "aeou"
    forms[
        (verb[:-1] + "ies")
        if consonant_y
        else verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")
    ] = "s"
    forms[stem + "ing"] = "ing"
    forms[(verb[:-1] + "ied") if consonant_y else stem + "ed"] = "ed"
    for irregular in IRREGULAR.get(verb, "").split():
        name = "ing" if irregular.endswith("ing") else "s" if irregular.endswith("s") else "ed"
        forms.setdefault(irregular, name)
    return forms
