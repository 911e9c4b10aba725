"use strict";
// The table's columns sort on a click. Rows that are no model stay below.
(() => {
  const table = document.querySelector("table.sortable");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const status = document.getElementById("sorted");
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    head.querySelector("button")?.addEventListener("click", () => {
      const first = head.dataset.direction === "higher" ? "descending" : "ascending";
      const other = { ascending: "descending", descending: "ascending" };
      const order = head.getAttribute("aria-sort") === first ? other[first] : first;
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const number = (row) => Number.parseFloat(row.cells[column].dataset.value);
      const below = (row) => Number(row.classList.contains("floor"));
      const sign = order === "ascending" ? 1 : -1;
      const sorted = rows.toSorted((a, b) => {
        const [x, y] = [number(a), number(b)];
        const missing = Number(Number.isNaN(x)) - Number(Number.isNaN(y));
        const model = below(a) ? 0 : missing || sign * (x - y);
        return below(a) - below(b) || model || rows.indexOf(a) - rows.indexOf(b);
      });
      body.append(...sorted);
      status.textContent = `Sorted by ${head.dataset.name}, ${order}.`;
    });
  }
})();
// The slider over models on one starting noise.
(() => {
  const place = document.getElementById("explore");
  if (!place) return;
  const data = JSON.parse(document.getElementById("pictures").textContent);
  const at = (id) => document.getElementById("explore-" + id);
  const several = new Set(data.noises.map((noise) => noise.seed)).size > 1;
  at("noise").append(...data.noises.map((noise, i) => new Option(noise.text + (several ? ` (seed ${noise.seed})` : ""), i)));
  const chosen = data.models.findIndex(([name]) => name === document.body.dataset.selected);
  if (chosen >= 0) at("model").value = chosen;

  function neighbour([portrait, distance, suspect]) {
    const figure = document.createElement("figure");
    const picture = new Image(128, 128);
    const [name, uri] = data.portraits[portrait];
    picture.src = uri;
    picture.alt = `Training portrait of ${name}`;
    const caption = document.createElement("figcaption");
    caption.textContent = `${name}, ${distance.toPrecision(3)}`;
    if (suspect) {
      const note = document.createElement("b");
      note.textContent = " nearer than new portraits are by chance";
      caption.append(note);
    }
    figure.append(picture, caption);
    return figure;
  }

  function show() {
    const noise = data.noises[at("noise").value];
    const model = Number(at("model").value);
    const title = data.models[model][1];
    at("name").textContent = title;
    at("model").setAttribute("aria-valuetext", title);
    at("picture").src = noise.pictures[model];
    at("picture").alt = `${title}: ${noise.text}`;
    at("text").textContent = noise.text;
    at("near").replaceChildren(...(noise.nearest[model] ?? []).map(neighbour));
    at("before").disabled = Number(at("noise").value) === 0;
    at("next").disabled = Number(at("noise").value) === data.noises.length - 1;
  }

  function step(by) {
    at("noise").value = Number(at("noise").value) + by;
    show();
  }
  at("before").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("noise").addEventListener("change", show);
  at("model").addEventListener("input", show);
  show();
})();
