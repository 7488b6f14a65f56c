"use strict";
(() => {
  const { charts, pictures } = JSON.parse(document.getElementById("embedded").textContent);
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
    const scroll = element("div", "", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}, as a table` });
    const made = element("table", "");
    made.append(element("caption", caption));
    const head = made.createTHead().insertRow();
    for (const heading of headings) head.append(element("th", heading, { scope: "col" }));
    const body = made.createTBody();
    for (const cells of rows) {
      const line = body.insertRow();
      cells.forEach((cell, at) => {
        const prose = String(cell).length > 30 ? { class: "prose" } : {};
        line.append(element(at ? "td" : "th", cell, at ? prose : { scope: "row", ...prose }));
      });
    }
    scroll.append(made);
    folded.append(element("summary", "The same as a table"), scroll);
    return folded;
  };

  const percent = (share) => `${d3.format(".1f")(100 * share)} %`;
  // The two ends of an interval stay on one line.
  const bounds = (reading) => (reading ? `${reading.text} ${reading.bounds.replace(", ", ",\u00a0")}`.trim() : "–");

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
        Plot.arrow(moves.filter((move) => move.a && move.b), { x1: (move) => move.a.x, y1: (move) => move.a.y, x2: (move) => move.b.x, y2: (move) => move.b.y, stroke: "var(--ink)", strokeOpacity: 0.6, inset: 7, headLength: 7 }),
        Plot.dot(spots, { x: "x", y: "y", r: 5.5, strokeWidth: 2, stroke: color, fill: (spot) => (spot.now ? "var(--accent)" : "var(--surface)") }),
        ...d3.groups(moves, (move) => move.line % 3).map(([line, some]) => Plot.text(some, { x: (move) => (move.b || move.a).x, y: (move) => (move.b || move.a).y, text: "model", dx: 9, dy: [0, 13, -13][line], textAnchor: "start", fill: "var(--ink)", stroke: "var(--surface)", strokeWidth: 4, fontWeight: (move) => (move.ships ? 700 : 400) })),
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

  const PALETTE = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)", "var(--c7)"];
  const DASHES = ["none", "6 3", "2 3", "8 3 2 3", "12 3", "1 4", "10 2 2 2 2 2", "4 6"];
  // The models that a reader has hidden stay hidden when the width changes.
  const hidden = new Set();
  // Times beyond so many times the fastest ask for a logarithmic axis, or for a reference to step back.
  const WIDE = 20;
  for (const chart of Object.values(charts)) {
    if (chart.kind !== "latency") continue;
    const reference = chart.models.find((model) => model.is_reference);
    const slowest = d3.max(chart.models, (model) => (model.is_reference ? 0 : (model.median?.value ?? 0)));
    if (slowest && reference?.median?.value > 4 * slowest) hidden.add(reference.model);
  }

  const line = (color, dash) => {
    const svg = d3.create("svg").attr("width", 28).attr("height", 12).attr("aria-hidden", "true");
    svg.append("line").attr("x2", 28).attr("y1", 6).attr("y2", 6).attr("stroke", color).attr("stroke-width", 2.5).attr("stroke-dasharray", dash);
    return svg.node();
  };

  const latency = (chart, width, again) => {
    const models = chart.models.map((model, at) => ({ ...model, color: model.is_reference ? QUIET : PALETTE[at % 8], dash: DASHES[at % 8] }));
    const shown = models.filter((model) => !hidden.has(model.model));
    const curves = shown.flatMap((model) =>
      model.launches.map((launch, number) => ({
        model, number,
        points: launch.times.map((time, at) => ({
          x: time * chart.x.factor, y: launch.shares[at] * chart.y.factor, color: model.color,
          title: `${model.model}, launch ${number + 1} of ${model.launches.length}\n${d3.format(".1f")(launch.shares[at] * 100)} % of ${launch.count.toLocaleString("en")} runs took ${d3.format(".4~g")(time * chart.x.factor)} ${chart.x.unit} or less`,
        })),
      })),
    );
    const every = curves.flatMap((curve) => curve.points);
    const xs = d3.sort(every, (point) => point.x).map((point) => point.x);
    // A few slow runs must not squeeze the rest into a corner.
    const usual = (d3.max(shown, (model) => model.shown_to) ?? 1) * chart.x.factor;
    const wide = usual > WIDE * (xs[0] ?? 1);
    const domain = [xs[0] ?? 0, Math.min(xs.at(-1) ?? 1, usual)];
    const beyond = xs.filter((x) => x > domain[1]).length / Math.max(1, xs.length);
    const drawn = plot(chart, {
      width, height: Math.min(400, Math.max(260, width * 0.45)), marginLeft: 48, marginRight: 20, marginBottom: 44, clip: true,
      x: { label: chart.x.label, labelAnchor: "center", labelArrow: "none", domain, ...(wide ? { type: "log", tickFormat: "~g" } : {}) },
      y: { label: chart.y.label, domain: [0, 100], grid: true, labelArrow: "none" },
      color: { type: "identity" },
      marks: [
        ...curves.map((curve) => Plot.line(curve.points, { x: "x", y: "y", curve: "step-after", stroke: curve.model.color, strokeWidth: 1.6, strokeOpacity: 0.85, strokeDasharray: curve.model.dash, clip: true })),
        Plot.tip(every, Plot.pointer({ x: "x", y: "y", title: "title", fill: "var(--surface)", stroke: "var(--line)", fontSize: 13, lineHeight: 1.4 })),
      ],
    });
    const legend = element("ul", "", { class: "legend" });
    for (const model of models) {
      const item = element("li", "");
      const toggle = element("button", "", { type: "button", "aria-pressed": String(!hidden.has(model.model)) });
      toggle.append(line(model.color, model.dash), element("span", model.model));
      toggle.addEventListener("click", () => {
        if (!hidden.delete(model.model)) hidden.add(model.model);
        again().querySelector(`button[data-model="${CSS.escape(model.model)}"]`).focus();
      });
      toggle.dataset.model = model.model;
      item.append(toggle);
      legend.append(item);
    }
    const rows = models.map((model) => [model.model, bounds(model.median), String(model.launches.length), model.launches.some((launch) => launch.bimodal) ? "yes" : "no"]);
    const note = beyond ? [element("p", `The slowest ${d3.format(".1f")(100 * beyond)} % of these runs lie beyond the right edge.`, { class: "quiet small" })] : [];
    return [drawn, ...note, legend, table(chart.title, ["model", "median", "launches", "two speeds"], rows)];
  };

  const layers = (chart, width) => {
    const bars = chart.bars.map((bar, at) => ({ ...bar, at, value: bar.sqnr, color: bar.first ? "var(--bad)" : bar.falls ? "var(--doubt)" : "var(--accent)" }));
    const tip = (bar) => `${bar.operator} ${bar.name}\n${bar.text}${bar.falls ? "\nerror begins here" : ""}`;
    const known = bars.filter((bar) => bar.value !== null);
    const drawn = plot(chart, {
      width, height: 280, marginLeft: 48, marginBottom: 40,
      x: { label: chart.x.label, type: "band", ticks: [], labelAnchor: "center", padding: width > 6 * bars.length ? 0.15 : 0 },
      y: { label: chart.y.label, grid: true, labelArrow: "none", zero: true },
      color: { type: "identity" },
      marks: [
        Plot.barY(bars, { x: "at", y: "value", fill: "color" }),
        Plot.text(bars.filter((bar) => bar.falls), { x: "at", y: "value", text: () => "▼", dy: -8, fill: "color" }),
        Plot.text(bars.filter((bar) => bar.value === null), { x: "at", y: () => 0, text: () => "–", dy: -9, fill: QUIET }),
        Plot.ruleY([0]),
        Plot.tip(known, Plot.pointerX({ x: "at", y: "value", title: tip, fill: "var(--surface)", stroke: "var(--line)", fontSize: 13 })),
      ],
    });
    const rows = bars.map((bar) => [bar.name, bar.operator, bar.text, bar.falls ? (bar.first ? "error begins" : "falls") : bar.note || "–"]);
    return [drawn, table(chart.title, ["layer", "operator", "SQNR", "note"], rows)];
  };

  const pen = document.createElement("canvas").getContext("2d");
  const wide = (words, weight) => {
    pen.font = `${weight} 12px ${getComputedStyle(document.body).fontFamily}`;
    return pen.measureText(words).width;
  };

  const sizes = (chart, width) => {
    const height = Math.round(Math.min(420, Math.max(220, width / chart.aspect)));
    const svg = d3.create("svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img").attr("aria-label", chart.title).attr("class", "treemap");
    const dtypes = [...new Set(chart.tiles.map((tile) => tile.dtype))];
    chart.tiles.forEach((tile) => {
      const [x, y, w, h] = [tile.x * width, tile.y * height, tile.width * width, tile.height * height];
      const cell = svg.append("g").attr("transform", `translate(${x},${y})`);
      cell.append("title").text(`${[tile.operator, tile.layer].filter(Boolean).join(" ")}\n${tile.text}, ${percent(tile.share)}${tile.dtype ? `, ${tile.dtype}` : ""}`);
      cell.append("rect").attr("width", Math.max(0, w - 2)).attr("height", Math.max(0, h - 2)).attr("rx", 3)
        .attr("fill", tile.layer ? PALETTE[dtypes.indexOf(tile.dtype) % 8] : "var(--grey)").attr("fill-opacity", tile.layer ? 0.28 : 0.22)
        .attr("stroke", tile.layer ? PALETTE[dtypes.indexOf(tile.dtype) % 8] : "var(--grey)");
      if (w < 54 || h < 22) return;
      // A name loses its beginning where it is long; a figure stands there whole, or not at all.
      const fits = (words, weight) => wide(words, weight) <= w - 14;
      let name = tile.layer || tile.operator;
      for (let from = 1; !fits(name, 600) && from < 400; from += 1) name = `…${(tile.layer || tile.operator).slice(from)}`;
      const lines = [[name, 600, "var(--ink)"], [tile.text, 400, "var(--ink)"], [tile.layer ? tile.operator : "", 400, QUIET]];
      const text = cell.append("text").attr("font-size", 12);
      lines.filter(([words, weight]) => words && fits(words, weight)).slice(0, Math.floor((h - 8) / 15)).forEach(([words, weight, color], number) => {
        text.append("tspan").attr("x", 7).attr("y", 16 + 15 * number).attr("font-weight", weight).attr("fill", color).text(words);
      });
    });
    const legend = element("ul", "", { class: "legend" });
    for (const dtype of dtypes.filter(Boolean)) {
      const item = element("li", "");
      item.append(symbol("square", PALETTE[dtypes.indexOf(dtype) % 8]), element("span", dtype));
      legend.append(item);
    }
    const rows = chart.tiles.map((tile) => [tile.layer || tile.operator, tile.layer ? tile.operator : "", tile.dtype || "–", tile.text, percent(tile.share)]);
    return [svg.node(), legend, table(chart.title, ["layer", "operator", "type", "bytes", "share"], rows)];
  };

  const confusion = (chart, width) => {
    const count = chart.labels.length;
    const cells = chart.counts.flatMap((counts, label) => {
      const total = Math.max(1, d3.sum(counts));
      return counts.map((n, answer) => ({ label, answer, n, share: n / total, right: label === answer }));
    });
    const name = (at) => { const text = chart.labels[at]; return text.length > 12 ? `${text.slice(0, 11)}…` : text; };
    const side = Math.min(width, 520);
    const readable = count <= 16;
    const tip = (cell) => `${chart.labels[cell.label]}, answered ${chart.labels[cell.answer]}\n${cell.n.toLocaleString("en")} items, ${percent(cell.share)} of the label`;
    const margin = readable ? Math.min(96, 14 + 7 * d3.max(chart.labels, (text) => Math.min(12, text.length))) : 20;
    const drawn = plot(chart, {
      width: side, height: side, marginLeft: margin + 18, marginBottom: margin + 18, marginTop: 8, marginRight: 8,
      x: { label: `${chart.x.label} →`, labelAnchor: "center", labelArrow: "none", domain: d3.range(count), tickFormat: readable ? name : () => "", tickRotate: margin > 30 ? -60 : 0, tickSize: 0 },
      y: { label: chart.y.label, labelAnchor: "center", labelArrow: "none", domain: d3.range(count), tickFormat: readable ? name : () => "", tickSize: 0 },
      color: { type: "identity" },
      marks: [
        Plot.cell(cells, { x: "answer", y: "label", fill: (cell) => (cell.n ? (cell.right ? "var(--good)" : "var(--bad)") : "var(--sunk)"), fillOpacity: (cell) => (cell.n ? 0.1 + 0.45 * cell.share : 1), inset: count > 30 ? 0 : 1, rx: 2 }),
        ...(readable ? [Plot.text(cells.filter((cell) => cell.n), { x: "answer", y: "label", text: "n", fill: "var(--ink)", fontWeight: 600 })] : []),
        Plot.tip(cells, Plot.pointer({ x: "answer", y: "label", title: tip, fill: "var(--surface)", stroke: "var(--line)", fontSize: 13 })),
      ],
      opacity: { type: "identity" },
    });
    const wrong = d3.sort(cells.filter((cell) => cell.n && !cell.right), (cell) => -cell.n).slice(0, 30);
    const rows = wrong.map((cell) => [chart.labels[cell.label], chart.labels[cell.answer], String(cell.n), percent(cell.share)]);
    return [drawn, table(`${chart.title}: what is taken for what, most often first`, ["label", "answer", "items", "share of the label"], rows)];
  };

  const reliability = (chart, width) => {
    const bars = chart.bars.map((bar) => ({ ...bar, x1: bar.low * 100, x2: bar.high * 100, said: bar.confidence * 100, right: bar.accuracy * 100 }));
    const side = Math.min(width, 520);
    const largest = d3.max(bars, (bar) => bar.count);
    const drawn = plot(chart, {
      width: side, height: side * 0.86, marginLeft: 48, marginBottom: 44, marginRight: 12,
      x: { label: chart.x.label, domain: [0, 100], labelAnchor: "center", labelArrow: "none" },
      y: { label: chart.y.label, domain: [0, 100], grid: true, labelArrow: "none" },
      r: { type: "identity" },
      marks: [
        Plot.line([[0, 0], [100, 100]], { stroke: "var(--grey)", strokeDasharray: "4 4" }),
        Plot.rectY(bars, { x1: "x1", x2: "x2", y: "right", fill: "var(--accent)", fillOpacity: 0.22, stroke: "var(--accent)", strokeOpacity: 0.5, inset: 1 }),
        Plot.dot(bars, { x: "said", y: "right", r: (bar) => 3 + 7 * Math.sqrt(bar.count / largest), fill: "var(--accent)", stroke: "var(--surface)" }),
        Plot.tip(bars, Plot.pointer({ x: "said", y: "right", title: "text", fill: "var(--surface)", stroke: "var(--line)", fontSize: 13 })),
      ],
    });
    const percent = d3.format(".1f");
    const rows = bars.map((bar) => [`${percent(bar.x1)} to ${percent(bar.x2)}`, bar.count.toLocaleString("en"), `${percent(bar.said)} %`, `${percent(bar.right)} %`]);
    return [drawn, table(chart.title, ["confidence", "items", "mean confidence", "right"], rows)];
  };

  const histogram = (chart, width) => {
    const bins = chart.counts.map((n, at) => ({ n, x1: chart.edges[at], x2: chart.edges[at + 1] }));
    const drawn = plot(chart, {
      width, height: 180, marginLeft: 52, marginBottom: 38, marginTop: 24,
      x: { label: "value", labelAnchor: "center", labelArrow: "none" },
      y: { label: "values", grid: true, labelArrow: "none", tickFormat: "~s", ticks: 4 },
      marks: [Plot.rectY(bins, { x1: "x1", x2: "x2", y: "n", fill: "var(--accent)", fillOpacity: 0.65, inset: 0.5 }), Plot.ruleY([0])],
    });
    const short = d3.format(".4~g");
    return [drawn, table(chart.title, ["from", "to", "values"], bins.map((bin) => [short(bin.x1), short(bin.x2), bin.n.toLocaleString("en")]))];
  };

  const curves = (chart, width) => {
    const spread = ({ low, high }) => low.map((value, at) => ({ at, low: value, high: high[at] }));
    const drawn = plot(chart, {
      width, height: 180, marginLeft: 52, marginBottom: 38, marginTop: 24,
      x: { label: "place in the item", labelAnchor: "center", labelArrow: "none", ticks: [] },
      y: { label: "value", grid: true, labelArrow: "none", ticks: 4 },
      marks: [
        Plot.areaY(spread(chart.envelope), { x: "at", y1: "low", y2: "high", fill: "var(--accent)", fillOpacity: 0.18 }),
        ...chart.examples.map((one, at) => Plot.areaY(spread(one), { x: "at", y1: "low", y2: "high", fill: PALETTE[at % 8], stroke: PALETTE[at % 8], fillOpacity: 0.5, strokeOpacity: 0.8 })),
      ],
    });
    const { low, high } = chart.envelope;
    return [drawn, table(chart.title, ["least", "most"], [[d3.format(".4~g")(d3.min(low)), d3.format(".4~g")(d3.max(high))]])];
  };

  const training = (chart, width) => {
    const sides = [["train", "training", PALETTE[0], ""], ["validation", "validation", PALETTE[1], "6 3"]];
    const short = d3.format(".4~g");
    const epochs = d3.max(chart.panels, (panel) => Math.max(panel.train.length, panel.validation.length));
    const stages = chart.stages.slice(1).map((epoch, at) => ({ x: epoch - 0.5, text: `stage ${at + 2}` }));
    const panels = chart.panels.map((panel) => {
      const points = sides.flatMap(([key, side, color, dash]) => panel[key].map((y, at) => ({ x: at + 1, y, side, color, dash })).filter((point) => point.y !== null));
      return plot({ ...chart, title: `${panel.name} by epoch` }, {
        width, height: 180, marginLeft: 52, marginBottom: 38, marginTop: 24,
        x: { label: chart.x.label, labelAnchor: "center", labelArrow: "none", tickFormat: "d", ticks: Math.min(epochs, 10, Math.floor(width / 45)) },
        y: { label: panel.name, grid: true, labelArrow: "none", ticks: 4 },
        color: { type: "identity" },
        marks: [
          Plot.ruleX(stages, { x: "x", stroke: "var(--line)", strokeDasharray: "2 3" }),
          Plot.text(stages, { x: "x", text: "text", frameAnchor: "top", textAnchor: "start", dx: 4, dy: -12, fill: QUIET }),
          ...sides.map(([, side, color, dash]) => Plot.line(points.filter((point) => point.side === side), { x: "x", y: "y", stroke: color, strokeWidth: 1.8, strokeDasharray: dash })),
          Plot.dot(points, { x: "x", y: "y", fill: "color", r: 2.5 }),
          Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: (point) => `${panel.name}, ${point.side}\nepoch ${point.x}: ${short(point.y)}`, fill: "var(--surface)", stroke: "var(--line)", fontSize: 13 })),
        ],
      });
    });
    const legend = element("ul", "", { class: "legend" });
    for (const [key, side, color, dash] of sides) {
      if (!chart.panels.some((panel) => panel[key].length)) continue;
      const item = element("li", "");
      item.append(line(color, dash), element("span", side));
      legend.append(item);
    }
    const columns = chart.panels.flatMap((panel) => sides.filter(([key]) => panel[key].length).map(([key, side]) => [`${panel.name}, ${side}`, panel[key]]));
    const rows = d3.range(epochs).map((at) => [String(at + 1), ...columns.map(([, values]) => (values[at] == null ? "–" : short(values[at])))]);
    return [legend, ...panels, table(chart.title, ["epoch", ...columns.map(([name]) => name)], rows)];
  };

  const DRAWERS = { pareto, training, overlay, latency, layers, sizes, confusion, reliability, histogram, curves };

  const draw = (place) => {
    const chart = charts[place.dataset.chart];
    const width = Math.floor(place.clientWidth);
    if (!chart) {
      place.replaceChildren(element("p", "Left out, so that the page stays small; the run's details.json has it.", { class: "absent" }));
      return place;
    }
    if (!width) return place;
    const opened = place.querySelector("details.figures")?.open;
    place.replaceChildren(...DRAWERS[chart.kind](chart, width, () => draw(place)));
    const folded = place.querySelector("details.figures");
    if (opened && folded) folded.open = true;
    return place;
  };

  const widths = new Map();
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = Math.floor(target.clientWidth);
      if (widths.get(target) === width) continue;
      widths.set(target, width);
      setTimeout(() => draw(target));
    }
  });
  for (const place of document.querySelectorAll("[data-chart]")) {
    widths.set(place, Math.floor(place.clientWidth));
    draw(place);
    observer.observe(place);
  }

  for (const picker of document.querySelectorAll("select[data-picks]")) {
    picker.addEventListener("change", () => {
      const figure = picker.closest("figure");
      const place = figure.querySelector("[data-chart]");
      place.dataset.chart = picker.value;
      figure.querySelector("figcaption").textContent = charts[picker.value]?.text ?? "";
      draw(place);
    });
  }

  for (const image of document.querySelectorAll("img[data-picture]")) {
    const content = pictures[image.dataset.picture];
    if (content) image.src = `data:image/png;base64,${content}`;
    else image.replaceWith(element("span", "left out, so that the page stays small", { class: "item absent" }));
  }
})();
