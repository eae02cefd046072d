// The playground: its panels, and what goes to and from them.

import { makeColours } from "./colours.js";
import { controls } from "./controls.js";
import { curves } from "./curves.js";
import { dataPanel } from "./data_panel.js";
import { diagram } from "./diagram.js";
import { button, make } from "./elements.js";
import { exporting } from "./exports.js";
import { histograms } from "./histograms.js";
import { inspector } from "./inspector.js";
import { keys } from "./keys.js";
import { networkPanel } from "./network_panel.js";
import { notices } from "./notices.js";
import { starts } from "./starts.js";
import { surface } from "./surface.js";
import { timeline } from "./timeline.js";

/**
 * Show a playground in `element`, connected by `connect(receive) -> {send, close}`; returns what takes it away.
 * `whole`: it is the page, not a part of one.
 */
export function mount(element, connect, { whole = false } = {}) {
  const root = make(whole ? "main" : "section", { className: "nineline-playground" });
  if (!whole) root.setAttribute("aria-label", "nineline playground");
  const page = {
    root, whole, colours: makeColours(root), welcome: null, state: null, data: null, frame: null,
    look: { node: null, edge: null, row: null }, send, change, redraw, show,
  };
  const panels = build(page, element);
  let asked = null; // the animation frame in which the next frame is drawn
  let fresh = null; // a frame that came and is not drawn yet
  let ready = false; // Python may be told that it is
  let drawn = 0;
  const connection = connect(receive);
  element.append(root);

  function send(header, bytes) {
    if (!["ready", "look"].includes(header.type)) page.deed();
    connection.send(header, bytes);
  }

  /** Change settings; what is changed next, before Python has answered, builds on them. */
  function change(settings) {
    Object.assign(page.state.settings, settings);
    send({ type: "change", settings });
  }

  /** Change what is looked at: a node, an edge, a row of the points. */
  function show(change) {
    Object.assign(page.look, change);
    send({ type: "look", ...page.look });
    redraw();
  }

  /** Draw again, what there is. */
  function redraw() {
    asked ??= requestAnimationFrame(draw);
  }

  function receive(header, arrays) {
    header.arrays = arrays;
    if (header.type === "frame") {
      fresh = header;
      ready = true;
      return redraw();
    }
    if (header.type === "state") {
      fresh = null; // a frame from before it; another follows
      const { step, epoch, running, last_step } = header;
      if (page.frame) Object.assign(page.frame, { step, epoch, running, last_step });
    }
    if (["welcome", "state", "data"].includes(header.type)) page[header.type] = header;
    if (header.type === "welcome") page.colours.follow(header.palette, () => tell("themed", header));
    tell(header.type, header);
    if (header.type === "state") told(header);
    if (header.type === "refused") ready = true; // should it have come in place of a frame
    if (header.type === "welcome") {
      send({ type: "look", ...page.look });
      ready = true;
    }
    redraw();
  }

  function told(state) {
    Object.assign(root.dataset, { step: state.step, running: state.running, lastStep: state.last_step });
  }

  function tell(what, message) {
    for (const panel of panels) panel[what]?.(message);
    if (what === "themed") redraw();
  }

  function draw() {
    asked = null;
    const frame = fresh ?? page.frame;
    if (fresh) {
      page.frame = fresh;
      fresh = null;
      drawn += 1;
      // Where Python has begun anew, it looks at nothing.
      if (!frame.look && Object.values(page.look).some((one) => one !== null)) send({ type: "look", ...page.look });
    }
    if (frame && page.state && page.data) {
      tell("frame", frame);
      Object.assign(root.dataset, {
        step: frame.step, lastStep: frame.last_step, running: frame.running, frames: drawn, loss: frame.loss,
      });
    }
    if (ready) {
      ready = false;
      send({ type: "ready" });
    }
  }

  return () => {
    cancelAnimationFrame(asked);
    page.colours.stop();
    for (const panel of panels) panel.stop?.();
    connection.close();
    root.remove();
  };
}

// Make the panels and put them in their places; returns those that want to be told.
function build(page, element) {
  const heading = (text) => make("h2", {}, text);
  const parts = {
    controls: controls(page), line: timeline(page), notices: notices(page), data: dataPanel(page),
    network: networkPanel(page), diagram: diagram(page), inspector: inspector(page), surface: surface(page),
    curves: curves(page), histograms: histograms(page), starts: starts(page), exports: exporting(page),
    keys: keys(element),
  };
  const { root } = page;
  const name = make(page.whole ? "h1" : "p", { className: "name" }, "nineline");
  root.append(
    make("div", { className: "top" },
      make("div", { className: "bar" }, name, parts.controls.element, parts.controls.numbers), parts.line.element,
      parts.notices.element),
    make("div", { className: "areas" },
      make("section", { className: "area data", "aria-label": "Data" }, heading("Data"), parts.data.element),
      make("section", { className: "area network", "aria-label": "Network" },
        make("div", { className: "head" }, heading("Network"), button("starts", "Train a hundred", parts.starts.open)),
        parts.network.element, parts.diagram.element,
        make("div", { className: "inspector" }, parts.inspector.element)),
      make("section", { className: "area output", "aria-label": "Output" },
        heading("Output"), parts.surface.element, parts.curves.element, parts.histograms.element)),
    make("div", { className: "foot" }, parts.exports.element, parts.keys.element),
    parts.starts.dialog, parts.exports.dialog, parts.data.dialog,
  );
  return Object.values(parts);
}
