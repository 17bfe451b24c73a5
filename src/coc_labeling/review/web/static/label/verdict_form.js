// The judgement: verdict, reason, checklist, note; and the edit where the verdict is one.

import { Sender } from "./api.js";

const CYCLE = { "": "yes", yes: "no", no: "unclear", unclear: "" };
const VERDICTS = { a: "accept", e: "edit", r: "reject", u: "unsure" };

export class VerdictForm {
  constructor(form, data, csrf, edit, announce) {
    Object.assign(this, { form, data, csrf, edit, announce });
    this.isOpen = data.phase !== "done"; // else the judgement is shown, until somebody changes it
    this.isRefused = false; // accepted, with a rule that is broken
    this.isPicking = false; // a reason: number keys then mean reasons
    this.told = form.querySelector("#told");
    this.note = form.querySelector("#note");
    this.rules = [...form.querySelectorAll("#checklist li")];
    this.sender = new Sender(form.querySelector("#submit"), form.querySelector("#error"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    form.addEventListener("keydown", (event) => {
      // Whoever types the text of a component does not mean to save everything.
      if (event.key === "Enter" && event.target.matches("input[data-field]") && !event.ctrlKey && !event.metaKey)
        event.preventDefault();
    });
    form.addEventListener("change", (event) => {
      if (event.target.name === "verdict") this.#verdictChosen();
      if (event.target.name === "reason") this.#reasonChosen();
      this.#show();
    });
    this.note.addEventListener("input", () => this.#grow());
    if (data.judgement) this.#fill(data.judgement);
  }

  bind(keys) {
    const open = () => this.isOpen;
    keys.add("Verdict", "a e r u", "accept, edit, reject, unsure", (key) => this.choose(VERDICTS[key]));
    keys.add(
      "Verdict",
      "1 2 3 4 5 6 7 8 9 0",
      "after r: the reason of that number",
      (key) => this.#pick(key),
      () => open() && this.isPicking,
    );
    keys.add(
      "Verdict",
      "1 2 3 4 5 6",
      "rule of that number: yes, no, unclear, open",
      (key) => this.#cycle(Number(key) - 1),
      open,
    );
    keys.add("Verdict", "n", "write a note", () => this.note.focus(), open);
    keys.add(
      "Verdict",
      "w",
      "while editing: write the sentence from the structure",
      () => this.edit.compose(),
      () => open() && this.verdict === "edit",
    );
    keys.add("Verdict", "Escape", "leave a field", () => document.activeElement?.blur());
    keys.add("Verdict", "Enter Ctrl+Enter", "save and go on to the next label", () => this.submit(), open);
  }

  get verdict() {
    return this.#checked("verdict");
  }

  /** Open the form of a task that is judged already. */
  open() {
    this.isOpen = true;
    for (const part of this.form.querySelectorAll(".judging")) part.hidden = false;
    this.form.querySelector("#done").hidden = true;
    this.form.querySelector("#phase").textContent = "Judge again";
    this.#show();
  }

  choose(verdict) {
    if (!this.isOpen) this.open();
    this.#check("verdict", verdict);
    this.#verdictChosen();
    this.#show();
    this.announce(verdict === "reject" ? "reject: choose a reason" : verdict);
  }

  submit() {
    const problem = this.#problem();
    if (problem) return this.sender.show(problem);
    const { task, revision } = this.data;
    return this.sender.send(`/api/tasks/${task}/judgement`, this.csrf, { revision, judgement: this.#judgement() });
  }

  get isDirty() {
    return (
      (this.verdict === "edit" && this.edit.isDirty) || this.note.value.trim() !== (this.data.judgement?.note ?? "")
    );
  }

  #judgement() {
    const checklist = {};
    for (const name of this.#ruleNames()) {
      const answer = this.#checked(name);
      if (answer) checklist[name.slice("rule-".length)] = answer;
    }
    return {
      verdict: this.verdict,
      reason: this.verdict === "reject" ? this.#checked("reason") : null,
      note: this.note.value.trim(),
      checklist,
      edit: this.verdict === "edit" ? this.edit.read() : null,
    };
  }

  #problem() {
    if (!this.verdict) return "Choose a verdict first: a, e, r or u.";
    if (this.verdict === "reject" && !this.#checked("reason"))
      return "Choose the reason of the rejection by its number.";
    if (this.verdict === "reject" && this.#checked("reason") === "other" && !this.note.value.trim()) {
      this.note.focus();
      return "Say in the note which other reason it is.";
    }
    if (this.verdict === "accept" && this.#broken().length) return this.#brokenWords();
    return this.verdict === "edit" ? this.edit.problem() : null;
  }

  #broken() {
    return this.#ruleNames()
      .filter((name) => this.#checked(name) === "no")
      .map((name) => name.slice("rule-".length).replaceAll("_", " "));
  }

  #brokenWords() {
    return `A label that breaks a rule (${this.#broken().join(", ")}) is not accepted: edit or reject it.`;
  }

  #ruleNames() {
    return this.rules.map((rule) => rule.querySelector("input").name);
  }

  #cycle(index) {
    const name = this.#ruleNames()[index];
    const answer = CYCLE[this.#checked(name) ?? ""];
    this.#check(name, answer);
    this.rules[index].scrollIntoView({ block: "nearest" });
    this.announce(`${name.slice("rule-".length).replaceAll("_", " ")}: ${answer || "open"}`);
    this.#show();
  }

  #pick(key) {
    const inputs = [...this.form.querySelectorAll("[name=reason]")];
    const chosen = inputs[(Number(key) + 9) % 10];
    this.#check("reason", chosen.value);
    this.#reasonChosen();
    this.announce(chosen.value.replaceAll("_", " "));
    this.#show();
  }

  #verdictChosen() {
    this.isPicking = this.verdict === "reject";
    if (this.verdict === "edit") this.edit.start();
    this.sender.clear();
  }

  #reasonChosen() {
    this.isPicking = false;
    this.sender.clear();
    if (this.#checked("reason") === "other") this.note.focus();
  }

  #show() {
    const { verdict } = this;
    this.form.querySelector("#reasons").hidden = verdict !== "reject";
    this.form.classList.toggle("picking", this.isPicking);
    this.told.hidden = this.isOpen && verdict === "edit";
    this.edit.root.hidden = !this.told.hidden;
    const isRefused = verdict === "accept" && this.#broken().length > 0;
    if (isRefused) this.sender.show(this.#brokenWords());
    else if (this.isRefused) this.sender.clear();
    this.isRefused = isRefused;
  }

  #fill({ verdict, reason, note, checklist, edit }) {
    this.#check("verdict", verdict);
    if (reason) this.#check("reason", reason);
    this.note.value = note;
    for (const [item, answer] of Object.entries(checklist)) this.#check(`rule-${item}`, answer);
    if (edit) this.edit.start(edit);
    this.#show();
  }

  #checked(name) {
    return this.form.querySelector(`[name=${name}]:checked`)?.value ?? null;
  }

  #check(name, value) {
    for (const input of this.form.querySelectorAll(`[name=${name}]`)) input.checked = input.value === value;
  }

  #grow() {
    this.note.style.height = "auto";
    this.note.style.height = `${Math.min(this.note.scrollHeight + 2, 96)}px`;
  }
}
