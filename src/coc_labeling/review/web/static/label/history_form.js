// Phase one: components of the history are confirmed or struck, others are added.

import { Sender } from "./api.js";
import { fill, freeId, kindOf, read, tieFields } from "./component_fields.js";

const CYCLE = { "": "confirmed", confirmed: "struck", struck: "" };
const NEW = { category: "critical_object", relation: "", side: "", description: "" };

export class HistoryForm {
  constructor(form, data, csrf, announce) {
    Object.assign(this, { form, data, csrf, announce, added: [], isSure: false });
    this.rows = [...form.querySelectorAll("#components > li")];
    this.adding = form.querySelector("#adding");
    this.description = this.adding.querySelector("[data-field=description]");
    this.sender = new Sender(form.querySelector("#submit"), form.querySelector("#error"));
    tieFields(this.adding);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.finish();
    });
    form.addEventListener("change", () => this.#show());
    this.rows.forEach((row, index) => row.addEventListener("click", () => this.#choose(index)));
    form.querySelector("#add").addEventListener("click", () => this.openAdding());
    form.querySelector("#add-it").addEventListener("click", () => this.add());
    form.querySelector("#add-not").addEventListener("click", () => this.closeAdding());
    this.adding.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input") && !event.ctrlKey && !event.isComposing) {
        event.preventDefault();
        this.add();
      }
    });
    this.#choose(0);
    this.#show();
  }

  bind(keys) {
    const group = "Phase 1";
    if (this.rows.length) {
      const numbers = this.rows
        .slice(0, 9)
        .map((_, index) => String(index + 1))
        .join(" ");
      keys.add(group, numbers, "confirm, strike, or neither: the component of that number", (key) =>
        this.cycle(Number(key) - 1),
      );
      keys.add(group, "ArrowUp ArrowDown", "choose a component", (key) =>
        this.#choose(this.chosen + (key === "ArrowUp" ? -1 : 1)),
      );
      keys.add(group, "c x", "confirm or strike the chosen one", (key) =>
        this.answer(key === "c" ? "confirmed" : "struck"),
      );
    }
    keys.add(group, "n", "add a component", () => this.openAdding());
    keys.add(group, "Escape", "leave a field, close the form of a component", () => this.#leave());
    keys.add(group, "Enter Ctrl+Enter", "finish phase 1", () => this.finish());
  }

  answerOf(row) {
    return row.querySelector("input:checked")?.value ?? "";
  }

  cycle(index) {
    this.#choose(index);
    this.#set(CYCLE[this.answerOf(this.rows[index])]);
  }

  answer(value) {
    this.#set(value);
    const open = this.rows.findIndex((row) => this.answerOf(row) === "");
    if (open >= 0) this.#choose(open);
  }

  openAdding() {
    this.adding.hidden = false;
    this.form.querySelector("#add").hidden = true;
    this.adding.scrollIntoView({ block: "nearest" });
    this.adding.querySelector("[data-field=category]").focus();
  }

  closeAdding() {
    fill(this.adding, NEW);
    this.adding.hidden = !this.data.blank;
    this.form.querySelector("#add").hidden = this.data.blank;
    document.activeElement?.blur();
  }

  add() {
    const component = read(this.adding);
    if (!component.description) {
      this.description.focus();
      return this.sender.show("Say in the description which one it is.");
    }
    this.sender.clear();
    this.added.push({ id: freeId([...this.data.components, ...this.added]), ...component });
    this.closeAdding();
    this.#show();
    this.announce(`added: ${component.description}`);
  }

  finish() {
    const left = this.rows.filter((row) => this.answerOf(row) === "");
    if (left.length) {
      this.#choose(this.rows.indexOf(left[0]));
      return this.sender.show(
        `Confirm or strike each component. Still open: ${left.map((row) => row.dataset.id).join(", ")}.`,
      );
    }
    if (this.description.value.trim()) {
      this.description.focus();
      return this.sender.show("A component is written but not added. Add it with Enter, or cancel it with Esc.");
    }
    if (!this.rows.length && !this.added.length && !this.isSure) {
      this.isSure = true; // the Enter before may have been meant for another label
      return this.sender.show("The list is empty. If nothing matters, finish once more.");
    }
    const ids = (answer) => this.rows.filter((row) => this.answerOf(row) === answer).map((row) => row.dataset.id);
    const answer = { confirmed: ids("confirmed"), struck: ids("struck"), added: this.added };
    return this.sender.send(`/api/tasks/${this.data.task}/history`, this.csrf, {
      revision: this.data.revision,
      answer,
    });
  }

  get isDirty() {
    return this.added.length > 0 || this.description.value.trim() !== "";
  }

  #leave() {
    if (this.adding.contains(document.activeElement)) this.closeAdding();
    else document.activeElement?.blur();
  }

  #choose(index) {
    if (!this.rows.length) return;
    this.chosen = Math.min(Math.max(index, 0), this.rows.length - 1);
    this.rows.forEach((row, at) => row.classList.toggle("chosen", at === this.chosen));
    this.rows[this.chosen].scrollIntoView({ block: "nearest" });
  }

  #set(value) {
    const row = this.rows[this.chosen];
    for (const input of row.querySelectorAll("input")) input.checked = input.value === value;
    this.announce(`${row.dataset.id}: ${value || "open"}`);
    this.#show();
  }

  #show() {
    for (const row of this.rows) row.dataset.answer = this.answerOf(row);
    const left = this.rows.filter((row) => this.answerOf(row) === "").length;
    this.form.querySelector("#left").textContent = left
      ? `${left} of ${this.rows.length} still open`
      : "The future is shown next; phase 1 cannot be changed after that.";
    if (!left) this.sender.clear();
    this.isSure = false;
    this.form.querySelector("#added").replaceChildren(...this.added.map((component) => this.#addedRow(component)));
  }

  #addedRow(component) {
    const [row, mark, told, kind, text, remove] = ["li", "b", "div", "span", "p", "button"].map((tag) =>
      document.createElement(tag),
    );
    mark.className = "id";
    mark.textContent = component.id;
    told.className = "told";
    kind.className = "kind";
    kind.textContent = kindOf(component);
    text.textContent = component.description;
    told.append(kind, text);
    Object.assign(remove, { type: "button", className: "quiet remove", textContent: "×" });
    remove.setAttribute("aria-label", `Remove ${component.description}`);
    remove.addEventListener("click", () => {
      this.added = this.added.filter((one) => one !== component);
      this.#show();
    });
    row.append(mark, told, remove);
    return row;
  }
}
