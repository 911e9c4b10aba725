"use strict";
// What Gradio leaves out: screen readers hear what the status lines say, and frames are as high as their pages.
(() => {
  const spoken = document.createElement("div");
  spoken.className = "unseen";
  spoken.setAttribute("role", "status");
  let last = "";

  function listen() {
    document.body.append(spoken);
    new MutationObserver(() => {
      const shown = [...document.querySelectorAll(".said [data-say]")].filter((each) => each.offsetParent);
      const text = shown.map((each) => each.dataset.say).join(" ");
      if (text !== last) spoken.textContent = last = text;
    }).observe(document.body, { childList: true, subtree: true });
    document.addEventListener("load", (event) => fit(event.target), true);
  }

  function fit(frame) {
    if (!(frame instanceof HTMLIFrameElement) || !frame.classList.contains("part")) return;
    const page = frame.contentDocument.documentElement;
    const resize = () => {
      if (frame.offsetParent) frame.style.height = `${frame.contentDocument.body.scrollHeight + 40}px`;
    };
    new ResizeObserver(resize).observe(frame.contentDocument.body);
    new ResizeObserver(resize).observe(frame);
    page.classList.add("framed");
    resize();
  }

  if (document.body) listen();
  else document.addEventListener("DOMContentLoaded", listen);
})();
