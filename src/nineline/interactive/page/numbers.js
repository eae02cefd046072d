// Numbers as text, and the ticks of an axis.

/** About `digits` significant digits, with a true minus sign. */
export function short(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text;
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) text = value.toExponential(digits - 1).replace("e+", "e");
  else text = value.toFixed(size === 0 ? digits - 1 : Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  return text.replaceAll("-", "−");
}

/** The number at a tick of an axis, as short as can be. */
export function atTick(value) {
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5)
    ? value.toExponential(1).replace(".0e", "e").replace("e+", "e")
    : String(Number(value.toPrecision(4)));
  return text.replaceAll("-", "−");
}

/** A number in as little room as can be. */
export function tiny(value) {
  const size = Math.abs(value);
  if (size >= 1e4) return short(value, 1);
  const text = value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
  if (Number(text) === 0 && size > 0) return value < 0 ? "−0.00" : "0.00";
  return (Number(text) === 0 ? "0" : text).replace("-", "−");
}

/** A value as a number field takes it: at most 6 significant digits. */
export function typed(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : "";
}

/** A share as a percentage. */
export function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
}

/** A count with thin spaces between thousands. */
export function counted(value) {
  return String(Math.round(value ?? 0)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Round numbers from low to high, about `count` of them. */
export function ticks(low, high, count = 5) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten from low to high, where there are at least two; else round numbers. */
export function logTicks(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first < 1) return ticks(low, high, 4);
  const every = Math.ceil((last - first) / 6);
  return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
}

/** The least and the greatest of the finite numbers; [0, 1] where there are none. */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}
