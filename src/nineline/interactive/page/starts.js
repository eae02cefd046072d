// A hundred networks of the same shape from other initial weights: which learn it, and which do not, and why.

import { makeCanvas } from "./canvas.js";
import { answerTable } from "./colours.js";
import { drawCurves } from "./curves.js";
import { button, make, write } from "./elements.js";
import { tickField } from "./fields.js";
import { extent, percent, short } from "./numbers.js";

const COUNT = 100;
const EPOCHS = 200;

/** The dialog, and `open` to begin. */
export function starts(page) {
  const canvas = makeCanvas({ className: "curves", "aria-label": "Loss of each network over the epochs" }, redraw);
  const log = tickField("Logarithmic", "starts.log", redraw);
  const summary = make("p", { className: "summary" });
  const bar = make("progress", { max: EPOCHS, value: 0, "aria-label": "Epochs trained" });
  const cards = make("div", { className: "cards" });
  const go = button("start-starts", "Train again", begin);
  const stop = button("stop-starts", "Stop", () => page.send({ type: "stop_starts" }));
  const dialog = make("dialog", { className: "starts", "aria-label": "A hundred networks" },
    make("div", { className: "head" }, make("h2", {}, "A hundred networks, one shape"),
      make("div", { className: "group" }, stop, go, button("close-starts", "Close", () => dialog.close()))),
    make("p", { className: "aside" },
      "Each begins with other initial weights. Choose one to train it on the page, from its start; those of the smallest loss come first."),
    bar, summary, make("div", { className: "head" }, make("h3", {}, "Loss"), log.element), canvas.element, cards);
  let last = null; // the newest message
  let made = [];
  let pointed = null;
  let settings = ""; // of which the networks are

  function now() {
    return JSON.stringify({ ...page.state.settings, start: null });
  }

  function begin() {
    last = null;
    settings = now();
    page.send({ type: "starts", count: COUNT, epochs: EPOCHS });
    write(summary, "They begin …");
    bar.value = 0;
    bar.hidden = false;
    stop.disabled = false;
  }

  function open() {
    if (!dialog.open) dialog.showModal();
    if (!last || settings !== now()) begin();
    redraw();
  }

  function build(count) {
    made = Array.from({ length: count }, (_, number) => {
      const picture = make("canvas", { role: "presentation" });
      const loss = make("span", { className: "figure" });
      const right = make("span", { className: "figure" });
      const reason = make("span", { className: "reason" });
      const card = make("button", {
        type: "button", data: { start: number },
        onclick: () => {
          page.send({ type: "take_start", number });
          page.send({ type: "stop_starts" });
          dialog.close();
        },
      }, picture, loss, right, reason);
      for (const type of ["pointerenter", "focus"]) card.addEventListener(type, () => point(number));
      for (const type of ["pointerleave", "blur"]) card.addEventListener(type, () => point(null));
      return { card, picture, loss, right, reason };
    });
    cards.replaceChildren(...made.map(({ card }) => card));
  }

  function point(number) {
    pointed = number;
    redraw();
  }

  function show(message) {
    last = message;
    const { count, done, failed = [], reasons = [], order = [] } = message;
    const losses = message.losses_final ?? message.losses ?? [];
    if (made.length !== count) build(count);
    bar.max = message.epochs;
    bar.value = message.epoch;
    bar.hidden = done;
    stop.disabled = done;
    write(go, done ? "Train again" : "Begin again");
    write(summary, inWords(message));
    made.forEach(({ card, loss, right, reason }, number) => {
      const bad = Boolean(failed[number]);
      card.classList.toggle("failed", bad);
      write(loss, short(losses[number]));
      const share = message.scores ? `${percent(message.scores[number])} right` : "";
      write(right, share);
      write(reason, bad ? reasons[number] || "not learned" : "");
      card.title = bad ? reasons[number] : "";
      card.setAttribute("aria-label", `Network ${number + 1}, loss ${short(losses[number])}${share ? `, ${share}` : ""}`
        + (bad ? `, failed: ${reasons[number]}` : ""));
    });
    sort(order);
    paint(message);
    redraw();
  }

  function sort(order) {
    const focused = cards.getRootNode().activeElement;
    const wanted = order.map((number) => made[number].card);
    if (!wanted.length) return;
    if (wanted.every((card, i) => cards.children[i] === card)) return;
    cards.append(...wanted);
    if (cards.contains(focused)) focused.focus();
  }

  function paint({ arrays, grid, count }) {
    if (!arrays.images) return;
    const size = arrays.images.length / count;
    const sides = grid === undefined ? [Math.sqrt(size)] : [grid].flat();
    const plane = sides.length === 2 || sides[0] ** 2 === size;
    const side = sides[0];
    const table = answerTable(page.colours, page.state.task === "classes" ? page.state.classes.length : 1);
    made.forEach(({ picture }, number) => {
      const bytes = arrays.images.subarray(number * size, (number + 1) * size);
      picture.width = side;
      picture.height = plane ? side : Math.round(side / 2);
      const context = picture.getContext("2d");
      if (!plane) {
        context.strokeStyle = page.colours.ink;
        context.lineWidth = side / 40;
        bytes.forEach((byte, i) => context.lineTo(i, (picture.height - 2) * (1 - byte / 255) + 1));
        return context.stroke();
      }
      const image = context.createImageData(side, side);
      const pixels = new Uint32Array(image.data.buffer);
      for (let i = 0; i < size; i++) {
        const row = side - 1 - Math.floor(i / side);
        pixels[row * side + (i % side)] = table[bytes[i]];
      }
      context.putImageData(image, 0, 0);
    });
  }

  function redraw() {
    if (!last?.arrays.curves || !dialog.open) return;
    const context = canvas.start();
    if (!context) return;
    const { curves } = last.arrays;
    const { blue, orange, ink } = page.colours;
    const length = curves.length / last.count;
    const reached = last.epoch || last.epochs;
    const xs = Float32Array.from({ length }, (_, i) => (length > 1 ? (i * reached) / (length - 1) : 0));
    const line = (number, colour, width) => ({
      xs, ys: curves.subarray(number * length, (number + 1) * length), colour, width,
      dash: last.failed?.[number] ? [4, 3] : [],
    });
    const lines = Array.from({ length: last.count }, (_, i) => line(i, last.failed?.[i] ? orange : blue, 0.7));
    if (pointed !== null) lines.push(line(pointed, ink, 3));
    drawCurves(context, canvas, page.colours, { across: extent([0, reached]), log: log.control.checked, lines });
  }

  return {
    open, dialog, starts: show,
    themed: () => last && show(last),
    refused: ({ of }) => {
      if (of === "starts") dialog.close();
    },
  };
}

function inWords({ count, failed, reasons, done, epoch, epochs }) {
  if (!done || !failed) return `Epoch ${epoch} of ${epochs} …`;
  const groups = new Map();
  failed.forEach((bad, i) => bad && groups.set(reasons[i], (groups.get(reasons[i]) ?? 0) + 1));
  const learned = failed.filter((bad) => !bad).length;
  const parts = [`${learned} of ${count} learned it`];
  for (const [reason, number] of [...groups].sort((a, b) => b[1] - a[1])) parts.push(`${number} did not (${reason})`);
  return `${parts.join("; ")}.`;
}
