"use strict";
// The blind vote. Votes stay in the browser (localStorage) until they are saved as CSV for `laureate votes`.
(() => {
  const data = JSON.parse(document.getElementById("pictures").textContent);
  const at = (id) => document.getElementById("vote-" + id);
  const box = at("box");
  const place = "laureate-votes-" + data.study;
  const COLUMNS = ["study", "rater", "prompt", "seed", "left", "right", "choice", "seconds"];
  const KEYS = { 1: "left", 2: "right", 0: "tie" };
  let state = { rater: "", start: crypto.getRandomValues(new Uint32Array(1))[0], votes: [] };
  let kept = true;
  let shownAt = 0;

  // A small generator (mulberry32) from a text: the same text gives the same order of pictures.
  function generator(text) {
    let seed = 2166136261;
    for (const letter of text) seed = Math.imul(seed ^ letter.codePointAt(0), 16777619);
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffled(items, random) {
    const order = [...items];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  const pairs = data.models.flatMap((_, i) => data.models.slice(0, i).map((_, j) => [j, i]));

  // One round has every pair of models once. Rounds 1, 3, 5 ... have the same pictures for everybody, so that
  // the agreement of raters can be computed; the others are each rater's own. Order and sides are always random.
  function round(number) {
    const own = `${data.study}|${state.start}|${number}`;
    const random = generator(number % 2 ? own : `${data.study}|${number}`);
    const noises = shuffled(data.noises.keys(), random);
    const items = pairs.map((pair, i) => ({ pair, noise: noises[i % noises.length] }));
    const order = generator(own + "|order");
    return shuffled(items, order).map(({ pair, noise }) => ({ pair: shuffled(pair, order), noise }));
  }

  function current() {
    const count = state.votes.length;
    const { pair, noise } = round(Math.floor(count / pairs.length))[count % pairs.length];
    return { noise: data.noises[noise], left: pair[0], right: pair[1] };
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify(state));
    } catch {
      kept = false;
    }
  }

  function show() {
    const { noise, left, right } = current();
    at("text").textContent = noise.text;
    at("left").src = noise.pictures[left];
    at("right").src = noise.pictures[right];
    const count = state.votes.length;
    const rest = pairs.length - (count % pairs.length);
    at("progress").textContent =
      `${count} ${count === 1 ? "vote" : "votes"} by ${state.rater}; ${rest} more until every pair of models ` +
      `has been shown ${["once", "twice"][Math.floor(count / pairs.length)] ?? "once more"}. ` +
      (kept ? "They are kept in this browser until you start over." : "This browser keeps nothing: save before you leave.");
    at("undo").disabled = count === 0;
    at("save").disabled = count === 0;
    shownAt = performance.now();
  }

  function vote(choice) {
    const { noise, left, right } = current();
    state.votes.push({
      study: data.study, rater: state.rater, prompt: noise.prompt, seed: noise.seed,
      left: data.models[left][0], right: data.models[right][0], choice,
      seconds: ((performance.now() - shownAt) / 1000).toFixed(1),
    });
    keep();
    show();
  }

  function csv() {
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    const lines = state.votes.map((row) => COLUMNS.map((name) => quoted(row[name])).join(","));
    return [COLUMNS.join(","), ...lines].join("\n") + "\n";
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `votes-${state.rater.replace(/[^\p{L}\p{N}]+/gu, "-")}-${data.study}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function open(running) {
    at("start").hidden = running;
    at("running").hidden = !running;
    if (running) {
      show();
      box.focus();
    }
  }

  at("reminders").append(...data.reminders.map((index) => {
    const picture = new Image(96, 96);
    [picture.alt, picture.src] = data.portraits[index];
    return picture;
  }));
  at("start").addEventListener("submit", (event) => {
    event.preventDefault();
    state.rater = at("rater").value.trim();
    keep();
    open(true);
  });
  for (const button of box.querySelectorAll("[data-choice]"))
    button.addEventListener("click", () => vote(button.dataset.choice));
  // Single keys count only while the focus is in the vote, so that they disturb nothing elsewhere.
  box.addEventListener("keydown", (event) => {
    if (at("running").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in KEYS) {
      event.preventDefault();
      vote(KEYS[event.key]);
    }
  });
  at("undo").addEventListener("click", () => {
    state.votes.pop();
    keep();
    show();
    box.focus();
  });
  at("save").addEventListener("click", save);
  at("clear").addEventListener("click", () => {
    if (!confirm(`Delete the ${state.votes.length} votes that this browser has kept?`)) return;
    state = { ...state, rater: "", votes: [], start: crypto.getRandomValues(new Uint32Array(1))[0] };
    keep();
    open(false);
  });
  try {
    const stored = JSON.parse(localStorage.getItem(place));
    if (stored && Array.isArray(stored.votes)) state = stored;
  } catch {
    kept = false;
  }
  at("rater").value = state.rater;
  open(Boolean(state.rater));
  if (state.rater) box.blur(); // a page that opens leaves the focus where a reader begins
})();
