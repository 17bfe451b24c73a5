// What moves the cursor while it plays: the video, or a timer where there is none. And the bar to scrub along.

/** Tie a video to the cursor; onBroken is called with a text where it cannot be played. */
export function playVideo(video, url, first, cursor, onBroken) {
  let wanted = null; // seeks that come while one is under way: the last of them counts
  let isBroken = false;
  const place = (t) => Math.max(0, Math.min(t - first, (video.duration || Infinity) - 0.001)) + 0.0005;
  const go = () => {
    if (wanted === null || video.seeking || video.readyState < 1) return;
    video.currentTime = place(wanted);
    wanted = null;
  };
  const seek = (t) => {
    wanted = t;
    go();
  };
  video.addEventListener("loadedmetadata", () => seek(cursor.t));
  video.addEventListener("seeked", go);
  video.addEventListener("ended", () => {
    cursor.report(cursor.end);
    cursor.pause();
  });
  video.addEventListener("error", () => {
    if (!isBroken) onBroken("The video cannot be played.");
    isBroken = true;
  });
  cursor.on("seek", () => seek(cursor.t));
  cursor.on("play", () => {
    if (isBroken) return;
    if (cursor.playing) video.play().catch(() => isBroken || cursor.pause());
    else video.pause();
  });
  followFrames(video, (seconds) => {
    if (cursor.playing && !video.seeking && wanted === null) cursor.report(first + seconds);
  });
  video.src = url;
}

function followFrames(video, listener) {
  if ("requestVideoFrameCallback" in video) {
    const next = (_now, frame) => {
      listener(frame.mediaTime);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  } else {
    const next = () => {
      if (!video.paused) listener(video.currentTime);
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }
}

/** Let time pass without a video. */
export function playTimer(cursor) {
  let last = null;
  const tick = (now) => {
    if (!cursor.playing) return;
    if (last !== null) cursor.report(cursor.t + (now - last) / 1000);
    last = now;
    if (cursor.t >= cursor.end) cursor.pause();
    else requestAnimationFrame(tick);
  };
  const start = () => {
    last = null;
    if (cursor.playing) requestAnimationFrame(tick);
  };
  cursor.on("play", start);
  start();
}

/** Tie the bar below the video to the cursor: the button, the slider with the keyframe's mark, the time in words. */
export function tieBar(root, cursor) {
  const [button, slider, mark, fromKeyframe, ofClip] = ["#play", "#scrub", "#mark", "#time b", "#time span"].map(
    (one) => root.querySelector(one),
  );
  const share = (t) => (t - cursor.start) / (cursor.end - cursor.start);
  Object.assign(slider, { min: cursor.start, max: cursor.end, step: 0.01 });
  mark.style.left = `${share(cursor.t0) * 100}%`;
  mark.hidden = false;
  const show = () => {
    slider.value = cursor.t;
    slider.style.setProperty("--share", `${share(cursor.t) * 100}%`);
    slider.setAttribute("aria-valuetext", `${cursor.words} from the keyframe`);
    fromKeyframe.textContent = cursor.words;
    ofClip.textContent = `${cursor.t.toFixed(1)} s`;
    root.classList.toggle("at-keyframe", cursor.atKeyframe);
  };
  slider.addEventListener("input", () => {
    cursor.pause();
    cursor.seek(Number(slider.value));
  });
  button.addEventListener("click", () => cursor.toggle());
  cursor.on("time", show);
  cursor.on("play", () => {
    button.setAttribute("aria-label", cursor.playing ? "Pause" : "Play");
    root.classList.toggle("playing", cursor.playing);
  });
  show();
}
