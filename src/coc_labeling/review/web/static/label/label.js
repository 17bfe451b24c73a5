// The label page: puts the scene, the form of the phase, and the keys together.

import { Chart } from "./chart.js";
import { Cursor } from "./cursor.js";
import { Done } from "./done.js";
import { EditForm } from "./edit_form.js";
import { HistoryForm } from "./history_form.js";
import { Keys } from "./keys.js";
import { playTimer, playVideo, tieBar } from "./player.js";
import { TopView } from "./scene.js";
import { showStrip } from "./strip.js";
import { VerdictForm } from "./verdict_form.js";

const WITHOUT_VIDEO = "coc-without-video"; // remembered, so that pages of such a run are laid out for it from the start
const FIVE_STEPS = 5;

const find = (selector) => document.querySelector(selector);
const root = find("#task");
const data = JSON.parse(find("#data").textContent);
const { csrf } = root.dataset;
const base = `/tasks/${data.task}/`;
const keys = new Keys();
const announce = (text) => {
  find("#state").textContent = text;
};

bindPage();
if (find("#start")) bindStart(find("#start"));
else begin();

function bindPage() {
  keys.add("Tasks", "j", "next task", () => find("#next").click());
  keys.add("Tasks", "k", "the task judged before (z undoes it there)", () => find("#previous").click());
  keys.add("Tasks", "?", "this list", showKeys);
  find("#show-keys").addEventListener("click", showKeys);
}

function bindStart(form) {
  keys.add("This task", "Enter", "start", () => form.requestSubmit());
  form.addEventListener(
    "submit",
    () => {
      form.addEventListener("submit", (event) => event.preventDefault()); // once is enough
    },
    { once: true },
  );
}

function showKeys() {
  keys.list(find("#keys-list"));
  find("#keys").showModal();
}

function begin() {
  if (sessionStorage.getItem(WITHOUT_VIDEO)) root.classList.add("without-video");
  const form = find("#history") ? beginHistory() : beginVerdict();
  let isLeft = false;
  window.addEventListener("coc:leave", () => {
    isLeft = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (form.isDirty && !isLeft) event.preventDefault();
  });
  showScene(data.scene);
}

function beginHistory() {
  const form = new HistoryForm(find("#history"), data, csrf, announce);
  form.bind(keys);
  return form;
}

function beginVerdict() {
  const edit = new EditForm(find("#edit"), data, csrf, find("#component-template"));
  const form = new VerdictForm(find("#verdict"), data, csrf, edit, announce);
  if (data.phase === "done") new Done(find("#done"), data, csrf, form).bind(keys);
  form.bind(keys);
  return form;
}

function showScene(scene) {
  const cursor = new Cursor(scene);
  tieBar(find(".stage"), cursor);
  bindTime(cursor);
  const hasVideo = scene.video.url !== null;
  root.classList.toggle("without-video", !hasVideo);
  if (hasVideo) {
    sessionStorage.removeItem(WITHOUT_VIDEO);
    playVideo(find("#video"), base + scene.video.url, scene.video.start, cursor, (problem) =>
      goOnWithout(problem, cursor),
    );
  } else {
    sessionStorage.setItem(WITHOUT_VIDEO, "1");
    playTimer(cursor);
  }
  new Chart(find("#chart"), scene, cursor);
  new TopView(find("#above"), scene, citedTracks(), cursor);
  showStrip(find("#strip"), scene.frames, base, cursor);
  showProblems([...(scene.video.problem ? [scene.video.problem] : []), ...scene.problems]);
}

function bindTime(cursor) {
  keys.add("Time", "Space", "play, pause", () => cursor.toggle());
  keys.add("Time", "ArrowLeft ArrowRight", "0.1 s back, on", (key) => cursor.step(key.endsWith("Left") ? -1 : 1));
  keys.add("Time", "Shift+ArrowLeft Shift+ArrowRight", "0.5 s back, on", (key) =>
    cursor.step(key.endsWith("Left") ? -FIVE_STEPS : FIVE_STEPS),
  );
  keys.add("Time", "Home", "to the keyframe", () => {
    cursor.pause();
    cursor.seek(cursor.t0);
  });
}

/** Let time pass on where the browser gives up on the video. */
function goOnWithout(problem, cursor) {
  const note = find("#no-video");
  note.textContent = problem;
  note.hidden = false;
  playTimer(cursor);
}

/** The ids of components by the track that they are about. */
function citedTracks() {
  const found = new Map(); // tracks may have any name, those of an object's own properties as well
  for (const { id, track_id: track } of data.components) if (track) found.set(track, [...(found.get(track) ?? []), id]);
  return found;
}

function showProblems(problems) {
  const list = find("#problems");
  list.replaceChildren(
    ...problems.map((problem) => {
      const item = document.createElement("li");
      item.textContent = problem;
      return item;
    }),
  );
  list.hidden = problems.length === 0;
}
