// The scene from above at the cursor's time: ego heading up, its path, the road users around it.

import { CITED, CITED_SOFT, INK, MUTED, PAPER, RIGHT, RIGHT_SOFT, valueAt } from "./drawing.js";

const BEHIND_M = 14;
const LEAST_AHEAD_M = 36;
const MOST_AHEAD_M = 90;
const AHEAD_SEC = 3.2;
const GRID_M = 10;
const LONGEST_GAP_SEC = 1.1; // between two sightings of a road user, which is drawn between them
const ON_FOOT_OR_WHEELS = /person|pedestrian|cycl|rider|stroller|scooter|child|animal/i;
const GROUND = "#f5f7f9";

export class TopView {
  /** cited: a Map of ids of components by the track that they are about. */
  constructor(canvas, data, cited, cursor) {
    Object.assign(this, { canvas, data, cited, cursor, waits: false });
    const fastest = Math.max(0, ...data.curves.speed.filter((value) => value !== null));
    this.ahead = Math.min(Math.max(fastest * AHEAD_SEC, LEAST_AHEAD_M), MOST_AHEAD_M);
    canvas.setAttribute("aria-label", `From above: ego and ${data.road_users.length} road users; ahead is up`);
    new ResizeObserver(() => this.#draw()).observe(canvas);
    cursor.on("time", () => this.#later());
  }

  #later() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.#draw();
    });
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const dots = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * dots) || this.canvas.height !== Math.round(height * dots)) {
      this.canvas.width = Math.round(width * dots);
      this.canvas.height = Math.round(height * dots);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.fillStyle = GROUND;
    pen.fillRect(0, 0, width, height);
    const ego = poseAt(this.data.path, this.cursor.t);
    if (ego === null) return note(pen, width, height, "no ego motion at this time");
    const map = { ego, scale: height / (this.ahead + BEHIND_M), width, height };
    map.centre = [width / 2, height * (this.ahead / (this.ahead + BEHIND_M))];
    drawGrid(pen, map);
    this.#drawPath(pen, map);
    for (const user of this.data.road_users) this.#drawUser(pen, map, user);
    const { length, width: wide, rear } = this.data.ego;
    box(pen, map, ego, { front: length - rear, back: rear, wide }, INK, PAPER);
    drawScaleBar(pen, map);
  }

  #drawPath(pen, map) {
    const { t, x, y } = this.data.path;
    const parts = [
      [t.map((_, index) => index).filter((index) => t[index] <= this.cursor.t), "#98a3ae", 2],
      [t.map((_, index) => index).filter((index) => t[index] >= this.cursor.t), "#33475b", 2.5],
    ];
    for (const [rows, colour, wide] of parts) {
      pen.beginPath();
      for (const row of rows) pen.lineTo(...pixel(map, x[row], y[row]));
      Object.assign(pen, { strokeStyle: colour, lineWidth: wide, lineJoin: "round" });
      pen.stroke();
    }
    const t0 = poseAt(this.data.path, this.cursor.t0);
    if (t0 === null) return;
    const [across, down] = pixel(map, t0.x, t0.y);
    pen.beginPath();
    pen.arc(across, down, 3.5, 0, 2 * Math.PI);
    pen.fillStyle = INK;
    pen.fill();
  }

  #drawUser(pen, map, user) {
    const pose = poseAt(user, this.cursor.t);
    if (pose === null) return;
    const small = ON_FOOT_OR_WHEELS.test(user.class ?? "");
    const named = this.cited.get(user.id);
    const [fill, edge] = named ? [CITED_SOFT, CITED] : small ? [RIGHT_SOFT, RIGHT] : ["#cfd8e0", "#6b7a89"];
    if (user.length && user.width && pose.heading !== null) {
      const half = user.length / 2;
      box(pen, map, pose, { front: half, back: half, wide: user.width }, fill, edge, !small);
    } else {
      const [x, y] = pixel(map, pose.x, pose.y);
      pen.beginPath();
      pen.arc(x, y, 4, 0, 2 * Math.PI);
      Object.assign(pen, { fillStyle: fill, strokeStyle: edge, lineWidth: 1.2 });
      pen.fill();
      pen.stroke();
    }
    if (named) label(pen, pixel(map, pose.x, pose.y), named.join(", "));
  }
}

/** Where something is at a time, between its samples; null where it was not seen. */
function poseAt(track, t) {
  const { t: times, x, y, heading } = track;
  const after = times.findIndex((one) => one >= t - 1e-6);
  const far = after < 0 || (after === 0 && times[0] - t > 0.05);
  if (far) {
    const last = times.length - 1;
    return after < 0 && last >= 0 && t - times[last] <= 0.1
      ? { x: x[last], y: y[last], heading: heading[last] ?? null }
      : null;
  }
  const before = Math.max(after - 1, 0);
  if (times[after] - times[before] > LONGEST_GAP_SEC) return null;
  const nearer = times[after] - t < t - times[before] || before === after ? after : before;
  return {
    x: valueAt(times, x, t) ?? x[nearer],
    y: valueAt(times, y, t) ?? y[nearer],
    heading: turned(heading[before], heading[after], times, before, after, t),
  };
}

function turned(from, to, times, before, after, t) {
  if ((from ?? null) === null || (to ?? null) === null) return to ?? from ?? null;
  if (before === after) return to;
  const way = Math.atan2(Math.sin(to - from), Math.cos(to - from));
  return from + (way * (t - times[before])) / (times[after] - times[before]);
}

/** From metres in ego's frame at the keyframe to pixels of the view, where ego at the cursor heads up. */
function pixel({ ego, scale, centre }, x, y) {
  const [dx, dy] = [x - ego.x, y - ego.y];
  const ahead = Math.cos(ego.heading) * dx + Math.sin(ego.heading) * dy;
  const left = -Math.sin(ego.heading) * dx + Math.cos(ego.heading) * dy;
  return [centre[0] - left * scale, centre[1] - ahead * scale];
}

function box(pen, map, { x, y, heading }, { front, back, wide }, fill, edge, showsFront = false) {
  const [cos, sin] = [Math.cos(heading), Math.sin(heading)];
  const corner = (ahead, left) => pixel(map, x + cos * ahead - sin * left, y + sin * ahead + cos * left);
  pen.beginPath();
  for (const [ahead, left] of [
    [front, wide / 2],
    [front, -wide / 2],
    [-back, -wide / 2],
    [-back, wide / 2],
  ])
    pen.lineTo(...corner(ahead, left));
  pen.closePath();
  Object.assign(pen, { fillStyle: fill, strokeStyle: edge, lineWidth: 1.2 });
  pen.fill();
  pen.stroke();
  if (!showsFront) return;
  pen.beginPath();
  pen.moveTo(...corner(front * 0.5, wide / 2));
  pen.lineTo(...corner(front, 0));
  pen.lineTo(...corner(front * 0.5, -wide / 2));
  pen.stroke();
}

/** Crosses every 10 m, which lie still while ego moves over them. */
function drawGrid(pen, map) {
  const reach = Math.hypot(map.width, map.height) / map.scale;
  const first = (value) => Math.ceil((value - reach) / GRID_M) * GRID_M;
  pen.beginPath();
  for (let x = first(map.ego.x); x < map.ego.x + reach; x += GRID_M) {
    for (let y = first(map.ego.y); y < map.ego.y + reach; y += GRID_M) {
      const [across, down] = pixel(map, x, y);
      if (across < 0 || down < 0 || across > map.width || down > map.height) continue;
      pen.moveTo(across - 2.5, down);
      pen.lineTo(across + 2.5, down);
      pen.moveTo(across, down - 2.5);
      pen.lineTo(across, down + 2.5);
    }
  }
  Object.assign(pen, { strokeStyle: "#c3ccd5", lineWidth: 1 });
  pen.stroke();
}

function drawScaleBar(pen, { scale, height }) {
  pen.fillStyle = "rgba(255,255,255,0.85)";
  pen.fillRect(4, height - 22, GRID_M * scale + 44, 18);
  pen.beginPath();
  pen.moveTo(8, height - 13);
  pen.lineTo(8 + GRID_M * scale, height - 13);
  Object.assign(pen, { strokeStyle: INK, lineWidth: 2 });
  pen.stroke();
  Object.assign(pen, { fillStyle: INK, font: "11px system-ui, sans-serif", textAlign: "left", textBaseline: "middle" });
  pen.fillText(`${GRID_M} m`, 13 + GRID_M * scale, height - 13);
}

function label(pen, [x, y], text) {
  pen.font = "600 11px system-ui, sans-serif";
  const wide = pen.measureText(text).width + 6;
  pen.fillStyle = CITED;
  pen.fillRect(x + 8, y - 8, wide, 15);
  Object.assign(pen, { fillStyle: PAPER, textAlign: "left", textBaseline: "middle" });
  pen.fillText(text, x + 11, y);
}

function note(pen, width, height, text) {
  Object.assign(pen, {
    fillStyle: MUTED,
    font: "12px system-ui, sans-serif",
    textAlign: "center",
    textBaseline: "middle",
  });
  pen.fillText(text, width / 2, height / 2);
}
