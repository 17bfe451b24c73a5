// The sampled frames, which a labeller may have been shown: a press seeks.

const NEAR_SEC = 0.05;

export function showStrip(host, frames, base, cursor) {
  const buttons = frames.map((frame) => {
    const button = document.createElement("button");
    button.type = "button";
    const offset = frame.t - cursor.t0;
    const words = `${offset < -NEAR_SEC ? "−" : offset > NEAR_SEC ? "+" : ""}${Math.abs(offset).toFixed(1)} s`;
    const isKeyframe = Math.abs(offset) < NEAR_SEC;
    button.classList.toggle("keyframe", isKeyframe);
    button.setAttribute("aria-label", isKeyframe ? "Frame of the keyframe" : `Frame at ${words}`);
    const picture = new Image();
    picture.alt = "";
    picture.decoding = "async";
    picture.fetchPriority = "low"; // the video comes first
    picture.src = base + frame.url;
    picture.draggable = false;
    const caption = document.createElement("span");
    caption.textContent = isKeyframe ? "keyframe" : words;
    button.append(picture, caption);
    button.addEventListener("click", () => {
      cursor.pause();
      cursor.seek(frame.t);
    });
    return button;
  });
  host.replaceChildren(...buttons);
  host.classList.toggle("few", frames.length <= 6);
  const mark = () => {
    const current = frames.findLastIndex((frame) => frame.t <= cursor.t + NEAR_SEC);
    buttons.forEach((button, index) => button.classList.toggle("current", index === current));
  };
  cursor.on("time", mark);
  mark();
}
