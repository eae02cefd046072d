// The network as nodes and edges. Edges and what the nodes answer are drawn on one canvas; over it lie wide
// transparent lines, to point at an edge, and a button for each node.

import { FONT, makeCanvas } from "./canvas.js";
import { make, makeSvg } from "./elements.js";
import { short, tiny } from "./numbers.js";

const TOP = 30; // above the nodes, for the names of the layers

/** The diagram; it is built anew only when the network has another shape, or the page another width. */
export function diagram(page) {
  const canvas = makeCanvas({ "aria-label": "Edges and answers of the nodes", className: "edges" }, page.redraw);
  const hits = makeSvg("svg", { class: "hits", "aria-hidden": "true" });
  const heads = make("div", { className: "heads" });
  const buttons = make("div", {
    className: "nodes", role: "group",
    "aria-label": "Nodes: arrow keys go from one to the next, Enter looks into it, Escape lets go",
  });
  const box = make("div", { className: "diagram" }, canvas.element, hits, heads, buttons);
  const element = make("div", { className: "diagram-scroll" }, box);
  const picture = document.createElement("canvas"); // one node's answers, before they are scaled
  const pen = picture.getContext("2d", { willReadFrequently: true });
  let image = null;
  let pixels = null;
  let columns = []; // of nodes {x, y, size, button, layer, node}
  let edges = []; // {path, layer, from, to, at}
  let thick = 1; // of lines; less where there is little room
  let width = 0;
  let shape = ""; // which network was built, and how wide
  let pointed = null; // the edge under the pointer

  new ResizeObserver(([entry]) => {
    width = entry.contentRect.width;
    if (page.state) build(page.state);
  }).observe(element);

  function build(state) {
    const { network } = state;
    const key = JSON.stringify([network, width]);
    if (key === shape || !width) return;
    shape = key;
    pointed = null;
    layOut(network);
    makeButtons(network);
    makeEdges(network);
    mark();
    page.redraw();
  }

  function layOut({ layers, input_names: names, output_names: outputs }) {
    const counts = [layers[0].inputs, ...layers.map((layer) => layer.outputs)];
    const narrow = width < 460;
    const left = Math.min(longest(names) * 6.2 + 12, narrow ? 44 : 110);
    const right = outputs.length > 1 ? Math.min(longest(outputs) * 6.2 + 12, narrow ? 44 : 110) : 8;
    const pitch = (width - left - right) / counts.length;
    const sizes = counts.map((count) =>
      Math.round(Math.max(count > 40 ? 12 : count > 16 ? 16 : 24, Math.min(44, pitch * 0.56, 560 / count - 5))));
    const steps = counts.map((count, i) =>
      sizes[i] + (count > 16 ? 3 : Math.max(4, Math.min(14, 480 / count - sizes[i]))));
    const tall = Math.max(...counts.map((count, i) => count * steps[i]));
    thick = Math.min(1, pitch / 90);
    box.style.height = `${TOP + tall + 12}px`;
    columns = counts.map((count, column) => Array.from({ length: count }, (_, node) => ({
      layer: column - 1,
      node,
      size: sizes[column],
      x: left + pitch * (column + 0.5),
      y: TOP + tall / 2 + (node - (count - 1) / 2) * steps[column],
    })));
    const titles = ["inputs", ...layers.map((layer) => layer.activation.replaceAll("_", " "))];
    heads.replaceChildren(...titles.map((title, column) => placed(make("span", { title }, title),
      columns[column][0].x - pitch / 2, 2, pitch)));
    heads.append(
      ...columns[0].map(({ x, y, size }, i) => placed(make("span", { className: "before", title: names[i] }, names[i]),
        0, y - 8, x - size / 2 - 6)),
      ...(outputs.length > 1 ? columns.at(-1) : []).map(({ x, y, size }, i) => placed(
        make("span", { className: "after", title: outputs[i] }, outputs[i]), x + size / 2 + 6, y - 8,
        width - x - size / 2 - 6)));
  }

  function makeButtons({ input_names: names, output_names: outputs }) {
    const last = columns.length - 1;
    const name = (layer, node) => {
      if (layer < 0) return `Input ${names[node]}`;
      if (layer === last - 1) return outputs.length > 1 ? `Output ${outputs[node]}` : "Output";
      return `Hidden layer ${layer + 1}, node ${node + 1}`;
    };
    const hadFocus = buttons.contains(buttons.getRootNode().activeElement);
    for (const column of columns) {
      for (const one of column) {
        one.button = placed(make("button", {
          type: "button", tabIndex: -1, "aria-label": name(one.layer, one.node), onclick: () => choose(one),
          data: { node: `${one.layer},${one.node}` },
        }), one.x - one.size / 2, one.y - one.size / 2, one.size);
        one.button.style.height = `${one.size}px`;
      }
    }
    buttons.replaceChildren(...columns.flat().map((one) => one.button));
    const [layer, node] = page.look.node ?? [0, 0];
    const stop = columns[layer + 1]?.[node] ?? columns[0][0];
    stop.button.tabIndex = 0;
    if (hadFocus) stop.button.focus();
  }

  function makeEdges({ layers }) {
    edges = [];
    hits.replaceChildren();
    layers.forEach(({ outputs, place }, layer) => {
      columns[layer].forEach((from, i) => columns[layer + 1].forEach((to, j) => {
        const [x0, x1] = [from.x + from.size / 2, to.x - to.size / 2];
        const bend = (x1 - x0) * 0.45 * Math.min(1, (x1 - x0) / 60); // where there is little room they are straight
        const line = `M${x0} ${from.y}C${x0 + bend} ${from.y} ${x1 - bend} ${to.y} ${x1} ${to.y}`;
        const edge = { path: new Path2D(line), layer, from: i, to: j, at: place.weights[0] + i * outputs + j,
          x: (x0 + x1) / 2, y: (from.y + to.y) / 2 };
        const hit = makeSvg("path", { d: line, "data-edge": `${layer},${i},${j}` });
        hit.addEventListener("click", () => {
          const same = String(page.look.edge) === `${layer},${i},${j}`;
          page.show({ edge: same ? null : [layer, i, j], node: null });
          mark();
        });
        hit.addEventListener("pointerenter", () => point(edge));
        hit.addEventListener("pointerleave", () => point(null));
        hits.append(hit);
        edges.push(edge);
      }));
    });
  }

  function point(edge) {
    pointed = edge;
    page.redraw();
  }

  function choose({ layer, node }) {
    const same = String(page.look.node) === `${layer},${node}`;
    page.show({ node: same ? null : [layer, node], edge: null });
    mark();
  }

  function mark() {
    const chosen = String(page.look.node);
    for (const { button, layer, node } of columns.flat()) {
      button.setAttribute("aria-pressed", chosen === `${layer},${node}`);
    }
  }

  buttons.addEventListener("focusin", (event) => {
    for (const { button } of columns.flat()) button.tabIndex = button === event.target ? 0 : -1;
  });
  buttons.addEventListener("keydown", (event) => {
    const here = columns.flat().find(({ button }) => button === event.target);
    if (!here) return;
    if (event.key === "Escape") {
      page.show({ node: null, edge: null });
      return mark();
    }
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    if (!along && !down) return;
    event.preventDefault();
    const column = columns[here.layer + 1 + along];
    const next = column?.[Math.min(here.node + down, column.length - 1)];
    next?.button.focus();
  });

  function frame(message) {
    const { arrays, grid, look } = message;
    const { network } = page.state;
    const context = canvas.start();
    // A frame of another network than the one that is built is on its way out.
    if (!context || arrays.nodes.length !== columns.flat().length * grid.reduce((a, b) => a * b, 1)) return;
    const way = look && arrays.way?.length === columns.flat().length ? arrays.way : null;
    drawEdges(context, arrays.parameters, way);
    drawBiases(context, network, arrays.parameters);
    drawAnswers(context, arrays.nodes, grid);
    context.font = FONT;
    if (way) {
      columns.flat().forEach((one, i) => {
        if (one.size >= 24) label(context, tiny(way[i]), one.x, one.y + one.size / 2 - 3); // else there is no room
      });
    }
    if (pointed) {
      const value = arrays.parameters[pointed.at];
      label(context, `weight ${short(value)}`, pointed.x, pointed.y);
    }
  }

  function drawEdges(context, parameters, way) {
    const { blue, orange, ink } = page.colours;
    const [layer, node] = page.look.node ?? [];
    const chosen = String(page.look.edge);
    let start = 0; // of the edge's layer among the nodes
    let before = 0;
    for (const edge of edges) {
      if (edge.layer !== before) {
        start += columns[before].length;
        before = edge.layer;
      }
      const value = parameters[edge.at] * (way ? way[start + edge.from] : 1);
      const much = 1 - Math.exp(-Math.abs(value) / 1.5);
      const near = (edge.layer === layer && edge.to === node) || (edge.layer === layer + 1 && edge.from === node);
      if (edges.length > 1500 && much < 0.05) continue; // too faint to be worth the time
      const mine = edge === pointed || `${edge.layer},${edge.from},${edge.to}` === chosen;
      if (mine) {
        context.globalAlpha = 1;
        context.strokeStyle = ink;
        context.lineWidth = 4 + 4.5 * thick * much;
        context.stroke(edge.path);
      }
      context.globalAlpha = mine ? 1 : (0.14 + 0.86 * much) * (node === undefined || near ? 1 : 0.25);
      context.strokeStyle = value < 0 ? orange : blue;
      context.lineWidth = (0.7 + 4.5 * much) * thick;
      context.stroke(edge.path);
    }
    context.globalAlpha = 1;
  }

  // The bias is a dot at the lower left corner of its node.
  function drawBiases(context, { layers }, parameters) {
    const { blue, orange, paper } = page.colours;
    layers.forEach(({ bias, place }, layer) => {
      if (!bias || !place.bias) return;
      columns[layer + 1].forEach(({ x, y, size }, j) => {
        const value = parameters[place.bias[0] + j];
        context.beginPath();
        context.arc(x - size / 2 - 1, y + size / 2 + 1, 2 + 3.5 * (1 - Math.exp(-Math.abs(value))), 0, 2 * Math.PI);
        context.fillStyle = value < 0 ? orange : blue;
        context.strokeStyle = paper;
        context.lineWidth = 1;
        context.fill();
        context.stroke();
      });
    });
  }

  function drawAnswers(context, bytes, grid) {
    const { strong, paper, ink } = page.colours;
    const side = grid[0];
    const plane = grid.length === 2;
    if (plane && picture.width !== side) {
      picture.width = picture.height = side;
      image = null;
    }
    if (plane && !image) {
      image = pen.createImageData(side, side);
      pixels = new Uint32Array(image.data.buffer);
    }
    let from = 0;
    context.imageSmoothingEnabled = true;
    context.lineWidth = 1.5;
    for (const column of columns) {
      for (const { x, y, size } of column) {
        const [left, top] = [x - size / 2, y - size / 2];
        if (plane) {
          for (let row = side - 1; row >= 0; row--) {
            for (let to = row * side, end = to + side; to < end; to++) pixels[to] = strong[bytes[from++]];
          }
          pen.putImageData(image, 0, 0);
          context.drawImage(picture, left, top, size, size);
        } else {
          context.fillStyle = paper;
          context.fillRect(left, top, size, size);
          context.strokeStyle = ink;
          context.beginPath();
          for (let i = 0; i < side; i++) {
            context.lineTo(left + (size * i) / (side - 1), top + size - 2 - ((size - 4) * bytes[from + i]) / 255);
          }
          context.stroke();
          from += side;
        }
      }
    }
  }

  function label(context, text, x, y) {
    context.textAlign = "center";
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeStyle = page.colours.paper;
    context.strokeText(text, x, y);
    context.fillStyle = page.colours.ink;
    context.fillText(text, x, y);
  }

  function state(message) {
    const there = page.look.node && message.network.layers[page.look.node[0]]?.outputs > page.look.node[1];
    const still = !page.look.node || page.look.node[0] < 0 || there;
    if (!still || (page.look.edge && !has(message.network, page.look.edge))) page.show({ node: null, edge: null });
    build(message);
  }

  return { element, state, frame, looked: mark };
}

function has({ layers }, [layer, from, to]) {
  return layers[layer]?.inputs > from && layers[layer].outputs > to;
}

function longest(names) {
  return Math.max(0, ...names.map((name) => name.length));
}

function placed(element, left, top, width) {
  Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${Math.max(width, 0)}px` });
  return element;
}
