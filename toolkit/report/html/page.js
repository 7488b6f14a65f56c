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

(() => {
  const charts = JSON.parse(document.getElementById("data").textContent).charts;
  const INK = "var(--ink)";
  const QUIET = "var(--quiet)";
  const SYMBOLS = ["circle", "square", "triangle", "diamond2", "star", "wye", "times", "asterisk"];
  const row = (model) => document.querySelector(`[data-candidate="${CSS.escape(model)}"]`);

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== "") made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // Every chart has its figures as a table too, for whoever does not see the picture.
  const table = (caption, headings, rows) => {
    const folded = element("details", "", { class: "figures" });
    const scroll = element("div", "", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
    const made = element("table", "");
    made.append(element("caption", caption));
    const head = made.createTHead().insertRow();
    for (const heading of headings) head.append(element("th", heading, { scope: "col" }));
    const body = made.createTBody();
    for (const cells of rows) {
      const line = body.insertRow();
      cells.forEach((cell, at) => line.append(element(at ? "td" : "th", cell, at ? {} : { scope: "row" })));
    }
    scroll.append(made);
    folded.append(element("summary", "The same as a table"), scroll);
    return folded;
  };

  const bounds = (reading) => (reading ? `${reading.text} ${reading.bounds}`.trim() : "–");

  const plot = (chart, options) => {
    const drawn = Plot.plot({ style: { background: "none", color: "var(--quiet)", fontSize: "12px", overflow: "visible" }, ...options });
    drawn.setAttribute("aria-label", chart.title);
    drawn.setAttribute("role", "img");
    for (const group of drawn.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
    for (const link of drawn.querySelectorAll("a")) {
      const named = link.querySelector("[aria-label]");
      link.setAttribute("aria-label", named.getAttribute("aria-label"));
      named.removeAttribute("aria-label");
    }
    return drawn;
  };

  const symbol = (kind, color, hollow) => {
    const size = 12;
    const svg = d3.create("svg").attr("width", size).attr("height", size).attr("viewBox", "-8 -8 16 16").attr("aria-hidden", "true");
    const stroked = kind === "times" || kind === "asterisk";
    svg.append("path")
      .attr("d", d3.symbol(d3[`symbol${kind[0].toUpperCase()}${kind.slice(1)}`], 64)())
      .attr("fill", hollow || stroked ? "none" : color)
      .attr("stroke", color)
      .attr("stroke-width", 2);
    return svg.node();
  };

  const pareto = (chart, width) => {
    const points = chart.points.map((point, at) => ({
      ...point,
      x: point.size.value * chart.x.factor,
      y: point.metric.value * chart.y.factor,
      low: point.metric.low === null ? null : point.metric.low * chart.y.factor,
      high: point.metric.high === null ? null : point.metric.high * chart.y.factor,
      symbol: SYMBOLS[at % SYMBOLS.length],
      color: point.is_reference ? QUIET : point.dominated_by ? "var(--grey)" : "var(--accent)",
      hollow: point.is_reference || Boolean(point.dominated_by),
    }));
    const front = points.filter((point) => chart.front.includes(point.model)).sort((a, b) => a.x - b.x);
    const [least, most] = d3.extent(points, (point) => point.x);
    const tip = (point) => [
      point.model,
      `size ${point.size.text}`,
      `${chart.y.label.replace(/ \(%\)$/, "")} ${bounds(point.metric)}`,
      point.is_reference ? "the reference" : point.dominated_by ? `no better than ${point.dominated_by}, which is smaller` : "on the front",
      ...(point.ships.length ? [`ships to ${point.ships.join(", ")}`] : []),
    ].join("\n");
    const href = (point) => (row(point.model) ? `#${row(point.model).id}` : null);
    const drawn = plot(chart, {
      width, height: Math.min(380, Math.max(260, width * 0.45)), marginLeft: 52, marginRight: 24, marginBottom: 44, marginTop: 26,
      x: { label: chart.x.label, nice: true, labelArrow: "none", labelAnchor: "center", ...(most > 30 * least ? { type: "log" } : { zero: true }) },
      y: { label: chart.y.label, nice: true, grid: true, labelArrow: "none", ticks: 6 },
      symbol: { type: "identity" },
      marks: [
        Plot.line(front, { x: "x", y: "y", stroke: "var(--accent)", strokeOpacity: 0.45, strokeDasharray: "4 4" }),
        Plot.ruleX(points.filter((point) => point.low !== null && point.high !== null), { x: "x", y1: "low", y2: "high", stroke: "color", strokeWidth: 1.5, strokeOpacity: 0.6 }),
        Plot.dot(d3.sort(points, (point) => Number(!point.hollow)), { x: "x", y: "y", symbol: "symbol", r: 6, strokeWidth: 2, stroke: "color", fill: (point) => (point.hollow ? "var(--surface)" : point.color), href, ariaLabel: (point) => tip(point).replaceAll("\n", ", ") }),
        Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: tip, fill: "var(--surface)", stroke: "var(--line)", fontSize: 13, lineHeight: 1.4 })),
      ],
      color: { type: "identity" },
    });
    drawn.setAttribute("role", "group");
    const legend = element("ul", "", { class: "legend" });
    for (const point of points) {
      const item = element("li", "");
      item.append(symbol(point.symbol, point.color, point.hollow));
      const target = href(point);
      item.append(target ? element("a", point.model, { href: target }) : element("span", point.model));
      if (point.is_reference) item.append(element("span", "reference", { class: "quiet" }));
      else if (point.dominated_by) item.append(element("span", `dominated by ${point.dominated_by}`, { class: "quiet" }));
      legend.append(item);
    }
    const rows = points.map((point) => [point.model, point.size.text, bounds(point.metric), point.is_reference ? "reference" : point.dominated_by || "–"]);
    return [drawn, legend, table(chart.title, ["model", "size", chart.y.label.replace(/ \(%\)$/, ""), "dominated by"], rows)];
  };

  // Two runs: an arrow from where each candidate was to where it is.
  const overlay = (chart, width) => {
    const place = (point) => point && { x: point.size.value * chart.x.factor, y: point.metric.value * chart.y.factor };
    const moves = chart.points.map((point) => ({ model: point.model, ships: Boolean(point.now?.ships.length), a: place(point.before), b: place(point.now), point }));
    const spots = moves.flatMap((move) => [
      ...(move.a ? [{ ...move.a, move, now: false, reading: move.point.before }] : []),
      ...(move.b ? [{ ...move.b, move, now: true, reading: move.point.now }] : []),
    ]);
    const interval = (spot, end) => (spot.reading.metric[end] === null ? null : spot.reading.metric[end] * chart.y.factor);
    const color = (spot) => (spot.now ? "var(--accent)" : "var(--grey)");
    const tip = (spot) => `${spot.move.model} ${spot.now ? "now" : "before"}\n${spot.reading.size.text}, ${bounds(spot.reading.metric)}`;
    const [least, most] = d3.extent(spots, (spot) => spot.x);
    // Names of files that lie close together stand one below the other.
    const near = (a, b) => Math.abs(a.x - b.x) < 0.2 * most && Math.abs(a.y - b.y) < 2;
    const ends = d3.sort(moves, (move) => (move.b || move.a).x);
    ends.forEach((move, at) => {
      const before = at ? ends[at - 1] : null;
      move.line = before && near(before.b || before.a, move.b || move.a) ? before.line + 1 : 0;
    });
    const drawn = plot(chart, {
      width, height: Math.min(380, Math.max(260, width * 0.45)), marginLeft: 52, marginRight: 90, marginBottom: 44, marginTop: 26,
      x: { label: chart.x.label, nice: true, labelArrow: "none", labelAnchor: "center", ...(most > 30 * least ? { type: "log" } : { zero: true }) },
      y: { label: chart.y.label, nice: true, grid: true, labelArrow: "none", ticks: 6 },
      marks: [
        Plot.ruleX(spots.filter((spot) => interval(spot, "low") !== null && interval(spot, "high") !== null), { x: "x", y1: (spot) => interval(spot, "low"), y2: (spot) => interval(spot, "high"), stroke: color, strokeWidth: 1.5, strokeOpacity: 0.4 }),
        Plot.arrow(moves.filter((move) => move.a && move.b), { x1: (move) => move.a.x, y1: (move) => move.a.y, x2: (move) => move.b.x, y2: (move) => move.b.y, stroke: INK, strokeOpacity: 0.6, inset: 7, headLength: 7 }),
        Plot.dot(spots, { x: "x", y: "y", r: 5.5, strokeWidth: 2, stroke: color, fill: (spot) => (spot.now ? "var(--accent)" : "var(--surface)") }),
        ...d3.groups(moves, (move) => move.line % 3).map(([line, some]) => Plot.text(some, { x: (move) => (move.b || move.a).x, y: (move) => (move.b || move.a).y, text: "model", dx: 9, dy: [0, 13, -13][line], textAnchor: "start", fill: INK, stroke: "var(--surface)", strokeWidth: 4, fontWeight: (move) => (move.ships ? 700 : 400) })),
        Plot.tip(spots, Plot.pointer({ x: "x", y: "y", title: tip, fill: "var(--surface)", stroke: "var(--line)", fontSize: 13, lineHeight: 1.4 })),
      ],
      color: { type: "identity" },
    });
    const legend = element("ul", "", { class: "legend" });
    for (const [name, now] of [["before", false], ["now", true]]) {
      const item = element("li", "");
      item.append(symbol("circle", color({ now }), !now), element("span", name));
      legend.append(item);
    }
    const rows = moves.map(({ model, point }) => [model, ...[point.before, point.now].flatMap((side) => [side ? side.size.text : "–", side ? bounds(side.metric) : "–"])]);
    return [drawn, legend, table(chart.title, ["model", "size before", "metric before", "size now", "metric now"], rows)];
  };

  const DRAWERS = { pareto, overlay };

  const draw = (place) => {
    const chart = charts[place.dataset.chart];
    const width = Math.floor(place.clientWidth);
    if (!chart || !width || !DRAWERS[chart.kind]) return;
    const opened = place.querySelector("details.figures")?.open;
    place.replaceChildren(...DRAWERS[chart.kind](chart, width));
    const folded = place.querySelector("details.figures");
    if (opened && folded) folded.open = true;
  };

  const widths = new Map();
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = Math.floor(target.clientWidth);
      if (widths.get(target) === width) continue;
      widths.set(target, width);
      draw(target);
    }
  });
  for (const place of document.querySelectorAll("[data-chart]")) observer.observe(place);
})();
