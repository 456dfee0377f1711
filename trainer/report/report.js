"use strict";

// Strips: only those that all filters let through are shown.
const strips = [...document.querySelectorAll(".strip")];
const filters = [...document.querySelectorAll("[data-filter]")];

function filter() {
  const wanted = filters.filter((each) => each.value !== "");
  let shown = 0;
  for (const strip of strips) {
    strip.hidden = !wanted.every((each) => strip.dataset[each.dataset.filter] === each.value);
    shown += strip.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${strips.length} shown`;
}

// A person who is chosen is shown whatever kind of query there is of them.
function choose(event) {
  const kind = filters.find((each) => each.dataset.filter === "kind");
  if (event.target.dataset.filter === "person" && event.target.value !== "") kind.value = "";
  filter();
}

filters.forEach((each) => each.addEventListener("change", choose));
if (strips.length) filter();

// Maps: few values have the page's colours, many have hues a golden angle apart.
const FEW = 6;

function colour(number, count) {
  if (number < 0) return "var(--line)";
  if (count <= FEW) return `var(--series-${number})`;
  return `hsl(${((number * 137.508) % 360).toFixed(0)} ${number % 2 ? 75 : 55}% ${[42, 56, 66][number % 3]}%)`;
}

function legend(trait, names) {
  if (names.length > FEW) return [`${names.length} colours, one for each ${trait}`];
  return names.map((name, number) => {
    const entry = document.createElement("span");
    const spot = document.createElement("i");
    spot.style.background = colour(number, names.length);
    entry.append(spot, ` ${trait} ${name}`);
    return entry;
  });
}

function paint(trait) {
  for (const map of document.querySelectorAll(".map")) {
    const names = JSON.parse(map.dataset.names)[trait] || [];
    for (const point of map.querySelectorAll("circle")) {
      point.style.fill = colour(Number(point.dataset[trait] ?? -1), names.length);
    }
    map.parentElement.querySelector("[data-legend]").replaceChildren(...legend(trait, names));
  }
}

const colouring = document.getElementById("colouring");
if (colouring) {
  colouring.addEventListener("change", (event) => paint(event.target.value));
  const chosen = colouring.querySelector("input:checked");
  if (chosen) paint(chosen.value);
}
