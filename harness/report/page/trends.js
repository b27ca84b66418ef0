// The trends: chosen by filters, drawn when they come into view, downloaded as CSV.

const PAGE = 24; // cards that are added at a time
const CHOICES = [
  ["model", "Model"],
  ["path", "Technique"],
  ["target", "Target"],
  ["board", "Board"],
  ["figure", "Figure"],
];

/** A name that every file system takes. */
const fileName = (text) => text.replace(/[^\w.-]+/g, "_").slice(0, 100);

function notesOf(trend) {
  const change = (one) => {
    const word = one.isAcknowledged ? "acknowledged" : one.isWorse ? "worse" : "better";
    const values = `${formatValue(one.before, trend.unit)} → ${formatValue(one.after, trend.unit)}`;
    return { run: one.run, text: `${formatDay(one.time)} ${word}: ${values}${one.cause ? `; ${one.cause}` : ""}` };
  };
  const isCause = (mark) => trend.changes.some(({ run, cause }) => run === mark.run && cause.includes(mark.text));
  const found = [
    ...trend.changes.map(change),
    ...trend.marks.filter((one) => !isCause(one)).map((one) => ({ run: one.run, text: `${formatDay(one.time)} ${one.text}` })),
    ...trend.baselines.filter((one) => one.point).map((one) => (
      { run: one.run, text: `${formatDay(one.point.time)} baseline ${one.name}: ${formatValue(one.point.value, trend.unit)}` }
    )),
  ];
  return found.sort((one, other) => other.run - one.run);
}

const MOST_NOTES = 6;

/** A card with the heading, the plot to be drawn later, its notes and its data. */
function makeCard(trend) {
  const place = [trend.target, trend.accelerator, trend.memoryMode, trend.board].filter(Boolean).join(", ");
  const title = `${trend.deployment} ${trend.figure}`;
  const count = trend.points.length;
  const nights = `${trend.nights} night${trend.nights === 1 ? "" : "s"}`;
  const about = [place, trend.trust, `${trend.isLower ? "lower" : "higher"} is better`, nights].join("; ");
  const readout = make("p", { className: "readout" });
  const plot = make("div", { className: "plot" });
  const csv = make("button", { className: "button", type: "button", "aria-label": `CSV of ${title}, ${place}` }, "CSV");
  csv.addEventListener("click", () => download(`${fileName(`${title} ${place}`)}.csv`, csvOf([trend])));
  const notes = notesOf(trend);
  const list = notes.slice(0, MOST_NOTES).map((one) => make("li", {}, one.text));
  if (notes.length > MOST_NOTES) list.push(make("li", {}, `and ${notes.length - MOST_NOTES} more, in the CSV`));
  const card = make("article", { className: "card", id: `trend-${trend.place}`, tabIndex: -1 });
  const className = { worse: "fails", missing: "fails", better: "met" }[trend.outcome] ?? "doubt";
  const outcome = ["", "same"].includes(trend.outcome) ? [] : [" ", make("b", { className }, trend.outcome)];
  card.append(make("h3", {}, title, ...outcome), make("p", { className: "soft" }, about));
  if (!count) return { card: (card.append(make("p", {}, "No night has it.")), card), draw() {} };
  const slider = { role: "slider", "aria-label": `${title}, ${place}, by night`, "aria-valuemin": 0 };
  const span = { "aria-valuemax": count - 1, "aria-valuenow": count - 1, tabindex: 0 };
  for (const [name, value] of Object.entries({ ...slider, ...span })) plot.setAttribute(name, value);
  plot.setAttribute("aria-valuetext", describe(trend, trend.points[count - 1]));
  card.append(plot, readout, make("ul", { className: "notes" }, ...list), csv);
  return { card, draw: () => drawPlot(plot, readout, trend) };
}

/** Draws the cards of a list when they come near the window, and again when their width changes. */
function drawLazily() {
  const drawn = new Map();
  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const known = drawn.get(target);
      if (known && known.width !== contentRect.width) {
        known.width = contentRect.width;
        if (known.isDrawn) known.draw();
      }
    }
  });
  const view = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) show(target);
  }, { rootMargin: "300px" });
  function show(card) {
    const known = drawn.get(card);
    if (!known || known.isDrawn) return;
    known.isDrawn = true;
    known.draw();
    view.unobserve(card);
  }
  return {
    add(card, draw) {
      drawn.set(card, { draw, width: 0, isDrawn: false });
      view.observe(card);
      sizes.observe(card);
    },
    clear() {
      view.disconnect();
      sizes.disconnect();
      drawn.clear();
    },
    drawAll: () => [...drawn.keys()].forEach(show),
  };
}

function chooser(name, label, values) {
  const options = values.map((value) => make("option", { value }, value || "none"));
  const select = make("select", { name }, make("option", { value: "*" }, "all"), ...options);
  return { select, label: make("label", {}, label, select) };
}

/** Shows the trends in `holder`; returns `find(place)` for links, and `drawAll()` for printing. */
function showTrends(holder, data) {
  const lazy = drawLazily();
  const cards = make("div", { className: "cards" });
  const status = make("span", { role: "status" });
  const more = make("button", { className: "button", type: "button" });
  const all = make("button", { className: "button", type: "button" }, "CSV of all of these");
  const reset = make("button", { className: "button", type: "button" }, "Show all");
  const selects = CHOICES.map(([name, label]) => {
    const values = [...new Set(data.trends.map((trend) => trend[name]))].sort();
    return { name, ...chooser(name, label, values) };
  }).filter(({ select }) => select.options.length > 2);
  const kinds = [...new Set(data.trends.map((trend) => trend.outcome))].filter(Boolean);
  const verdict = chooser("outcome", "Verdict", [...kinds, "changed level"]);
  const words = make("input", { type: "search", name: "words" });
  let [chosen, shown, only] = [[], 0, null];
  const addCards = () => {
    for (const trend of chosen.slice(shown, shown + PAGE)) {
      const { card, draw } = makeCard(readTrend(data, trend));
      cards.append(card);
      lazy.add(card, draw);
    }
    shown = Math.min(chosen.length, shown + PAGE);
    more.hidden = shown === chosen.length;
    more.textContent = `Show ${Math.min(PAGE, chosen.length - shown)} more`;
    status.textContent = `${shown.toLocaleString("en-US")} of ${chosen.length.toLocaleString("en-US")} trends`;
    all.hidden = chosen.length === 0;
    reset.hidden = chosen.length === data.trends.length;
  };
  const choose = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = verdict.select.value;
    chosen = only !== null ? [data.trends[only]] : data.trends.filter((trend) => (
      selects.every(({ name, select }) => select.value === "*" || trend[name] === select.value)
      && (kind === "*" || trend.outcome === kind || (kind === "changed level" && trend.levels > 0))
      && wanted.every((word) => trend.text.includes(word))
    ));
    lazy.clear();
    cards.replaceChildren();
    shown = 0;
    addCards();
  };
  const refilter = () => { only = null; choose(); };
  const form = make("div", { className: "chooser", role: "search", "aria-label": "Choose trends" });
  form.append(...selects.map(({ label }) => label), verdict.label, make("label", {}, "Words", words));
  for (const { select } of [...selects, verdict]) select.addEventListener("change", refilter);
  words.addEventListener("input", refilter);
  more.addEventListener("click", () => {
    const first = shown;
    addCards();
    cards.children[first]?.focus(); // the button may be gone
  });
  all.addEventListener("click", () => download("trends.csv", csvOf(chosen.map((trend) => readTrend(data, trend)))));
  reset.addEventListener("click", () => {
    for (const { select } of [...selects, verdict]) select.value = "*";
    words.value = "";
    refilter();
  });
  holder.append(form, make("div", { className: "bar" }, status, reset, all), cards, make("div", { className: "bar" }, more));
  choose();
  return {
    find(place) {
      if (!data.trends[place]) return;
      if (!cards.querySelector(`#trend-${place}`)) { only = place; choose(); }
      for (const card of cards.querySelectorAll(".chosen")) card.classList.remove("chosen");
      const card = cards.querySelector(`#trend-${place}`);
      card.classList.add("chosen");
      card.scrollIntoView({ block: "center" });
      (card.querySelector(".plot") ?? card).focus({ preventScroll: true });
    },
    drawAll: lazy.drawAll,
  };
}
