// What goes over the wire: a header as JSON, and arrays or a file as bytes.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, float64: Float64Array };

/** A message to Python: text, or with a file one buffer (length of the header, header, bytes). */
export function encode(header, bytes = null) {
  const text = JSON.stringify(header);
  if (!bytes) return text;
  const head = new TextEncoder().encode(text);
  const whole = new Uint8Array(4 + head.length + bytes.byteLength);
  new DataView(whole.buffer).setUint32(0, head.length, true);
  whole.set(head, 4);
  whole.set(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength), 4 + head.length);
  return whole.buffer;
}

/** A message from Python, as [header, arrays by name]; takes an ArrayBuffer, or a view of one. */
export function decode(message) {
  const buffer = message instanceof ArrayBuffer
    ? message
    : message.buffer.slice(message.byteOffset, message.byteOffset + message.byteLength);
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, type, shape, start } of header.arrays ?? []) {
    const size = shape.reduce((product, side) => product * side, 1);
    arrays[name] = new ARRAYS[type](buffer, 4 + length + start, size);
  }
  return [header, arrays];
}
