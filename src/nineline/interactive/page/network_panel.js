// The settings of the network, and of the rule that trains it.

import { button, make } from "./elements.js";
import { choiceField, numberField, tickField, usualField } from "./fields.js";
import { counted } from "./numbers.js";

const RATES = [0.00001, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const BATCHES = [1, 2, 5, 10, 20, 30, 50, 100];
const SHARES = [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];

/** The fields; each says what it changes, and shows what the state says. */
export function networkPanel(page) {
  const rule = make("div", { className: "fields" });
  const further = make("div", { className: "fields" });
  const cards = make("div", { className: "layers" });
  const element = make("div", { className: "network-panel" }, rule,
    make("details", { className: "further" }, make("summary", {}, "Penalties, initial weights, seed"), further), cards);
  const { change } = page;
  const layers = () => page.state.settings.layers.map((layer) => ({ ...layer }));
  let fields = {};
  let built = ""; // for which number of layers the cards are
  let layerFields = [];

  const count = make("span", { className: "count" });
  const add = button("add-layer", "Add a layer", () => {
    const all = layers();
    all.push(all.length ? { ...all[all.length - 1] } : { nodes: 4, activation: "tanh", dropout: 0 });
    change({ layers: all });
  });
  const remove = button("remove-layer", "Remove the last", () => change({ layers: layers().slice(0, -1) }));

  function buildRule({ choices }) {
    const set = (name) => (value) => change({ [name]: value });
    fields = {
      learning_rate: usualField("Learning rate", "learning_rate", RATES, { min: 1e-12 }, null, set("learning_rate")),
      optimizer: choiceField("Optimizer", "optimizer", choices.optimizers.map(({ name, title }) => [name, title]),
        set("optimizer")),
      loss: choiceField("Loss", "loss", choices.losses, set("loss")),
      batch_size: usualField("Rows a step", "batch_size", BATCHES, { min: 1, step: 1 }, "all rows", set("batch_size")),
      l2: usualField("L2 penalty", "l2", SHARES, { min: 0 }, null, set("l2")),
      l1: usualField("L1 penalty", "l1", SHARES, { min: 0 }, null, set("l1")),
      initializer: choiceField("Initial weights", "initializer", choices.initializers, set("initializer")),
      seed: numberField("Seed", "seed", { min: 0, step: 1 }, set("seed")),
      output: choiceField("Activation", "output", choices.outputs, set("output")),
      bias: tickField("Biases, in all layers", "bias", set("bias")),
    };
    const of = (...names) => names.map((name) => fields[name].element);
    rule.replaceChildren(...of("learning_rate", "optimizer", "loss", "batch_size"));
    further.replaceChildren(...of("l2", "l1", "initializer", "seed"));
    built = "";
  }

  function buildLayers(number) {
    const { activations, limits } = page.welcome.choices;
    layerFields = Array.from({ length: number }, (_, i) => layerCard(i, activations, limits));
    cards.replaceChildren(
      make("div", { className: "layer-buttons" }, count, add, remove),
      ...layerFields.map((layer) => layer.element),
      make("fieldset", { className: "layer" }, make("legend", {}, "Output layer"), fields.bias.element,
        fields.output.element),
    );
  }

  function layerCard(i, activations, limits) {
    const alter = (part) => {
      const all = layers();
      Object.assign(all[i], part);
      change({ layers: all });
    };
    const nodes = numberField("Nodes", `layers.${i}.nodes`, { min: 1, max: limits.nodes, step: 1 },
      (value) => alter({ nodes: value }));
    const step = (by) => () => alter({ nodes: page.state.settings.layers[i].nodes + by });
    const fewer = button("fewer-nodes", "−", step(-1), { "aria-label": `A node less in hidden layer ${i + 1}` });
    const more = button("more-nodes", "+", step(1), { "aria-label": `A node more in hidden layer ${i + 1}` });
    const activation = choiceField("Activation", `layers.${i}.activation`, activations,
      (value) => alter({ activation: value }));
    const dropout = numberField("Dropout", `layers.${i}.dropout`, { min: 0, max: 0.9 },
      (value) => alter({ dropout: value }));
    return {
      element: make("fieldset", { className: "layer" }, make("legend", {}, `Hidden layer ${i + 1}`),
        make("div", { className: "stepper" }, nodes.element, fewer, more), activation.element, dropout.element),
      show(layer) {
        nodes.show(layer.nodes);
        activation.show(layer.activation);
        dropout.show(layer.dropout ?? 0);
        fewer.disabled = layer.nodes <= 1;
        more.disabled = layer.nodes >= limits.nodes;
      },
    };
  }

  function state({ settings, parameters }) {
    const { limits, optimizers } = page.welcome.choices;
    const number = settings.layers.length;
    if (built !== String(number)) {
      buildLayers(number);
      built = String(number);
    }
    layerFields.forEach((layer, i) => layer.show(settings.layers[i]));
    for (const [name, field] of Object.entries(fields)) field.show(settings[name]);
    const whole = optimizers.some(({ name, whole_batch: all }) => all && name === settings.optimizer);
    for (const name of ["learning_rate", "batch_size"]) fields[name].control.disabled = whole;
    const hidden = number === 1 ? "1 hidden layer" : `${number} hidden layers`;
    count.textContent = `${hidden}, ${counted(parameters)} parameters`;
    add.disabled = number >= limits.layers;
    remove.disabled = number === 0;
  }

  return {
    element,
    welcome: buildRule,
    state,
    refused: () => page.state && state(page.state),
  };
}
