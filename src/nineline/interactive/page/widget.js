// The playground in a notebook's cell, as anywidget wants it.

import { mount } from "./main.js";
import { decode } from "./protocol.js";

/** Show the playground in `el`; returns what takes it away. */
function render({ model, el }) {
  function connect(receive) {
    const heard = (content, buffers) => {
      if (buffers?.length) receive(...decode(buffers[0]));
    };
    model.on("msg:custom", heard);
    const send = (header, bytes) => model.send(header, undefined, bytes ? [bytes] : []);
    send({ type: "hello", session: null, settings: null });
    return { send, close: () => model.off("msg:custom", heard) };
  }
  return mount(el, connect);
}

export default { render };
