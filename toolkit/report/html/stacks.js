"use strict";
// On a small screen a table that is too wide for it becomes a block for each row, with each figure
// under the row's name and beside its column's.
(() => {
  const small = matchMedia("(max-width: 700px)");
  const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };

  const name = (heading) => {
    const second = heading.querySelector(".second");
    const first = heading.textContent.slice(0, heading.textContent.length - (second ? second.textContent.length : 0));
    const told = second ? `${first} / ${second.textContent}` : first;
    return heading.classList.contains("host") ? `${told}, this host` : told;
  };

  // A table that is laid out as blocks is none to some screen readers, unless it says so itself.
  const label = (table) => {
    const names = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map(name);
    for (const each of [table, ...table.querySelectorAll("*")]) {
      const scope = each.tagName === "TH" && each.getAttribute("scope");
      const role = scope ? (scope === "row" ? "rowheader" : "columnheader") : ROLES[each.tagName];
      if (role) each.setAttribute("role", role);
    }
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, at) => {
        if (at) cell.dataset.label = names[at];
      });
    }
  };

  const lay = (place) => {
    const table = place.querySelector("table");
    if (!table || !table.tHead) return;
    table.classList.remove("stacked");
    if (!small.matches || place.scrollWidth <= place.clientWidth) return;
    if (!table.hasAttribute("role")) label(table);
    table.classList.add("stacked");
  };

  const layAll = () => document.querySelectorAll(".scroll").forEach(lay);
  layAll();
  addEventListener("load", layAll);
  addEventListener("resize", layAll);
  // What is folded has no width yet.
  addEventListener("toggle", layAll, true);
  // Charts draw their tables when they are drawn, and again with each file that is picked.
  new MutationObserver(layAll).observe(document.getElementById("main"), { childList: true, subtree: true });
})();
