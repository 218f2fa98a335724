"use strict";
// The page is complete without this script; with it, its table can be searched and sorted.
const body = document.querySelector("tbody");
if (body) {
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const found = document.getElementById("found");
  const search = document.getElementById("search");
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    for (const row of rows) {
      const text = texts.get(row);
      row.hidden = !words.every((word) => text.includes(word));
      number += row.hidden ? 0 : 1;
    }
    found.textContent = `${number} of ${rows.length} entries`;
  };
  search.addEventListener("input", show);
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
