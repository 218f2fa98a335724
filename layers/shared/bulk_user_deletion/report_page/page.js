"use strict";
// The page is complete without this script; with it, its table can be searched, filtered by the
// counts, and sorted.
const body = document.querySelector("tbody");
if (body) {
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const found = document.getElementById("found");
  const search = document.getElementById("search");
  const all = document.getElementById("all");
  const filters = [];
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = filters.find((filter) => filter.getAttribute("aria-pressed") === "true");
    let number = 0;
    for (const row of rows) {
      const text = texts.get(row);
      const fits = !pressed || row.className === pressed.dataset.outcome;
      row.hidden = !fits || !words.every((word) => text.includes(word));
      number += row.hidden ? 0 : 1;
    }
    found.textContent = `${number} of ${rows.length} ${rows.length === 1 ? "entry" : "entries"}`;
    all.hidden = number === rows.length;
  };
  const press = (filter) => {
    for (const other of filters) other.setAttribute("aria-pressed", String(other === filter));
    show();
  };
  search.addEventListener("input", show);
  all.addEventListener("click", () => {
    search.value = "";
    press(null);
    search.focus();
  });

  document.querySelectorAll(".count[data-outcome]").forEach((count) => {
    const filter = document.createElement("button");
    filter.type = "button";
    filter.className = count.className;
    filter.dataset.outcome = count.dataset.outcome;
    filter.title = "Show only these entries";
    filter.setAttribute("aria-pressed", "false");
    filter.append(...count.childNodes);
    count.replaceWith(filter);
    filters.push(filter);
    filter.addEventListener("click", () => {
      const isPressed = filter.getAttribute("aria-pressed") === "true";
      press(isPressed ? null : filter);
      if (!isPressed) document.getElementById("entries").scrollIntoView();
    });
  });
  document.querySelector(".search").hidden = false;
  show();

  document.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      document.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keys = new Map(rows.map((row) => [row, row.cells[column].textContent]));
      const order = new Intl.Collator(undefined, { numeric: true }).compare;
      rows.sort((a, b) => (up ? 1 : -1) * order(keys.get(a), keys.get(b)));
      for (const row of rows) body.append(row);
    });
  });
}
