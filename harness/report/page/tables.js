// Tables that sort by a heading's button and filter by words; without this script they stay tables in the page's order.

const SHORT = 5; // rows up to which a filter would be longer than the table

/** Creates an element with properties, or attributes where the name has a dash, and children: nodes or text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The text of a cell as a number ("4,096 bytes", "+2.5 %", "-1.00 points"), or null. */
function numberOf(text) {
  const found = /^[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?![\w-])/i.exec(text);
  return found ? Number(found[0].replaceAll(",", "")) : null;
}

/** Compares cells: numbers before texts, empty cells last whichever the direction. */
function comparison(column, isDescending) {
  const sign = isDescending ? -1 : 1;
  const read = (row) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    const number = cell.dataset.value === undefined ? numberOf(text) : Number(cell.dataset.value);
    return { text, number, isEmpty: text === "" };
  };
  return (one, other) => {
    const [a, b] = [read(one), read(other)];
    if (a.isEmpty || b.isEmpty) return a.isEmpty - b.isEmpty;
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    if (a.number !== null || b.number !== null) return a.number === null ? 1 : -1;
    return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  };
}

function sortBy(table, heading) {
  const isDescending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
  const [body] = table.tBodies;
  body.append(...[...body.rows].sort(comparison(heading.cellIndex, isDescending)));
}

function addFilter(holder, table) {
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const count = make("span", { role: "status" });
  const input = make("input", { type: "search" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  holder.prepend(make("div", { className: "filter" }, make("label", {}, `Filter ${holder.dataset.name}`, input), count));
}

/** Browsers drop the roles of a table whose parts are laid out as blocks, as narrow windows do; so they are stated. */
function stateRoles(table) {
  table.setAttribute("role", "table");
  for (const group of [table.tHead, ...table.tBodies]) group.setAttribute("role", "rowgroup");
  for (const row of table.rows) row.setAttribute("role", "row");
  for (const cell of table.querySelectorAll("td")) cell.setAttribute("role", "cell");
  for (const cell of table.querySelectorAll("thead th")) cell.setAttribute("role", "columnheader");
  for (const cell of table.querySelectorAll("tbody th")) cell.setAttribute("role", "rowheader");
}

/** Gives a table its buttons and filter, once. */
function enhanceTable(holder) {
  if (holder.classList.contains("enhanced")) return;
  holder.classList.add("enhanced");
  const table = holder.querySelector("table");
  if (holder.classList.contains("stack")) stateRoles(table);
  for (const heading of table.tHead.rows[0].cells) {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, heading));
    heading.append(button);
  }
  if (table.tBodies[0].rows.length <= SHORT) return;
  holder.classList.add("long");
  addFilter(holder, table);
}

/** Enhances all tables, those in closed details when these are opened: a report of a year has some sixty. */
function enhanceTables() {
  for (const holder of document.querySelectorAll("div.table")) {
    const details = holder.closest("details:not([open])");
    if (details) details.addEventListener("toggle", () => enhanceTable(holder));
    else enhanceTable(holder);
  }
}
