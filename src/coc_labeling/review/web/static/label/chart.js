// Speed, acceleration, turn rate and meta-actions over time, with the cursor: a press or a drag seeks.

import { seekByPointer } from "./cursor.js";
import {
  FASTER_SOFT,
  GRID,
  INK,
  LEFT_SOFT,
  MUTED,
  PAPER,
  RIGHT_SOFT,
  SLOWER_SOFT,
  actionColour,
  draw,
  inkOn,
  valueAt,
} from "./drawing.js";

const EDGE = { left: 104, right: 8, top: 6, bottom: 18 }; // label.css lays the slider over the same width
const GAP = 12;
const LANE = 17;
const LEAST_TICK = 12; // px from one to the next
const DEGREES = 180 / Math.PI;
const LETTER = 5.9; // px, the width of one in the lanes
const PANELS = [
  { curve: "speed", name: "speed", unit: "m/s", factor: 1, least: 3, above: GRID, below: GRID },
  {
    curve: "acceleration",
    name: "acceleration",
    unit: "m/s²",
    factor: 1,
    least: 1.5,
    above: FASTER_SOFT,
    below: SLOWER_SOFT,
    both: true,
  },
  {
    curve: "turn_rate",
    name: "turn rate",
    unit: "°/s",
    factor: DEGREES,
    least: 5,
    above: LEFT_SOFT,
    below: RIGHT_SOFT,
    both: true,
  },
];

export class Chart {
  constructor(host, data, cursor) {
    Object.assign(this, { host, data, cursor });
    this.svg = draw(host, "svg", { role: "img", "aria-label": this.#words() });
    this.axes = [...new Set(data.spans.map((span) => span.axis))];
    new ResizeObserver(() => this.#draw()).observe(host);
    cursor.on("time", () => this.#move());
    seekByPointer(this.svg, cursor, (event) => this.#time(event.clientX - this.svg.getBoundingClientRect().left));
  }

  #words() {
    const spans = this.data.spans.map((span) => span.name.replaceAll("_", " "));
    return `Speed, acceleration and turn rate over time${spans.length ? `; meta-actions: ${spans.join(", ")}` : ""}`;
  }

  #x(t) {
    const { start, end } = this.cursor;
    return EDGE.left + ((t - start) / (end - start)) * (this.width - EDGE.left - EDGE.right);
  }

  #time(x) {
    const { start, end } = this.cursor;
    return start + ((x - EDGE.left) / (this.width - EDGE.left - EDGE.right)) * (end - start);
  }

  #draw() {
    this.width = this.host.clientWidth;
    this.height = this.host.clientHeight;
    if (this.width < 80 || this.height < 80) return;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const lanes = this.axes.length * LANE;
    const floor = this.height - EDGE.bottom;
    const each = (floor - EDGE.top - lanes - (PANELS.length - (lanes ? 0 : 1)) * GAP) / PANELS.length;
    this.#drawTimes(floor);
    this.panels = PANELS.map((panel, number) => this.#drawPanel(panel, EDGE.top + number * (each + GAP), each));
    this.#drawLanes(floor - lanes);
    this.#line(this.cursor.t0, floor, { stroke: INK, "stroke-dasharray": "3 3", "stroke-width": 1.2 });
    this.now = this.#line(this.cursor.t, floor, { stroke: "#b3003c", "stroke-width": 1.6 });
    this.#move();
  }

  #line(t, floor, look) {
    return draw(this.svg, "line", { x1: this.#x(t), x2: this.#x(t), y1: EDGE.top, y2: floor, ...look });
  }

  #drawTimes(floor) {
    const { start, end, t0 } = this.cursor;
    const step = end - start > 3 ? 1 : 0.5;
    for (let n = Math.ceil((start - t0) / step - 1e-6); n * step <= end - t0 + 1e-6; n += 1) {
      const x = this.#x(t0 + n * step);
      draw(this.svg, "line", { x1: x, x2: x, y1: EDGE.top, y2: floor, stroke: GRID });
      const text = n === 0 ? "keyframe" : `${n > 0 ? "+" : "−"}${Math.abs(n * step)} s`;
      const anchor = x > this.width - 30 ? "end" : "middle";
      const at = anchor === "end" ? this.width - 2 : x;
      draw(this.svg, "text", { x: at, y: floor + 13, "text-anchor": anchor, class: n === 0 ? "strong" : "" }, text);
    }
  }

  #drawPanel(panel, top, height) {
    const { t } = this.data.curves;
    const values = this.data.curves[panel.curve].map((value) => (value === null ? null : value * panel.factor));
    const [low, high] = reach(panel, values);
    const y = (value) => top + (height * (high - value)) / (high - low);
    for (const tick of ticks(low, high, height / LEAST_TICK)) {
      draw(this.svg, "line", { x1: EDGE.left, x2: this.width - EDGE.right, y1: y(tick), y2: y(tick), stroke: GRID });
      draw(
        this.svg,
        "text",
        { x: EDGE.left - 5, y: y(tick) + 3.5, "text-anchor": "end" },
        String(tick).replace("-", "−"),
      );
    }
    this.#fill(
      t,
      values.map((value) => (value === null ? null : Math.max(value, 0))),
      y,
      panel.above,
    );
    this.#fill(
      t,
      values.map((value) => (value === null ? null : Math.min(value, 0))),
      y,
      panel.below,
    );
    draw(this.svg, "line", {
      x1: EDGE.left,
      x2: this.width - EDGE.right,
      y1: y(0),
      y2: y(0),
      stroke: MUTED,
      "stroke-width": 0.6,
    });
    for (const run of runs(t, values)) {
      const points = run.map(([time, value]) => `${this.#x(time).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      draw(this.svg, "polyline", { points, fill: "none", stroke: INK, "stroke-width": 1.5 });
    }
    const middle = top + height / 2;
    draw(this.svg, "text", { x: 8, y: middle - 5, class: "caption" }, panel.name);
    const readout = draw(this.svg, "text", { x: 8, y: middle + 11, class: "readout" });
    if (panel.curve === "turn_rate") {
      draw(this.svg, "text", { x: EDGE.left + 4, y: top + 10, class: "hint" }, "left");
      draw(this.svg, "text", { x: EDGE.left + 4, y: top + height - 3, class: "hint" }, "right");
    }
    const dot = draw(this.svg, "circle", { r: 3.2, fill: "#b3003c", stroke: PAPER });
    return { panel, t, values, y, dot, readout };
  }

  #fill(t, values, y, fill) {
    for (const run of runs(t, values)) {
      const line = run.map(([time, value]) => `${this.#x(time).toFixed(1)} ${y(value).toFixed(1)}`);
      const [first, last] = [this.#x(run[0][0]), this.#x(run.at(-1)[0])];
      draw(this.svg, "path", { d: `M${first} ${y(0)}L${line.join("L")}L${last} ${y(0)}Z`, fill, "fill-opacity": 0.75 });
    }
  }

  #drawLanes(top) {
    const { start, end } = this.cursor;
    this.axes.forEach((axis, number) => {
      draw(this.svg, "text", { x: 8, y: top + number * LANE + 12 }, axis.slice(0, 16));
    });
    for (const span of this.data.spans) {
      const [from, to] = [Math.max(span.start, start), Math.min(span.end, end)];
      if (to <= from) continue;
      const [x, width, y] = [this.#x(from), this.#x(to) - this.#x(from), top + this.axes.indexOf(span.axis) * LANE];
      const colour = actionColour(span.name);
      const words = span.name.replaceAll("_", " ");
      const box = draw(this.svg, "rect", { x, y: y + 1, width, height: LANE - 2, fill: colour, stroke: PAPER });
      draw(box, "title", {}, words);
      const text = fitting(words, width);
      if (text)
        draw(
          this.svg,
          "text",
          { x: x + width / 2, y: y + 12, "text-anchor": "middle", class: "span", fill: inkOn(colour) },
          text,
        );
    }
  }

  #move() {
    if (!this.now) return;
    const { t } = this.cursor;
    const x = this.#x(t);
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
    for (const { panel, t: times, values, y, dot, readout } of this.panels) {
      const value = valueAt(times, values, t);
      dot.setAttribute("visibility", value === null ? "hidden" : "visible");
      if (value !== null) {
        dot.setAttribute("cx", x);
        dot.setAttribute("cy", y(value));
      }
      readout.textContent =
        value === null
          ? `– ${panel.unit}`
          : `${(Math.round(value * 10) / 10 || 0).toFixed(1).replace("-", "−")} ${panel.unit}`;
    }
  }
}

/** The lower and upper edge of a panel. */
function reach(panel, values) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...known) * 1.15, Math.max(0, ...known) * 1.15];
  if (!panel.both) return [low, Math.max(panel.least, high)];
  const most = Math.max(panel.least, high, -low);
  return [-most, most];
}

function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, Math.min(most, 4));
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = ten * ([1, 2, 5].find((one) => one * ten >= rough) ?? 10);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(Number((n * step).toFixed(6)));
  return found;
}

/** Split a curve at its gaps. */
function runs(t, values) {
  const found = [[]];
  values.forEach((value, index) => {
    if (value === null) found.push([]);
    else found.at(-1).push([t[index], value]);
  });
  return found.filter((run) => run.length > 1);
}

function fitting(words, width) {
  const room = Math.floor((width - 6) / LETTER);
  if (words.length <= room) return words;
  return room >= 6 ? `${words.slice(0, room - 1)}…` : "";
}
