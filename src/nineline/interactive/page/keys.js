// Keys for what is done often, while no field has the focus.

import { make } from "./elements.js";

const KEYS = [
  [" ", "space", "run, or pause", "run"],
  ["s", "S", "one step", "step"],
  ["e", "E", "one epoch", "epoch"],
  ["z", "Z", "undo", "undo"],
  ["r", "R", "back to the start", "rewind"],
];

/** Press the buttons inside `element` by keys; its element says which. */
export function keys(element) {
  const listen = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (target.closest("input, select, textarea, dialog, [contenteditable]")) return;
    if (event.key === " " && target.closest("button, summary, a")) return;
    const found = KEYS.find(([key]) => key === event.key.toLowerCase());
    if (!found) return;
    event.preventDefault();
    element.querySelector(`.nineline-playground [data-action="${found[3]}"]`)?.click();
  };
  element.addEventListener("keydown", listen);
  const list = make("dl", { className: "keys" });
  for (const [, cap, meaning] of KEYS) {
    list.append(make("div", {}, make("dt", {}, make("kbd", {}, cap)), make("dd", {}, meaning)));
  }
  const more = make("p", { className: "aside" },
    "In the diagram the arrow keys go from node to node, and Enter looks into one. On the surface they go from row to "
    + "row. Escape lets go.");
  return {
    element: make("details", {}, make("summary", {}, "Keys"), list, more),
    stop: () => element.removeEventListener("keydown", listen),
  };
}
