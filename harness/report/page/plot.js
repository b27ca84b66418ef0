// A plot of one trend: an SVG drawn in the width that it has, which a pointer or the arrow keys walk night by night.

const HEIGHT = 190;
const AREA = { left: 58, right: 12, top: 14, bottom: 34 };
const SHORT_SPAN = 3 * 86400; // seconds up to which the axis of time has hours
const FEW = 60; // points up to which each has a dot
const LETTERS = { vela: "V", firmware: "F", board: "B", model: "M" };

/** Formats a figure as the page's tables do. */
function formatValue(value, unit, digits = 4) {
  if (unit === "fraction") return `${(100 * value).toFixed(2)} %`;
  const isWhole = Number.isInteger(value) || ["bytes", "cycles", "elements", "values"].includes(unit);
  const options = isWhole ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits };
  return `${value.toLocaleString("en-US", options)} ${unit}`.trim();
}

const formatTime = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ");
const formatDay = (seconds) => formatTime(seconds).slice(0, 10);

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Round numbers between two ends, at least two if the ends differ. */
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
  return found;
}

/** Scales of a plot: functions from time and value to pixels, and the ends of the axes. */
function scales(trend, width) {
  const ends = trend.points.flatMap((point) => [point.value, point.low ?? point.value, point.high ?? point.value]);
  if (trend.band) ends.push(...trend.band);
  let [low, high] = ends.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const spare = (high - low) * 0.12 || Math.abs(high) * 0.05 || 1;
  [low, high] = [low - spare, high + spare];
  const [first, last] = [trend.points[0].time, trend.points[trend.points.length - 1].time];
  const [across, up] = [width - AREA.left - AREA.right, HEIGHT - AREA.top - AREA.bottom];
  const x = (time) => AREA.left + across * (last > first ? (time - first) / (last - first) : 0.5);
  const y = (value) => AREA.top + up * ((high - value) / (high - low));
  return { x, y, low, high, first, last, width };
}

function axes(trend, at) {
  const parts = [];
  const step = Math.max(at.high - at.low, Number.MIN_VALUE);
  const digits = Math.min(8, Math.max(3, Math.ceil(Math.log10(Math.max(Math.abs(at.high), step) / step)) + 3));
  for (const value of ticks(at.low, at.high, 4)) {
    const unit = trend.unit === "fraction" ? "fraction" : "";
    parts.push(svg("line", { class: "grid", x1: AREA.left, x2: at.width - AREA.right, y1: at.y(value), y2: at.y(value) }));
    const label = { x: AREA.left - 6, y: at.y(value) + 4, "text-anchor": "end" };
    parts.push(svg("text", label, formatValue(value, unit, digits)));
  }
  const count = at.last > at.first ? Math.max(2, Math.min(5, Math.floor(at.width / 130))) : 1;
  for (let n = 0; n < count; n += 1) {
    const time = at.first + ((at.last - at.first) * n) / Math.max(1, count - 1);
    const anchor = count === 1 ? "middle" : n === 0 ? "start" : n === count - 1 ? "end" : "middle";
    const label = at.last - at.first > SHORT_SPAN ? formatDay(time) : formatTime(time).slice(5);
    parts.push(svg("text", { x: at.x(time), y: HEIGHT - 4, "text-anchor": anchor }, label));
  }
  return parts;
}

/** The line of a trend; figures that are counted stay as they are between the nights shown, so they have steps. */
function line(trend, at) {
  const { points } = trend;
  const place = (time, value) => `${at.x(time).toFixed(1)},${at.y(value).toFixed(1)}`;
  const parts = [];
  if (points.some((point) => point.low !== null)) {
    const tops = points.map((point) => place(point.time, point.high ?? point.value));
    const bottoms = points.map((point) => place(point.time, point.low ?? point.value)).reverse();
    parts.push(svg("polygon", { class: "range", points: [...tops, ...bottoms].join(" ") }));
  }
  const corner = (index) => (trend.trust === "measured" || index === 0 ? [] : [place(points[index].time, points[index - 1].value)]);
  const path = points.flatMap((point, index) => [...corner(index), place(point.time, point.value)]);
  parts.push(svg("polyline", { class: "line", points: path.join(" ") }));
  if (points.length <= FEW) {
    const dot = (point) => svg("circle", { class: "point", cx: at.x(point.time), cy: at.y(point.value), r: 2.2 });
    parts.push(...points.map(dot));
  }
  return parts;
}

/** Noise band, baselines, change points (upward triangles are increases) and letters of what else changed. */
function annotations(trend, at) {
  const parts = [];
  const [left, right, floor] = [AREA.left, at.width - AREA.right, HEIGHT - AREA.bottom];
  if (trend.band) {
    const [low, high] = trend.band;
    const height = Math.max(1, at.y(low) - at.y(high));
    const since = Math.max(left, ...trend.changes.map((change) => at.x(change.time))); // it is that of the newest level
    parts.push(svg("rect", { class: "band", x: since, width: right - since, y: at.y(high), height }));
  }
  for (const { point } of trend.baselines.filter((baseline) => baseline.point)) {
    const [x, y] = [at.x(point.time), at.y(point.value)];
    parts.push(svg("line", { class: "baseline", x1: left, x2: right, y1: y, y2: y }));
    parts.push(svg("path", { class: "diamond", d: `M${x - 5} ${y}l5 -5l5 5l-5 5z` }));
  }
  const letters = new Map(); // time -> those of all that changed then
  for (const { time, part } of trend.marks.filter((one) => one.time >= at.first && one.time <= at.last)) {
    letters.set(time, new Set([...(letters.get(time) ?? []), LETTERS[part] ?? "•"]));
  }
  for (const [time, found] of letters) {
    const x = at.x(time);
    parts.push(svg("line", { class: "mark", x1: x, x2: x, y1: floor, y2: floor + 6 }));
    parts.push(svg("text", { x, y: floor + 16, "text-anchor": "middle" }, [...found].join("")));
  }
  for (const change of trend.changes) {
    const x = at.x(change.time);
    const kind = change.isAcknowledged ? "acknowledged" : change.isWorse ? "worse" : "better";
    parts.push(svg("line", { class: `change ${kind}`, x1: x, x2: x, y1: AREA.top, y2: floor }));
    const shape = change.after > change.before ? `M${x - 5} ${AREA.top}h10l-5 -9z` : `M${x - 5} ${AREA.top - 9}h10l-5 9z`;
    parts.push(svg("path", { class: kind, d: shape }));
  }
  return parts;
}

/** One night in words: date, run, value, range, and what changed in it. */
function describe(trend, point) {
  const range = point.low === point.high ? "" : ` (${formatValue(point.low, trend.unit)} to ${formatValue(point.high, trend.unit)})`;
  const notes = [
    ...trend.changes.filter((one) => one.run === point.run).map((one) => (one.isWorse ? "worse from here" : "better from here")),
    ...trend.marks.filter((one) => one.run === point.run).map((one) => one.text),
    ...trend.baselines.filter((one) => one.run === point.run).map((one) => `baseline ${one.name}`),
  ];
  const found = `${formatTime(point.time)}: ${formatValue(point.value, trend.unit, 6)}${range}`;
  return [found, `run ${point.id}`, ...notes].join("; ");
}

/** Indices that Page Up and Page Down stop at. */
function stops(trend) {
  const runs = new Set([...trend.changes, ...trend.marks, ...trend.baselines].map((one) => one.run));
  return trend.points.flatMap((point, index) => (runs.has(point.run) ? [index] : []));
}

function nextIndex(trend, index, key) {
  const last = trend.points.length - 1;
  if (key === "ArrowLeft" || key === "ArrowDown") return Math.max(0, index - 1);
  if (key === "ArrowRight" || key === "ArrowUp") return Math.min(last, index + 1);
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "PageUp") return stops(trend).find((one) => one > index) ?? last;
  if (key === "PageDown") return stops(trend).reverse().find((one) => one < index) ?? 0;
  return null;
}

/** Fills `holder`, a slider over the nights, and tells the chosen one in `readout`. */
function drawPlot(holder, readout, trend) {
  const at = scales(trend, Math.max(240, holder.clientWidth));
  const cursor = svg("line", { class: "cursor", y1: AREA.top, y2: HEIGHT - AREA.bottom });
  const here = svg("circle", { class: "here", r: 4 });
  const parts = [...axes(trend, at), ...annotations(trend, at), ...line(trend, at), cursor, here];
  const drawing = svg("svg", { viewBox: `0 0 ${at.width} ${HEIGHT}`, "aria-hidden": "true" }, ...parts);
  const choose = (index) => {
    const point = trend.points[index];
    const [x, y] = [at.x(point.time), at.y(point.value)];
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x);
    here.setAttribute("cx", x);
    here.setAttribute("cy", y);
    const text = describe(trend, point);
    readout.textContent = text;
    holder.setAttribute("aria-valuenow", index);
    holder.setAttribute("aria-valuetext", text);
  };
  const chosen = () => Number(holder.getAttribute("aria-valuenow"));
  drawing.addEventListener("pointermove", (event) => {
    const left = drawing.getBoundingClientRect().left;
    const distance = (point) => Math.abs(at.x(point.time) - (event.clientX - left));
    choose(trend.points.reduce((best, point, index, all) => (distance(point) < distance(all[best]) ? index : best), 0));
  });
  holder.onkeydown = (event) => {
    const index = event.altKey || event.ctrlKey || event.metaKey ? null : nextIndex(trend, chosen(), event.key);
    if (index === null) return;
    event.preventDefault();
    choose(index);
  };
  holder.replaceChildren(drawing);
  choose(Math.min(chosen(), trend.points.length - 1));
}
