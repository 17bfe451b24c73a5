// The keyboard: each key with what it does, in one list, which is also what "?" shows.

const TYPED = "input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select";
const NATIVE = "button, a[href], summary, input[type=radio], input[type=checkbox]";
const WHILE_TYPING = new Set(["Ctrl+Enter", "Escape"]);
const HELD = /^(Shift\+)?Arrow/; // keys that go on while they are held

export class Keys {
  constructor() {
    this.all = [];
    document.addEventListener("keydown", (event) => this.#pressed(event));
    releaseAfterClicks();
  }

  /** Bind keys, as one text with spaces between them, to an action; when says whether it applies now. */
  add(group, keys, words, run, when = () => true) {
    this.all.push({ group, keys: keys.split(" ").map((key) => (key === "Space" ? " " : key)), words, run, when });
  }

  #pressed(event) {
    if (event.isComposing || event.altKey || document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (event.target.matches?.(TYPED) && !WHILE_TYPING.has(name)) return;
    // For a moment after a dialog closes the focus is still on its button.
    if (event.target.matches?.(NATIVE) && isNative(event) && !event.target.closest("dialog")) return;
    const bound = this.all.find((one) => one.keys.includes(name) && one.when());
    if (!bound || event.defaultPrevented) return;
    event.preventDefault();
    if (!event.repeat || HELD.test(name)) bound.run(name);
  }

  /** Fill a dialog with the list. */
  list(host) {
    const groups = new Map();
    for (const one of this.all) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
    host.replaceChildren(...[...groups].map(([name, bound]) => section(name, bound)));
  }
}

/** A button that was clicked does not keep the space bar, which plays; one that the keyboard has reached does. */
function releaseAfterClicks() {
  let isPointer = false;
  document.addEventListener("pointerdown", () => (isPointer = true), true);
  document.addEventListener("keydown", () => (isPointer = false), true);
  document.addEventListener("click", () => {
    if (!isPointer) return;
    setTimeout(() => document.activeElement?.matches(NATIVE) && document.activeElement.blur());
  });
}

function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift}${key}`;
}

/** Whether a key means something to the button, link or box that has the focus. */
function isNative(event) {
  if (event.ctrlKey || event.metaKey) return false;
  if (event.target.type === "radio") return event.key === " " || event.key.startsWith("Arrow");
  if (event.target.type === "checkbox") return event.key === " ";
  return event.key === " " || event.key === "Enter";
}

function section(name, bound) {
  const part = document.createElement("section");
  const title = document.createElement("h3");
  title.textContent = name;
  const list = document.createElement("dl");
  for (const { keys, words } of bound) {
    const term = document.createElement("dt");
    const digits = keys.length > 3 && keys.every((key) => /^[0-9]$/.test(key));
    term.append(...(digits ? [cap(keys[0]), " … ", cap(keys.at(-1))] : keys.flatMap((key) => [cap(key), " "])));
    const text = document.createElement("dd");
    text.textContent = words;
    list.append(term, text);
  }
  part.append(title, list);
  return part;
}

const SPELLED = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };

function cap(key) {
  const element = document.createElement("kbd");
  element.textContent = key
    .split("+")
    .map((part) => SPELLED[part] ?? part)
    .join(" ");
  return element;
}
