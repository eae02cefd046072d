// The colours: those of the palette as CSS variables, and as tables from numbers to pixels.

const NAMES = ["ink", "grey", "faint", "paper", "shade", "blue", "orange"];

/** The colours of a playground; `follow(palette, changed)` keeps them in step with what the reader prefers. */
export function makeColours(root) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colours = { follow, stop: () => {} };

  function follow(palette, changed) {
    colours.stop();
    const { documentElement, body } = root.ownerDocument;
    const watched = [root, documentElement, body, root.closest("[data-jp-theme-light]")].filter(Boolean);
    const choose = () => {
      const theme = isDark() ? "dark" : "light";
      take(palette[theme]);
      root.style.colorScheme = theme;
      changed();
    };
    const observer = new MutationObserver(choose);
    for (const one of watched) {
      observer.observe(one, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] });
    }
    dark.addEventListener("change", choose);
    colours.stop = () => {
      observer.disconnect();
      dark.removeEventListener("change", choose);
    };
    choose();
  }

  function isDark() {
    const themed = root.closest("[data-theme]")?.dataset.theme;
    if (themed === "dark" || themed === "light") return themed === "dark";
    const notebook = root.closest("[data-jp-theme-light]")?.dataset.jpThemeLight;
    return notebook ? notebook === "false" : dark.matches;
  }

  function take(palette) {
    for (const name of NAMES) {
      colours[name] = palette[name];
      root.style.setProperty(`--${name}`, palette[name]);
    }
    colours.classes = palette.classes;
    const [paper, blue, orange] = ["paper", "blue", "orange"].map((name) => rgb(palette[name]));
    colours.strong = diverging(orange, paper, blue);
    colours.soft = diverging(mix(paper, orange, 0.72), paper, mix(paper, blue, 0.72));
    colours.rgb = { paper, classes: palette.classes.map(rgb) };
  }

  return colours;
}

/** The colour of each class; of two, the second is the blue one, as what is positive is everywhere. */
export function classColours(colours, count) {
  if (count <= 2) return [colours.orange, colours.blue];
  return Array.from({ length: count }, (_, i) => colours.classes[i % colours.classes.length]);
}

/** Where a value lies in a table of 256 colours, its scale given by middle and half width. */
export function place(value, middle, half) {
  const at = Math.round(127.5 + (127.5 * (value - middle)) / half);
  return at > 255 ? 255 : at > 0 ? at : 0;
}

/** The colours of answers as bytes: from low to high, or of three and more classes each its own. */
export function answerTable(colours, classes) {
  if (classes < 3) return colours.soft;
  const of = classColours(colours, classes).map((colour) => pack(mix(colours.rgb.paper, rgb(colour), 0.6)));
  return Uint32Array.from({ length: 256 }, (_, byte) => of[Math.round((byte * (classes - 1)) / 255)]);
}

/** Write the pixels of answers, (outputs, rows, columns) with the lowest row first, into `pixels`, highest first. */
export function paintAnswers(pixels, answers, side, outputs, colours, { middle, half, discrete, bands }) {
  const size = side * side;
  const count = Math.max(outputs, 1);
  const blend = count > 1 ? classMixer(colours, count, discrete) : null;
  for (let row = 0; row < side; row++) {
    let from = row * side;
    let to = (side - 1 - row) * side;
    for (let column = 0; column < side; column++, from++, to++) {
      if (blend) {
        pixels[to] = blend(answers, from, size);
        continue;
      }
      let value = answers[from];
      if (discrete) value = middle + half * banded((value - middle) / half, bands);
      pixels[to] = colours.soft[place(value, middle, half)];
    }
  }
}

function banded(value, bands) {
  const step = Math.floor(((value + 1) / 2) * bands);
  return (2 * Math.min(Math.max(step, 0), bands - 1)) / (bands - 1) - 1;
}

// Each class has its share of the colour; where none is sure, the paper shows through.
function classMixer(colours, count, discrete) {
  const { paper } = colours.rgb;
  const of = classColours(colours, count).map(rgb);
  return (answers, from, size) => {
    let sum = 0;
    let most = 0;
    for (let k = 0; k < count; k++) {
      sum += Math.max(answers[from + k * size], 0);
      if (answers[from + k * size] > answers[from + most * size]) most = k;
    }
    if (discrete) return pack(mix(paper, of[most], 0.6));
    const shown = [0, 0, 0];
    for (let k = 0; k < count && sum > 0; k++) {
      const share = Math.max(answers[from + k * size], 0) / sum;
      for (let i = 0; i < 3; i++) shown[i] += share * of[k][i];
    }
    const sure = sum > 0 ? (answers[from + most * size] / sum - 1 / count) / (1 - 1 / count) : 0;
    return pack(mix(paper, shown, 0.12 + 0.53 * Math.min(Math.max(sure, 0), 1)));
  };
}

function diverging(below, middle, above) {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const t = (i - 127.5) / 127.5;
    table[i] = pack(mix(middle, t < 0 ? below : above, Math.abs(t)));
  }
  return table;
}

function rgb(text) {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

function mix(one, other, share) {
  return one.map((value, i) => value + (other[i] - value) * share);
}

// One pixel of an image as bytes red, green, blue, alpha lie in memory.
function pack([red, green, blue]) {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}
