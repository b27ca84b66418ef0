// The data of the trends: read from the page, where trend_data.py wrote it, and written as CSV.

const FIELDS = ["model", "path", "target", "accelerator", "memoryMode", "board", "figure", "unit", "trust", "outcome"];

/** Reads the data of the page; the first form of a trend is written by `trend_data.py`. */
async function readData() {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = JSON.parse(await new Response(stream).text());
  const trends = data.trends.map((row, place) => {
    const trend = { place, row, levels: row[7].length };
    FIELDS.forEach((name, n) => { trend[name] = data.words[row[0][n]]; });
    trend.deployment = `${trend.model}-${trend.path}`;
    trend.text = `${FIELDS.map((name) => trend[name]).join(" ")} ${trend.deployment}`.toLowerCase();
    return trend;
  });
  return { ...data, trends };
}

/** Reads the points and notes of a trend, when it is shown. */
function readTrend(data, { row, ...trend }) {
  const [, isLower, nights, runs, values, ranges, band, changes, marks, baselines] = row;
  const time = (run) => data.runs[run][1];
  let run = 0;
  const points = values.map((value, n) => {
    run += data.nights[runs][n];
    const [low, high] = ranges ? ranges[n] : [null, null];
    return { run, id: data.runs[run][0], time: time(run), value, low, high };
  });
  const at = new Map(points.map((point) => [point.run, point]));
  return {
    ...trend,
    isLower: Boolean(isLower),
    nights,
    points,
    band: band || null,
    changes: changes.map(([first, before, after, isWorse, isAcknowledged, cause]) => (
      { run: first, time: time(first), before, after, isWorse: Boolean(isWorse), isAcknowledged, cause: data.words[cause] }
    )),
    marks: marks.map(([first, part, text]) => (
      { run: first, time: time(first), part: data.words[part], text: data.words[text] }
    )),
    baselines: baselines.map(([name, first]) => ({ name: data.words[name], run: first, point: at.get(first) })),
  };
}

/** A cell of CSV; a text that a spreadsheet would take for a formula begins with an apostrophe. */
function csvCell(value) {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value ?? "") ? `'${value}` : value ?? "";
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf(trends) {
  const head = ["model", "technique", "target", "accelerator", "memory_mode", "board", "figure", "unit", "trust"];
  const lines = [[...head, "run", "started", "value", "low", "high", "change", "marks", "baselines"]];
  for (const trend of trends) {
    const of = (list, run) => list.filter((one) => one.run === run);
    const names = FIELDS.slice(0, 9).map((name) => trend[name]);
    for (const { run, id, time, value, low, high } of trend.points) {
      const change = of(trend.changes, run).map((one) => `${one.isWorse ? "worse" : "better"}: ${one.cause}`).join("; ");
      const marks = of(trend.marks, run).map((one) => one.text).join("; ");
      const baselines = of(trend.baselines, run).map((one) => one.name).join("; ");
      const started = new Date(1000 * time).toISOString();
      lines.push([...names, id, started, value, low, high, change, marks, baselines]);
    }
  }
  return lines.map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join("");
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000); // a browser that asks where to save reads it later
}
