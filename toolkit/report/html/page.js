"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const wished = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (wished.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  // A file:// page may have no storage.
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("edgekit-theme", value);
      return localStorage.getItem("edgekit-theme");
    } catch {
      return null;
    }
  };
  const before = stored();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  button.hidden = false;
  show();
  wished.addEventListener("change", show);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored(root.dataset.theme);
    show();
  });

  // What is folded belongs on paper too.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
  });

  // The section that is read is marked in the list of sections.
  const links = new Map();
  for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
  const seen = new Set();
  const mark = () => {
    const first = [...links.keys()].find((anchor) => seen.has(anchor));
    for (const [anchor, link] of links) {
      if (anchor === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) seen.add(entry.target.id);
        else seen.delete(entry.target.id);
      }
      mark();
    },
    { rootMargin: "-20% 0px -60% 0px" },
  );
  for (const anchor of links.keys()) observer.observe(document.getElementById(anchor));
})();
