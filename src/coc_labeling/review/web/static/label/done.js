// A task that is judged: undo, change, go on.

import { Sender } from "./api.js";

export class Done {
  constructor(root, data, csrf, verdictForm) {
    Object.assign(this, { root, data, csrf, verdictForm });
    this.sender = new Sender(root.querySelector("#undo"), root.querySelector("#undo-error"));
    root.querySelector("#undo").addEventListener("click", () => this.undo());
    root.querySelector("#change").addEventListener("click", () => verdictForm.open());
  }

  bind(keys) {
    const shown = () => !this.root.hidden;
    keys.add("Judged already", "z", "undo the judgement", () => this.undo(), shown);
    keys.add("Judged already", "c", "change the judgement", () => this.verdictForm.open(), shown);
    keys.add(
      "Judged already",
      "Enter",
      "go on to the next task",
      () => this.root.querySelector("#go-on").click(),
      shown,
    );
  }

  undo() {
    return this.sender.send(`/api/tasks/${this.data.task}/undo`, this.csrf, { revision: this.data.revision });
  }
}
