// Loads the playground into a notebook's cell: a widget there is one module, so the others come as text from the kernel.

/** Return the address of a module, made of its text; the modules that it imports come first. */
function address(name, modules, made) {
  if (!made.has(name)) {
    const text = modules[name].replace(
      /(from\s+")\.\/([^"]+)"/g, (_, before, other) => `${before}${address(other, modules, made)}"`,
    );
    made.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  }
  return made.get(name);
}

/**
 * Show the playground in `el` once the kernel answers, and hide its last picture, which is kept beside it; returns what
 * takes both back. Where a notebook is shown without its kernel nothing answers, and the picture is what is seen.
 */
async function render({ model, el }) {
  const made = new Map();
  const { default: widget } = await import(address("widget.js", model.get("modules"), made));
  const place = document.createElement("div");
  const hidden = document.createElement("style");
  hidden.textContent = `.${model.get("picture")} { display: none; }`;
  place.hidden = true;
  el.append(place);
  const answered = () => {
    model.off("msg:custom", answered);
    el.append(hidden);
    place.hidden = false;
  };
  model.on("msg:custom", answered);
  const end = widget.render({ model, el: place });
  return () => {
    model.off("msg:custom", answered);
    end();
    place.remove();
    hidden.remove();
    for (const each of made.values()) URL.revokeObjectURL(each);
  };
}

export default { render };
