// What the network answers over the two axes, and the rows over it; of one input, its answers as a curve.

import { FONT, makeCanvas } from "./canvas.js";
import { classColours, paintAnswers, place } from "./colours.js";
import { make, makeSvg, write } from "./elements.js";
import { tickField } from "./fields.js";
import { drawMark, markPath } from "./marks.js";
import { atTick, short, ticks } from "./numbers.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [44, 8, 8, 36];
const LEVELS = 30; // more at the left, where the names of levels stand
const BANDS = 8; // of a number, as discrete output

/** The surface with its options and its legend. */
export function surface(page) {
  const canvas = makeCanvas({
    className: "surface", tabIndex: 0, "aria-label": "Answers of the network and the rows of the data",
    data: { action: "surface" },
  }, () => {
    points = null;
    page.redraw();
  });
  const heldOut = tickField("Show held-out rows", "surface.held-out", again);
  const discrete = tickField("Discrete output", "surface.discrete", again);
  heldOut.show(true);
  const legend = make("div", { className: "legend" });
  const said = make("p", { className: "aside row-said" });
  const element = make("div", {}, canvas.element, said, legend,
    make("div", { className: "options" }, heldOut.element, discrete.element));
  const picture = document.createElement("canvas");
  const pen = picture.getContext("2d", { willReadFrequently: true });
  let pixels = null;
  let image = null;
  let points = null; // the rows, drawn once, on a canvas of their own
  let places = []; // [x, y] of each row on the canvas
  let picked = null; // the row that was clicked on, or gone to by keys
  let asked = 0;
  let timer = null;

  function again() {
    points = null;
    page.redraw();
  }

  const names = () => (page.data.y !== null && page.data.columns[page.data.y].levels ? LEVELS : 0);
  const plot = () => ({ left: LEFT + names(), top: TOP, right: canvas.width - RIGHT, bottom: canvas.height - BOTTOM });
  const toX = (value, { left, right }) => left + share(value, page.data.x_range) * (right - left);
  const toY = (value, { top, bottom }) => bottom - share(value, page.data.y_range) * (bottom - top);

  // Half of the answers' scale on either side of its middle: of classes 0 to 1, of numbers as the rows' targets go.
  function scale() {
    if (page.state.task === "classes") return [0.5, 0.5];
    const [low, high] = page.data.target_range;
    return [(low + high) / 2, (high - low) / 2 || 1];
  }

  function frame(message) {
    const context = canvas.start();
    const { arrays, grid } = message;
    const size = grid.reduce((a, b) => a * b, 1);
    if (!context || grid.length !== (page.data.y === null ? 1 : 2)) return;
    const area = plot();
    if (area.right <= area.left) return;
    const outputs = arrays.answers.length / size;
    if (grid.length === 2) drawPlane(context, area, arrays.answers, grid[0], outputs);
    drawAxes(context, area);
    if (grid.length === 1) drawCurves(context, area, arrays.answers, size, outputs);
    if (!points) drawPoints(area);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(points, 0, 0);
    const scaled = canvas.element.width / canvas.width;
    context.setTransform(scaled, 0, 0, scaled, 0, 0);
    drawRow(context);
  }

  function drawPlane(context, area, answers, side, outputs) {
    if (picture.width !== side || !image) {
      picture.width = picture.height = side;
      image = pen.createImageData(side, side);
      pixels = new Uint32Array(image.data.buffer);
    }
    const [middle, half] = scale();
    const many = page.state.task === "classes" ? outputs : 1;
    const bands = page.state.task === "classes" ? 2 : BANDS;
    const scaled = { middle, half, bands, discrete: discrete.control.checked };
    paintAnswers(pixels, answers, side, many, page.colours, scaled);
    pen.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = !discrete.control.checked;
    context.drawImage(picture, area.left, area.top, area.right - area.left, area.bottom - area.top);
  }

  function drawCurves(context, area, answers, size, outputs) {
    context.save();
    context.beginPath();
    context.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    context.clip();
    context.lineWidth = 2.5;
    const colours = outputs > 1 ? classColours(page.colours, outputs) : [page.colours.ink];
    for (let k = 0; k < outputs; k++) {
      context.strokeStyle = colours[k];
      context.beginPath();
      for (let i = 0; i < size; i++) {
        const x = area.left + ((area.right - area.left) * i) / (size - 1);
        let value = answers[k * size + i];
        if (discrete.control.checked && page.state.task === "classes") value = value > 0.5 ? 1 : 0;
        context.lineTo(x, Math.min(Math.max(toY(value, area), -1e4), 1e4));
      }
      context.stroke();
    }
    context.restore();
  }

  function drawAxes(context, area) {
    const { grey, faint } = page.colours;
    const { columns, x, y, x_range: across, y_range: up } = page.data;
    context.strokeStyle = faint;
    context.lineWidth = 1;
    context.strokeRect(area.left + 0.5, area.top + 0.5, area.right - area.left - 1, area.bottom - area.top - 1);
    context.fillStyle = grey;
    context.font = FONT;
    context.textAlign = "center";
    const rooms = (area.right - area.left) / 56;
    const wide = (area.right - area.left) / Math.max(columns[x].levels?.length ?? 1, 1);
    for (const [at, text] of marksOf(columns[x], across, rooms)) {
      context.fillText(cut(text, columns[x].levels ? Math.max(2, Math.floor(wide / 6.5)) : 9), toX(at, area),
        area.bottom + 14);
    }
    context.fillText(columns[x].name, (area.left + area.right) / 2, area.bottom + 30);
    context.textAlign = "right";
    const down = y === null ? null : columns[y];
    for (const [at, text] of marksOf(down, up, (area.bottom - area.top) / 40)) {
      context.fillText(cut(text, down?.levels ? 9 : 5), area.left - 5, toY(at, area) + 4);
    }
    context.save();
    context.translate(10, (area.top + area.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(down ? down.name : "answer", 0, 0);
    context.restore();
  }

  function pointColour(target) {
    const { colours, state } = page;
    if (state.task === "classes") {
      const several = classColours(colours, state.classes.length);
      return several[Math.round(target)] ?? several[0];
    }
    if (page.data.y === null) return colours.blue;
    const [middle, half] = scale();
    const pixel = colours.strong[place(target, middle, half)];
    return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
  }

  // Training rows are filled, held-out rows are outlines; each class has a shape.
  function drawPoints(area) {
    points = document.createElement("canvas");
    points.width = canvas.element.width;
    points.height = canvas.element.height;
    const context = points.getContext("2d");
    const scaled = points.width / canvas.width;
    context.setTransform(scaled, 0, 0, scaled, 0, 0);
    const { x, y, target, test } = page.data.arrays;
    places = Array.from(x, (value, i) => [toX(value, area), toY(y[i], area)]);
    const radius = x.length > 400 ? 3 : 4;
    const rim = page.state.task === "classes" || page.data.y === null ? page.colours.paper : page.colours.grey;
    places.forEach((at, i) => {
      if (test[i] && !heldOut.control.checked) return;
      const kind = page.state.task === "classes" ? Math.round(target[i]) : 0;
      drawMark(context, kind, at, radius, pointColour(target[i]), page.colours, Boolean(test[i]), rim);
    });
  }

  function drawRow(context) {
    const row = page.look.row;
    const { columns, x, y, arrays } = page.data;
    if (row === null || !places[row]) {
      return write(said, "Point at a row, or tap it, to see its way through the network.");
    }
    context.beginPath();
    context.arc(...places[row], 9, 0, 2 * Math.PI);
    context.lineWidth = 4;
    context.strokeStyle = page.colours.paper;
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = page.colours.ink;
    context.stroke();
    const value = (column, at) => (column.levels ? column.levels[Math.round(at)] : short(at));
    const target = page.state.task === "classes" ? page.state.classes[arrays.target[row]] : short(arrays.target[row]);
    const where = [`${columns[x].name} ${value(columns[x], arrays.x[row])}`];
    if (y !== null) where.push(`${columns[y].name} ${value(columns[y], arrays.y[row])}`);
    write(said, `${where.join(", ")}; target ${target}${arrays.test[row] ? "; held out" : ""}.`);
  }

  // Looking at rows

  function look(row) {
    if (row === page.look.row) return;
    page.look.row = row;
    clearTimeout(timer);
    timer = setTimeout(() => {
      asked = performance.now();
      page.show({ row });
    }, Math.max(0, asked + 50 - performance.now()));
    page.redraw();
  }

  function nearest(event) {
    if (!page.data) return null;
    const box = canvas.element.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = event.pointerType === "mouse" ? 14 : 28;
    let found = null;
    places.forEach(([px, py], row) => {
      if (page.data.arrays.test[row] && !heldOut.control.checked) return;
      const away = Math.hypot(px - x, py - y);
      if (away < best) [best, found] = [away, row];
    });
    return found;
  }

  canvas.element.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") look(nearest(event) ?? picked);
  });
  canvas.element.addEventListener("pointerleave", () => look(picked));
  canvas.element.addEventListener("click", (event) => {
    const row = nearest(event);
    picked = row === picked ? null : row;
    look(picked);
  });
  canvas.element.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] ?? 0;
    if (event.key === "Escape") look((picked = null));
    if (!by || !page.data) return;
    event.preventDefault();
    const count = page.data.arrays.x.length;
    let row = picked ?? (by > 0 ? -1 : count);
    do row = (row + by + count) % count;
    while (page.data.arrays.test[row] && !heldOut.control.checked && row !== picked);
    look((picked = row));
  });

  function data({ arrays }) {
    points = null;
    if (picked !== null && picked >= arrays.x.length) picked = null;
    if (page.look.row !== null && page.look.row >= arrays.x.length) look(null);
  }

  function buildLegend() {
    if (!page.state || !page.data) return;
    const { task, classes } = page.state;
    const items = [];
    if (task === "classes") {
      const colours = classColours(page.colours, classes.length);
      classes.forEach((name, k) => items.push(entry(k, colours[k % colours.length], name)));
    } else if (page.data.y === null) {
      items.push(entry(0, page.colours.blue, "learned from"));
    } else {
      const [middle, half] = scale();
      for (const value of [middle - half, middle, middle + half]) {
        items.push(entry(0, pointColour(value), short(value)));
      }
    }
    if (page.data.test) items.push(entry(0, null, "held out"));
    if (page.data.y === null) items.push(make("span", {}, make("i", { className: "line answer" }), "answer"));
    legend.replaceChildren(...items);
  }

  function entry(kind, colour, text) {
    const drawn = makeSvg("path", {
      d: markPath(kind, 7, 7, 5), fill: colour ?? "none", stroke: colour ? page.colours.grey : page.colours.ink,
      "stroke-width": colour ? 0.5 : 2,
    });
    const icon = makeSvg("svg", { width: 14, height: 14, "aria-hidden": "true" }, drawn);
    return make("span", {}, icon, text);
  }

  return {
    element,
    frame,
    data(message) {
      data(message);
      buildLegend();
    },
    state() {
      points = null;
      buildLegend();
    },
    themed() {
      points = null;
      buildLegend();
    },
    stop: () => clearTimeout(timer),
  };
}

function marksOf(column, [low, high], rooms) {
  if (column?.levels) return column.levels.map((level, i) => [i, level]).slice(0, 40);
  return ticks(low, high, Math.max(2, Math.min(6, rooms))).map((value) => [value, atTick(value)]);
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function share(value, [low, high]) {
  return (value - low) / (high - low || 1);
}
