// How steps are sent to the server, and what is said where one is not taken.

const NO_ANSWER =
  "The server does not answer, so nobody knows whether this is saved. What you entered is still here; try again.";
const PATIENCE_MS = 20000;

/** A step that was not taken; again says whether the page has to be loaded again first. */
export class Refused extends Error {
  constructor(text, again = false) {
    super(text);
    this.again = again;
  }
}

let renewed = null; // the proof of a session that began, in another tab, after this page was loaded

/** Send JSON to the server and return its answer; throws Refused with a text for people. */
export async function post(url, csrf, content, signal = AbortSignal.timeout(PATIENCE_MS)) {
  let answer;
  try {
    answer = await send(url, renewed ?? csrf, content, signal);
    if (answer.status === 403 && (await renew(signal))) answer = await send(url, renewed, content, signal);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(NO_ANSWER);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const text = typeof said.error === "string" ? said.error : `Not saved: the server answered ${answer.status}.`;
  if (answer.status === 401) throw new Refused(`${text} Sign in again in another tab, then repeat it here.`);
  throw new Refused(text, answer.status === 409);
}

function send(url, csrf, content, signal) {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(content),
    signal,
  });
}

/** Ask for the proof of the session that there is now; returns whether there is one. */
async function renew(signal) {
  const answer = await fetch("/api/proof", { signal });
  if (answer.ok) renewed = (await answer.json()).csrf;
  return answer.ok;
}

/** Send what a form asks for once at a time: shows errors in place, keeps inputs, leads on where it worked. */
export class Sender {
  constructor(button, errorBox) {
    Object.assign(this, { button, errorBox, busy: false });
  }

  async send(url, csrf, content) {
    if (this.busy) return;
    this.#setBusy(true);
    this.clear();
    try {
      const { url: next } = await post(url, csrf, content);
      leave();
      window.location.assign(next);
    } catch (error) {
      this.#setBusy(false);
      if (!(error instanceof Refused)) throw error;
      this.show(error.message, error.again);
    }
  }

  show(text, again = false) {
    this.errorBox.replaceChildren(text);
    if (again) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Load again";
      button.addEventListener("click", () => {
        leave();
        window.location.reload();
      });
      this.errorBox.append(" ", button);
    }
    this.errorBox.hidden = false;
  }

  clear() {
    this.errorBox.hidden = true;
    this.errorBox.replaceChildren();
  }

  #setBusy(busy) {
    this.busy = busy;
    this.button.toggleAttribute("aria-busy", busy);
    this.button.setAttribute("aria-disabled", String(busy));
  }
}

/** Say that the page is left on purpose: nobody is asked about what is not saved. */
function leave() {
  window.dispatchEvent(new Event("coc:leave"));
}
