// Colours of charts and top view, and elements of SVG. The colours are those of the run's report.

export const INK = "#1b2530";
export const MUTED = "#5d6b79";
export const GRID = "#e3e8ed";
export const PAPER = "#ffffff";
export const LEFT = "#0072b2";
export const LEFT_SOFT = "#8cc4e8";
export const RIGHT = "#d55e00";
export const RIGHT_SOFT = "#f5b97f";
export const FASTER = "#00805e";
export const FASTER_SOFT = "#7fd0b5";
export const SLOWER = "#a2417f";
export const SLOWER_SOFT = "#e0a9cb";
export const STEADY = "#d3dae0";
export const CITED = "#b3003c";
export const CITED_SOFT = "#f3c6d3";

const ACTIONS = {
  gentle_acceleration: FASTER_SOFT,
  strong_acceleration: FASTER,
  gentle_deceleration: SLOWER_SOFT,
  strong_deceleration: SLOWER,
  maintain_speed: STEADY,
  stop: MUTED,
  reverse: "#e6d94a",
  go_straight: STEADY,
  keep_lane: STEADY,
};
const DARK = new Set([LEFT, RIGHT, FASTER, SLOWER, MUTED]);
const STRONG = /^(sharp_steer|turn|left_lane_change|right_lane_change|reverse_)/;

/** The colour of a meta-action. */
export function actionColour(name) {
  if (Object.hasOwn(ACTIONS, name)) return ACTIONS[name];
  const strong = STRONG.test(name);
  if (name.includes("left")) return strong ? LEFT : LEFT_SOFT;
  if (name.includes("right")) return strong ? RIGHT : RIGHT_SOFT;
  return "#b7a7d8";
}

/** The colour of text that can be read on another. */
export function inkOn(colour) {
  return DARK.has(colour) ? PAPER : INK;
}

/** Add an element to an SVG picture. */
export function draw(parent, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const NEAR_SEC = 0.15; // up to so long after it a last sample still holds

/** The value of a curve at a time, linear between samples; null outside them and beside gaps. */
export function valueAt(times, values, t) {
  const after = times.findIndex((one) => one >= t - 1e-6);
  if (after < 0) return t - times.at(-1) < NEAR_SEC ? values.at(-1) : null;
  if (times[after] - t < 1e-6) return values[after];
  if (after === 0 || values[after] === null || values[after - 1] === null) return null;
  const share = (t - times[after - 1]) / (times[after] - times[after - 1]);
  return values[after - 1] + share * (values[after] - values[after - 1]);
}
