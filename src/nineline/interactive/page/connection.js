// The connection of the page: a WebSocket beside it.

import { decode, encode } from "./protocol.js";

const WAITS = [300, 1000, 2000, 4000, 8000];

/** Connect; `receive(header, arrays)` gets what Python says, and {type: "lost", again} when nobody is there. */
export function connect(receive) {
  const address = new URL("./socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  let socket = null;
  let tries = 0;
  let timer = null;
  let closed = false;

  function open() {
    socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    const mine = socket;
    const hello = { type: "hello", ...greeting() };
    socket.onopen = () => mine.send(encode(hello));
    socket.onmessage = (event) => {
      if (mine !== socket || closed) return;
      const [header, arrays] = decode(event.data);
      if (header.type === "welcome") {
        tries = 0;
        remember("session", header.session);
        remember("link", location.hash);
      }
      if (header.type === "refused" && header.of === "hello" && hello.settings) {
        hello.settings = null; // the settings of the link are of no use
        mine.send(encode(hello));
      }
      if (header.type === "ended") closed = true;
      receive(header, arrays);
    };
    socket.onclose = () => {
      if (closed || mine !== socket) return;
      const again = tries < WAITS.length;
      receive({ type: "lost", again }, {});
      if (again) timer = setTimeout(open, WAITS[tries++]);
    };
  }

  open();
  return {
    send(header, bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(encode(header, bytes));
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}

// The settings of a link count once: after a reload the session goes on.
function greeting() {
  const session = remembered("session");
  const fresh = !session || remembered("link") !== location.hash;
  return { session, settings: fresh ? linked(location.hash) : null };
}

function linked(fragment) {
  try {
    const settings = JSON.parse(decodeURIComponent(fragment.slice(1)));
    return settings && typeof settings === "object" ? settings : null;
  } catch {
    return null;
  }
}

// The keys hold the path: several playgrounds may come from one host.
function remember(name, value) {
  try {
    sessionStorage.setItem(`nineline ${name} ${location.pathname}`, value);
  } catch {
    // Without storage a reload begins anew.
  }
}

function remembered(name) {
  try {
    return sessionStorage.getItem(`nineline ${name} ${location.pathname}`);
  } catch {
    return null;
  }
}
