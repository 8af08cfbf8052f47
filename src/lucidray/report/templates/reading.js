"use strict";
(() => {
  const list = document.getElementById("films");
  const films = [...list.children];
  const told = document.getElementById("told");
  const state = { kind: "", words: "", by: "urgency" };
  const number = (film, key) => Number(film.dataset[key]);
  const order = {
    urgency: (a, b) => number(b, "urgency") - number(a, "urgency"),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
  };
  const probability = (film, at) => Number((film.dataset.p || "").split(" ")[at] || -1);
  const compare = (a, b) =>
    (order[state.by] || ((x, y) => probability(y, state.by) - probability(x, state.by)))(a, b) ||
    number(a, "at") - number(b, "at");
  const fits = (film) =>
    (!state.kind || film.dataset.kind === state.kind ||
      (state.kind === "uncertain" && "unsure" in film.dataset)) &&
    (!state.words || film.dataset.name.toLowerCase().includes(state.words));
  const show = () => {
    let shown = 0;
    for (const film of films) {
      film.hidden = !fits(film);
      shown += film.hidden ? 0 : 1;
    }
    told.textContent = shown === films.length ? "" : `${shown} of ${films.length} shown`;
  };
  const choose = (button) => {
    for (const each of document.querySelectorAll("[data-filter]"))
      each.setAttribute("aria-pressed", String(each === button));
    state.kind = button.dataset.filter;
    show();
  };
  for (const button of document.querySelectorAll("[data-filter]"))
    button.addEventListener("click", () => choose(button));
  document.getElementById("by").addEventListener("change", (event) => {
    state.by = event.target.value;
    list.append(...[...films].sort(compare));
  });
  document.getElementById("words").addEventListener("input", (event) => {
    state.words = event.target.value.trim().toLowerCase();
    show();
  });
  const viewer = document.getElementById("viewer");
  const close = () => viewer.close();
  list.addEventListener("click", (event) => {
    const shot = event.target.closest("button.shot");
    if (!shot) return;
    const image = shot.querySelector("img");
    viewer.querySelector("img").src = image.src;
    viewer.querySelector("img").alt = image.alt;
    viewer.querySelector("p").textContent = image.alt;
    const link = viewer.querySelector("a");
    link.hidden = !shot.dataset.large;
    link.href = shot.dataset.large || "#";
    viewer.showModal();
  });
  viewer.addEventListener("click", (event) => {
    if (event.target.tagName !== "A") close();
  });
  document.getElementById("tools").hidden = false;
})();
