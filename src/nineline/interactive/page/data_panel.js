// What is learned from: the examples and their settings, a table of one's own, the axes, and what is held.

import { classColours } from "./colours.js";
import { button, make, onceAFrame } from "./elements.js";
import { choiceField, numberField, slideField, textField } from "./fields.js";
import { drawIcon, icon } from "./icons.js";
import { counted, percent, short } from "./numbers.js";

/** The panel, and the dialog in which a table's target is chosen. */
export function dataPanel(page) {
  const cards = make("div", { className: "examples", role: "group", "aria-label": "Examples" });
  const about = make("p", { className: "aside" });
  const form = make("div", { className: "fields" });
  const rows = make("p", { className: "aside" });
  const axes = make("div", { className: "fields axes" });
  const held = make("div", { className: "fields" });
  const heldBox = make("fieldset", { className: "held" }, make("legend", {}, "Held at"), held);
  const file = make("input", { type: "file", hidden: true, "aria-label": "A table file" });
  const upload = button("upload", "Open a table …", () => file.click());
  const own = make("div", { className: "own" }, upload, file,
    make("span", { className: "aside" }, "or drop one here: CSV, TSV, Parquet, JSON lines"));
  const element = make("div", {}, cards, about, form, own, rows, axes, heldBox);
  const dialog = make("dialog", { className: "table-dialog", "aria-label": "The table's target" });
  const data = () => page.state.settings.data;
  const change = (part) => page.change({ data: { ...data(), ...part } });
  let fields = {};
  let heldFields = [];
  let built = ""; // for which columns and axes the fields are

  file.addEventListener("change", () => {
    open(file.files[0]);
    file.value = "";
  });
  const drag = (event) => {
    if (!page.welcome?.editable_data || ![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    page.root.classList.toggle("dropping", event.type === "dragover");
    if (event.type === "drop") open(event.dataTransfer.files[0]);
  };
  for (const type of ["dragover", "dragleave", "drop"]) page.root.addEventListener(type, drag);

  async function open(one) {
    if (!one) return;
    const most = page.welcome.choices.limits.upload;
    if (one.size > most) {
      page.notice(`${one.name} has ${megabytes(one.size)}, and at most ${megabytes(most)} can be opened here.`);
      return;
    }
    const bytes = new Uint8Array(await one.arrayBuffer());
    page.send({ type: "table", name: one.name }, bytes);
    page.notice(`Reading ${one.name} …`);
  }

  function welcome({ choices, editable_data: editable }) {
    const { limits, examples } = choices;
    const [fewest, most] = limits.rows;
    cards.replaceChildren(...examples.map(({ name, title, about: text }) =>
      make("button", {
        type: "button", title: text ?? "", data: { example: name },
        onclick: () => change({ kind: "example", name }),
      }, icon(name), title)));
    fields = {
      expression: textField("Class 1 is where", "data.expression",
        { placeholder: "y > sin(3x)", spellcheck: false, autocomplete: "off" },
        (expression) => change({ expression })),
      rows: slideField("Rows", "data.rows", { min: fewest, max: most, step: 1 }, counted,
        (value) => change({ rows: value })),
      noise: slideField("Noise", "data.noise", { min: 0, max: 1, step: 0.01 }, (value) => value.toFixed(2),
        (noise) => change({ noise })),
      test: slideField("Held out", "data.test", { min: 0, max: 0.9, step: 0.05 }, percent, (test) => change({ test })),
      seed: numberField("Seed of the rows", "data.seed", { min: 0, step: 1 }, (seed) => change({ seed })),
    };
    form.replaceChildren(...Object.values(fields).map((field) => field.element));
    for (const part of [cards, about, form, own]) part.hidden = !editable;
    themed();
  }

  function state({ settings }) {
    const { kind, name } = settings.data;
    const example = kind === "example" ? page.welcome.choices.examples.find((one) => one.name === name) : null;
    for (const card of cards.children) {
      card.setAttribute("aria-pressed", kind === "example" && card.dataset.example === name);
    }
    const target = settings.data.target ? `, target ${settings.data.target}` : "";
    about.textContent = example ? example.about ?? "" : `${name}${target}`;
    for (const [key, field] of Object.entries(fields)) field.show(settings.data[key]);
    for (const key of ["expression", "rows", "noise"]) fields[key].element.hidden = !example?.options?.includes(key);
  }

  // The axes and what is held come with the data.
  function show(message) {
    const { columns, x, y } = message;
    const split = message.test
      ? `${counted(message.train)} learned from, ${counted(message.test)} held out`
      : "all learned from";
    const drawn = message.shown < message.rows ? `; ${counted(message.shown)} are drawn` : "";
    rows.textContent = [`${counted(message.rows)} rows: ${split}${drawn}.`, ...(message.notes ?? [])].join(" ");
    const key = JSON.stringify([columns.map((column) => ({ ...column, held: null })), x, y]);
    if (key !== built) {
      build(columns, x, y);
      built = key;
    }
    heldFields.forEach(({ field, number }) => field.show(columns[number].held));
  }

  function build(columns, x, y) {
    const names = columns.map((column, i) => [String(i), column.name]);
    const across = choiceField("Axis across", "axes.x", names, (value) => {
      const to = Number(value);
      page.send({ type: "axes", x: to, y: to === y ? x : y });
    });
    const up = choiceField("Axis up", "axes.y", names, (value) => {
      const to = Number(value);
      page.send({ type: "axes", x: to === x ? y : x, y: to });
    });
    across.show(x);
    if (y !== null) up.show(y);
    axes.hidden = columns.length < 3;
    axes.replaceChildren(across.element, ...(y === null ? [] : [up.element]));
    heldFields = columns.map((column, number) => ({ number, column }))
      .filter(({ number }) => number !== x && number !== y)
      .map(({ number, column }) => ({ number, field: heldField(column, number) }));
    held.replaceChildren(...heldFields.map(({ field }) => field.element));
    heldBox.hidden = heldFields.length === 0;
  }

  function heldField(column, number) {
    const hold = (value) => page.send({ type: "hold", column: number, value });
    if (column.levels) {
      const levels = column.levels.map((level, i) => [String(i), level]);
      return choiceField(column.name, `hold.${number}`, levels, (value) => hold(Number(value)));
    }
    const spread = column.high > column.low ? 0 : 1; // of a column that is always the same
    const limits = { min: column.low - spread, max: column.high + spread, step: "any" };
    const step = (limits.max - limits.min) / 100;
    const field = slideField(column.name, `hold.${number}`, limits, short, onceAFrame(hold), true);
    field.control.addEventListener("keydown", (event) => {
      const by = { ArrowUp: step, ArrowRight: step, ArrowDown: -step, ArrowLeft: -step }[event.key];
      if (!by) return;
      event.preventDefault();
      field.control.value = Number(field.control.value) + by;
      for (const type of ["input", "change"]) field.control.dispatchEvent(new Event(type));
    });
    return field;
  }

  function table({ name, rows: count, columns, suggested }) {
    page.notice("");
    const target = choiceField("What is to be predicted", "target", columns.map((column) => column.name), () => {});
    target.show(suggested);
    const said = columns.some((column) => column.said);
    const body = make("tbody", {}, ...columns.map((column) => make("tr", {},
      make("th", { scope: "row" }, column.name), make("td", {}, column.kind),
      said ? make("td", {}, column.said ?? "") : null)));
    const names = ["column", "kind", ...(said ? ["what was found"] : [])];
    const head = make("tr", {}, ...names.map((text) => make("th", { scope: "col" }, text)));
    dialog.replaceChildren(
      make("h2", {}, name), make("p", { className: "aside" }, `${counted(count)} rows, ${columns.length} columns`),
      target.element,
      make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Columns" },
        make("table", {}, make("thead", {}, head), body)),
      make("div", { className: "group" },
        button("use-table", "Use it", () => {
          page.send({ type: "use_table", target: target.control.value });
          dialog.close();
        }, { className: "main" }),
        button("close-table", "Cancel", () => dialog.close())));
    if (!dialog.open) dialog.showModal();
  }

  function themed() {
    cards.querySelectorAll("canvas").forEach((canvas) => {
      const three = canvas.dataset.icon.endsWith("3");
      drawIcon(canvas, page.colours, (kind) => classColours(page.colours, three ? 3 : 2)[kind]);
    });
  }

  return {
    element,
    dialog,
    welcome,
    themed,
    state,
    data: show,
    table,
    refused: ({ of }) => {
      if (page.state) state(page.state);
      if (of === "table") dialog.close();
    },
    stop() {
      for (const type of ["dragover", "dragleave", "drop"]) page.root.removeEventListener(type, drag);
    },
  };
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
