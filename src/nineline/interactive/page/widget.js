// The playground in a notebook's cell, as anywidget wants it.

import { mount } from "./main.js";
import { decode } from "./protocol.js";

const GONE = { type: "ended", text: "The kernel does not answer: run the cell again." };
const PATIENCE = 3000; // milliseconds that a kernel has to answer, once it was away

/** Show the playground in `el`; returns what takes it away. */
function render({ model, el }) {
  /** Say a message; returns whether there is anybody to hear it. */
  function say(header, bytes) {
    try {
      model.send(header, undefined, bytes ? [bytes] : []);
      return true;
    } catch {
      return false; // of a kernel that has ended
    }
  }

  const hello = () => say({ type: "hello", session: null, settings: null });

  function connect(receive) {
    let timer = null;
    const gone = () => receive(GONE, {});
    const heard = (content, buffers) => {
      clearTimeout(timer);
      if (buffers?.length) receive(...decode(buffers[0]));
    };
    const away = () => { // or back again, which only an answer tells
      clearTimeout(timer);
      receive({ type: "lost", again: true }, {});
      timer = setTimeout(gone, PATIENCE);
      hello();
    };
    model.on("msg:custom", heard);
    model.on("comm_live_update", away);
    hello();
    return {
      send: (header, bytes) => say(header, bytes) || gone(),
      close() {
        clearTimeout(timer);
        model.off("msg:custom", heard);
        model.off("comm_live_update", away);
        say({ type: "pause" }); // nobody sees how it would go on
      },
    };
  }

  const end = mount(el, connect);
  const unlisten = keepKeys(el);
  return () => {
    unlisten();
    end();
  };
}

// A key in here is no command to the cell, as R is in JupyterLab, except with Ctrl or Cmd, as for saving.
function keepKeys(el) {
  const command = (event) => event.ctrlKey || event.metaKey;
  const before = (event) => el.toggleAttribute("data-lm-suppress-shortcuts", !command(event));
  const after = (event) => {
    if (!command(event)) event.stopPropagation();
  };
  window.addEventListener("keydown", before, true); // JupyterLab listens there too, on the document
  el.addEventListener("keydown", after);
  return () => {
    window.removeEventListener("keydown", before, true);
    el.removeEventListener("keydown", after);
  };
}

export default { render };
