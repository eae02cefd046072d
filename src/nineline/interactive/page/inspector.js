// What is inside the node or edge that is looked at: its formula with the numbers in it, and its weights, to change.

import { make, write } from "./elements.js";
import { numberField } from "./fields.js";
import { nodePicture } from "./node_picture.js";
import { short } from "./numbers.js";

/** The inspector; what it says comes with every frame. */
export function inspector(page) {
  const title = make("h3", {}, "Inspector");
  const hint = make("p", { className: "aside" },
    "Choose a node or an edge of the diagram to see what it computes, and to change its weights. "
    + "Point at a row of the data to see its way through the network.");
  const which = make("p", { className: "aside" });
  const picture = nodePicture(page);
  const lines = make("dl", { className: "formulas" });
  const body = make("tbody");
  const table = make("table", { className: "weights" },
    make("caption", {}, "Incoming weights"),
    make("thead", {}, make("tr", {}, ...["from", "weight", "gradient, of this row"].map((name) =>
      make("th", { scope: "col" }, name)))), body);
  const scroll = make("div", { className: "table" }, table);
  const close = make("button", {
    type: "button", data: { action: "close-inspector" }, onclick: () => page.show({ node: null, edge: null }),
  }, "Close");
  const element = make("div", {},
    make("div", { className: "head" }, title, close), which, hint, picture.element, lines, scroll);
  let rows = [];
  let shown = ""; // whose weights the rows are of

  function build(weights) {
    rows = weights.map(({ from, place }) => {
      const gradient = make("td", { className: "number" });
      const field = numberField(`Weight from ${from}`, "weight", {}, (value) =>
        page.send({ type: "set", place, value }), true);
      field.element.firstChild.className = "unseen";
      field.control.dataset.place = place.join(",");
      const row = make("tr", {}, make("th", { scope: "row" }, from), make("td", {}, field.element), gradient);
      return { row, field, gradient };
    });
    body.replaceChildren(...rows.map(({ row }) => row));
  }

  function frame(message) {
    const { look } = message;
    hint.hidden = Boolean(look);
    close.hidden = !page.look.node && !page.look.edge;
    lines.hidden = !look?.lines?.length;
    scroll.hidden = !look?.weights?.length;
    write(title, look?.title || "Inspector");
    which.hidden = !look?.row_title;
    write(which, look?.row_title ?? "");
    picture.frame(message);
    const said = look?.lines ?? [];
    while (lines.children.length > said.length) lines.lastChild.remove();
    said.forEach(({ name, text }, i) => {
      const line = lines.children[i] ?? lines.appendChild(make("div", {}, make("dt"), make("dd")));
      write(line.firstChild, name);
      write(line.lastChild, text);
    });
    const weights = look?.weights ?? [];
    const names = JSON.stringify(weights.map(({ from, place }) => [from, place]));
    if (names !== shown) {
      build(weights);
      shown = names;
    }
    weights.forEach(({ value, gradient }, i) => {
      rows[i].field.show(value);
      write(rows[i].gradient, short(gradient));
    });
  }

  return { element, frame, state: ({ running }) => (element.dataset.running = running) };
}
