// The one time of the page, in seconds on the clip clock. Whoever shows time listens; whoever moves it calls seek.

const STEP_SEC = 0.1;
const AT_END_SEC = 0.05;

export class Cursor {
  constructor({ start, end, t0 }) {
    Object.assign(this, { start, end, t0, t: t0, playing: false });
    this.listeners = { time: [], seek: [], play: [] };
  }

  /** Call back on "time" (whatever moved it), "seek" (a person moved it) or "play" (playing began or ended). */
  on(kind, listener) {
    this.listeners[kind].push(listener);
  }

  /** Go to a time because a person asked for it: the video follows. */
  seek(t) {
    this.report(t);
    this.#tell("seek");
  }

  /** Go to a time because the video, or the timer in its place, is there. */
  report(t) {
    this.t = Math.min(Math.max(t, this.start), this.end);
    this.#tell("time");
  }

  /** Go some steps of 0.1 s, onto the grid through the keyframe. */
  step(count) {
    this.pause();
    this.seek(this.t0 + (Math.round((this.t - this.t0) / STEP_SEC) + count) * STEP_SEC);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.t > this.end - AT_END_SEC) this.seek(this.start);
    this.playing = true;
    this.#tell("play");
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.#tell("play");
  }

  get atKeyframe() {
    return Math.abs(this.t - this.t0) < STEP_SEC / 2;
  }

  /** The time as people read it, from the keyframe on: "+1.3 s". */
  get words() {
    const t = Math.round((this.t - this.t0) * 10) / 10;
    return `${t < 0 ? "−" : t > 0 ? "+" : ""}${Math.abs(t).toFixed(1)} s`;
  }

  #tell(kind) {
    for (const listener of this.listeners[kind]) listener(this);
  }
}

/** Let a pointer that is pressed on an element, and dragged, move the cursor; timeAt turns an event into a time. */
export function seekByPointer(element, cursor, timeAt) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    cursor.pause();
    cursor.seek(timeAt(event));
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) cursor.seek(timeAt(event));
  });
}
