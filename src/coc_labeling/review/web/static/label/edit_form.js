// A label as it should be: decisions, causes, components, sentence; and what the server says of it meanwhile.

import { Refused, post } from "./api.js";
import { fill, freeId, kindOf, read, tieFields } from "./component_fields.js";

const UNOBSERVED = "unobserved";
const PAUSE_MS = 250; // in typing, before the server is asked
const CHANNELS = ["longitudinal", "lateral"];

export class EditForm {
  constructor(root, data, csrf, template) {
    Object.assign(this, { root, data, csrf, template, isStarted: false, composed: "", asked: null });
    [this.list, this.sentence, this.mismatches] = ["#edited-components", "#sentence", "#mismatches"].map((id) =>
      root.querySelector(id),
    );
    this.keepTrace = root.querySelector("#keep-trace");
    root.querySelector("#edit-add").addEventListener("click", () => this.#add());
    root.querySelector("#compose").addEventListener("click", () => this.compose());
    root.addEventListener("change", () => this.#changed());
    root.addEventListener("input", () => this.#changed());
    for (const [, channel] of this.#channels())
      this.#field(channel, "decision").addEventListener("change", () => this.#decided(channel));
  }

  /** Begin with the label, or with an earlier edit; what has been begun stays. */
  start(earlier) {
    if (this.isStarted) return;
    this.isStarted = true;
    this.isNew = !earlier;
    const { label } = this.data;
    const from = earlier ?? { ...label, sentence: label.effect_on_ego_behavior, trace: null };
    for (const component of from.components) this.#addRow(component);
    for (const [name, channel] of this.#channels()) {
      this.#field(channel, "decision").value = from[name]?.decision ?? "";
      if (name === "lateral") this.#field(channel, "direction").value = from[name]?.direction ?? "";
      this.#showCauses(channel, from[name]?.cause_ids ?? []);
      this.#decided(channel);
    }
    this.sentence.value = from.sentence;
    if (this.keepTrace) this.keepTrace.checked = Boolean(from.trace);
    this.#offerAdded();
    this.before = JSON.stringify(this.read());
    this.#ask();
  }

  get isDirty() {
    return this.isStarted && JSON.stringify(this.read()) !== this.before;
  }

  /** Return the edit as the server takes it. */
  read() {
    const edit = {
      components: this.#components(),
      sentence: this.sentence.value.trim(),
      trace: this.keepTrace?.checked ? this.data.label.trace : null,
    };
    for (const [name, channel] of this.#channels()) {
      const decision = this.#field(channel, "decision").value;
      const causes = [...channel.querySelectorAll(".causes input:checked")].map((input) => input.value);
      edit[name] = decision ? { decision, cause_ids: causes } : null;
      if (decision && name === "lateral") edit[name].direction = this.#field(channel, "direction").value || null;
    }
    return edit;
  }

  /** Return in words what is missing, null where nothing is. */
  problem() {
    const edit = this.read();
    if (this.isNew && !this.isDirty) return "Nothing is changed. Accept the label instead (a), or change something.";
    return edit.sentence ? this.#structureProblem(edit) : "Write the sentence.";
  }

  /** Put the sentence that the structure reads like into the field. */
  compose() {
    if (!this.composed)
      return this.#say([this.#structureProblem(this.read()) ?? "There is no sentence for this structure yet."]);
    this.sentence.value = this.composed;
    return this.#changed();
  }

  #structureProblem({ components, longitudinal, lateral }) {
    if (components.some((component) => !component.description)) return "Describe each component, or remove it.";
    for (const [channel, words] of [
      [longitudinal, "speed"],
      [lateral, "lane"],
    ]) {
      if (channel && !channel.cause_ids.length)
        return `Choose a cause of the decision on ${words}, or "none observed".`;
    }
    const needs = lateral && this.data.needDirection.includes(lateral.decision) && !lateral.direction;
    return needs ? `Choose the direction: ${lateral.decision.replaceAll("_", " ")} has one.` : null;
  }

  #channels() {
    return CHANNELS.map((name) => [name, this.root.querySelector(`[data-channel=${name}]`)]);
  }

  #field(root, name) {
    return root.querySelector(`[data-field=${name}]`);
  }

  #components() {
    return [...this.list.children].map((row) => ({
      id: row.dataset.id,
      ...read(row),
      track_id: row.dataset.track || null,
    }));
  }

  #addRow(component) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    row.dataset.id = component.id;
    row.dataset.track = component.track_id ?? "";
    row.querySelector(".id").textContent = component.id;
    fill(row, component);
    tieFields(row);
    row.querySelector(".remove").addEventListener("click", () => {
      row.remove();
      this.#componentsChanged();
    });
    this.list.append(row);
    return row;
  }

  #add() {
    const row = this.#addRow({ id: freeId(this.#components()), category: "critical_object" });
    this.#componentsChanged();
    this.#field(row, "category").focus();
  }

  /** Offer what was added in phase one, which was said knowing the history alone. */
  #offerAdded() {
    const there = new Set(this.#components().map(({ description }) => description));
    const buttons = this.data.added
      .filter(({ description }) => !there.has(description))
      .map((component) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = `+ ${component.description}`;
        button.title = `added by you in phase 1: ${kindOf(component)}`;
        button.addEventListener("click", () => {
          this.#addRow({ ...component, id: freeId(this.#components()) });
          button.remove();
          this.#componentsChanged();
        });
        return button;
      });
    this.root.querySelector("#edit-take").replaceChildren(...buttons);
  }

  #componentsChanged() {
    for (const [, channel] of this.#channels()) {
      this.#showCauses(
        channel,
        [...channel.querySelectorAll(".causes input:checked")].map((input) => input.value),
      );
    }
    this.#changed();
  }

  #showCauses(channel, chosen) {
    const choices = [...this.#components().map(({ id }) => [id, id]), [UNOBSERVED, "none observed"]];
    const boxes = choices.map(([value, words]) => {
      const [label, input, text] = ["label", "input", "span"].map((tag) => document.createElement(tag));
      Object.assign(input, { type: "checkbox", value, checked: chosen.includes(value) });
      text.textContent = words;
      label.append(input, text);
      input.addEventListener("change", () => {
        if (!input.checked) return; // components or "none observed", never both
        for (const other of channel.querySelectorAll(".causes input")) {
          if ((other.value === UNOBSERVED) !== (value === UNOBSERVED)) other.checked = false;
        }
      });
      return label;
    });
    channel.querySelector(".causes").replaceChildren(...boxes);
  }

  #decided(channel) {
    const decision = this.#field(channel, "decision").value;
    channel.querySelector(".causes").hidden = !decision;
    const direction = channel.querySelector(".direction");
    if (!direction) return;
    direction.hidden = !decision || this.data.noDirection.includes(decision);
    if (direction.hidden) this.#field(channel, "direction").value = "";
  }

  #changed() {
    this.asked?.abort(); // its answer would be about what was there before
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  async #ask() {
    this.asked?.abort();
    this.asked = new AbortController();
    const { signal } = this.asked;
    const edit = this.read();
    const problem = this.#structureProblem(edit);
    if (problem) {
      this.composed = "";
      return this.#say([problem]);
    }
    try {
      const said = await post(`/api/tasks/${this.data.task}/mismatches`, this.csrf, { edit }, signal);
      if (signal.aborted) return undefined;
      this.composed = said.sentence;
      return this.#say([...(said.error ? [said.error] : []), ...said.mismatches], this.isDirty);
    } catch (error) {
      if (error.name === "AbortError") return undefined;
      if (!(error instanceof Refused)) throw error;
      return this.#say([error.message]);
    }
  }

  #say(lines, isShown = true) {
    const items = (isShown ? lines : []).map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    });
    this.mismatches.replaceChildren(...items);
  }
}
