// The reviewer's marks: kept in this browser, taken in and handed out as files.
const KINDS = ["wrong", "fine", "unsure"];
const KEY = `gexcore:${source.dataset.key}`;
const HISTORY = 100;
const past = [];
let marks = restored();

// A mark is { kind, label }: the label is the reviewer's class, or null.
function restored() {
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
    return new Map(kept.map(([position, mark]) => [Number(position), asMark(mark)]).filter(([, mark]) => mark));
  } catch {
    return new Map(); // storage is switched off, or holds something else
  }
}

function asMark(value) {
  const [kind, label = null] = Array.isArray(value) ? value : [value];
  const known = label === null || (Number.isInteger(label) && label >= 0 && label < classes.length);
  return KINDS.includes(kind) && known ? { kind, label: kind === "wrong" ? label : null } : null;
}

const kindOf = (position) => marks.get(position)?.kind;
const labelOf = (position) => marks.get(position)?.label ?? null;

// Every change goes through here: `entries` are pairs of a position and a mark, or null to take it back.
function change(entries) {
  past.push(new Map(marks));
  if (past.length > HISTORY) past.shift();
  for (const [position, mark] of entries) {
    if (mark) marks.set(position, mark);
    else marks.delete(position);
  }
  remember();
}

function undo() {
  if (!past.length) return;
  marks = past.pop();
  remember();
}

function remember() {
  try {
    const kept = [...marks].map(([position, { kind, label }]) => [position, label === null ? kind : [kind, label]]);
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // the marks stay in this page
  }
}

const setMark = (position, kind) => change([[position, kindOf(position) === kind ? null : { kind, label: null }]]);
const setLabel = (position, label) => change([[position, label === null ? null : { kind: "wrong", label }]]);

function markedRows() {
  const row = new Map(data.listed.position.map((position, i) => [position, i]));
  return [...marks].filter(([position]) => row.has(position)).sort(([a], [b]) => a - b).map(([position, { kind, label }]) => ({
    index: position,
    ...coded("label", columns.given[position]),
    ...coded("suggested_label", columns.suggested[position]),
    suspicion: data.listed.suspicion[row.get(position)],
    mark: kind,
    ...coded("new_label", label ?? NO_CLASS),
  }));
}

function coded(name, code) {
  const known = code !== NO_CLASS;
  const found = { [name]: known ? code : null };
  return data.named ? { ...found, [`${name}_name`]: known ? classes[code] : null } : found;
}

function marksAsCsv(rows) {
  const lines = [Object.keys(rows[0]), ...rows.map((row) => Object.values(row))];
  return lines.map((cells) => cells.map(csvCell).join(",") + "\r\n").join("");
}

// A text that a spreadsheet would run as a formula gets an apostrophe before it.
function csvCell(value) {
  if (value === null) return "";
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r\n]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const marksAsJson = (rows) => `${JSON.stringify({ report: data.title, samples: data.samples, marks: rows }, null, 2)}\n`;

// Marks of a colleague: a marks.json of a page on the same data. Theirs replace those of this page.
function takeIn(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    return "The file is no marks.json.";
  }
  if (!Array.isArray(given?.marks)) return "The file is no marks.json.";
  if (given.samples !== data.samples) return `The marks are of ${given.samples} samples, and this page has ${data.samples}.`;
  const fits = ({ index, label }) => Number.isInteger(index) && index >= 0 && index < data.samples && (label === null || label === columns.given[index]);
  const read = given.marks.map((row) => [row.index, fits(row) ? asMark([row.mark, row.new_label ?? null]) : null]);
  if (read.some(([, mark]) => !mark)) return "The marks are of other data.";
  change(read);
  return `Took in ${read.length} ${read.length === 1 ? "mark" : "marks"}.`;
}

function download(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
