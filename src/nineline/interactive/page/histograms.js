// How the weights, their gradients and the outputs of each layer are spread, and how many nodes have stopped to learn.

import { FONT, makeCanvas } from "./canvas.js";
import { make, write } from "./elements.js";
import { short } from "./numbers.js";

const KINDS = ["weights", "gradients", "outputs"];

/** A row of three small histograms for each layer. */
export function histograms(page) {
  const body = make("div", { className: "spread" });
  const element = make("details", { open: true, className: "histograms" },
    make("summary", {}, "Weights, gradients and outputs of each layer"), body);
  element.addEventListener("toggle", page.redraw);
  let rows = [];

  function build(count) {
    rows = Array.from({ length: count }, (_, i) => {
      const name = i === count - 1 ? "Output layer" : `Hidden layer ${i + 1}`;
      const state = make("span", { className: "aside" });
      const canvases = KINDS.map((kind) =>
        makeCanvas({ "aria-label": `${name}: histogram of its ${kind}` }, page.redraw));
      return { name, state, canvases };
    });
    body.replaceChildren(...rows.map(({ name, state, canvases }) => make("div", { className: "layer-spread" },
      make("div", { className: "head" }, make("h3", {}, name), state),
      make("div", { className: "three" }, ...canvases.map((canvas, k) =>
        make("figure", {}, canvas.element, make("figcaption", {}, KINDS[k])))))));
  }

  function frame({ histograms: all }) {
    if (!element.open || !all) return;
    if (all.length !== rows.length) build(all.length);
    all.forEach((one, i) => {
      write(rows[i].state, inWords(one));
      KINDS.forEach((kind, k) => draw(rows[i].canvases[k], one[kind], page.colours));
    });
  }

  return { element, frame };
}

function inWords({ dead, saturated }) {
  const said = [];
  if (dead) said.push(`${Math.round(100 * dead)} % of the nodes are dead`);
  if (saturated) said.push(`${Math.round(100 * saturated)} % are saturated`);
  return said.join(", ") || "all nodes learn";
}

function draw(canvas, spread, { blue, grey, faint }) {
  const context = canvas.start();
  if (!context || !spread) return;
  const { low, high, counts } = spread;
  const { width, height } = canvas;
  const bottom = height - 14;
  const most = Math.max(...counts, 1);
  const wide = counts.length > 1 ? width / counts.length : 6;
  const left = counts.length > 1 ? 0 : width / 2 - 3;
  context.fillStyle = faint;
  context.fillRect(0, bottom, width, 1);
  context.fillStyle = blue;
  counts.forEach((count, i) => {
    const tall = (count / most) * (bottom - 1);
    if (count) context.fillRect(left + i * wide, bottom - Math.max(tall, 1), Math.max(wide - 1, 1), Math.max(tall, 1));
  });
  context.font = FONT;
  context.fillStyle = grey;
  if (counts.length === 1) {
    context.textAlign = "center";
    return context.fillText(short(low, 2), width / 2, height - 2);
  }
  context.textAlign = "left";
  context.fillText(short(low, 2), 0, height - 2);
  context.textAlign = "right";
  context.fillText(short(high, 2), width, height - 2);
}
