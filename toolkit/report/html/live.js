"use strict";
(() => {
  const PAUSE = 1000;
  const KINDS = { running: "same", finished: "good", stopped: "bad", killed: "bad" };
  const SIGNS = { "to come": "·", running: "▸", done: "✓", failed: "✕" };
  const at = (id) => document.getElementById(id);
  const seconds = (time) => (time < 60 ? `${time.toFixed(1)} s` : `${Math.floor(time / 60)} min ${Math.floor(time % 60)} s`);

  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  const bar = (stage) => {
    const cell = element("td", "", { class: "picture" });
    const share = stage.state === "done" ? 1 : stage.total ? Math.min(1, stage.done / stage.total) : 0;
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const rect = (kind, width) => {
      const one = document.createElementNS(made.namespaceURI, "rect");
      for (const [name, value] of Object.entries({ class: kind, x: 0, y: 2, width, height: 6 })) one.setAttribute(name, value);
      made.append(one);
    };
    for (const [name, value] of Object.entries({ class: `bar ${stage.state === "failed" ? "bad" : "plain"}`, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" })) made.setAttribute(name, value);
    rect("track", 100);
    rect("value", 100 * share);
    cell.append(made);
    return cell;
  };

  const row = (stage, now) => {
    const line = element("tr", "", { class: stage.state.replace(" ", "-") });
    const name = element("th", "", { scope: "row" });
    name.append(element("span", `${SIGNS[stage.state]} `, { "aria-hidden": "true" }), element("span", stage.name));
    if (stage.number) name.append(element("span", `${stage.number} of ${stage.of}`, { class: "second" }));
    const spent = stage.seconds ?? (stage.state === "running" && stage.begun ? Math.max(0, now - stage.begun) : null);
    const text = stage.cached ? [stage.text, "from the store"].filter(Boolean).join(", ") : stage.text;
    line.append(name, bar(stage), element("td", spent === null ? "" : seconds(spent), { class: "num" }), element("td", stage.state === "to come" ? "to come" : text));
    return line;
  };

  const show = (run) => {
    const now = Date.now() / 1000;
    const state = at("state");
    state.className = `badge ${KINDS[run.state]}`;
    if (state.textContent !== run.state) state.textContent = run.state;
    document.title = `${run.state} · ${run.run} · edgekit`;
    const last = run.state === "running" ? now : null;
    at("since").textContent = run.begun && last ? `for ${seconds(last - run.begun)}` : "";
    const note = at("note");
    const why = { stopped: `It stopped: ${run.reason}`, killed: "It was killed: its process is gone, and it did not say why." }[run.state] ?? "";
    note.hidden = !why;
    note.textContent = why;
    at("stages").replaceChildren(...run.stages.map((stage) => row(stage, now)));
    const log = at("log");
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 20;
    const text = run.log.join("\n");
    if (log.textContent !== text) log.textContent = text;
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  };

  const poll = async () => {
    try {
      const answer = await fetch("/progress", { cache: "no-store" });
      const run = await answer.json();
      if (run.has_page) {
        location.reload();
        return;
      }
      show(run);
    } catch {
      const state = at("state");
      state.className = "badge doubt";
      state.textContent = "the server is gone";
    }
    setTimeout(poll, PAUSE);
  };

  show(JSON.parse(at("data").textContent));
  setTimeout(poll, PAUSE);
})();
