// The reviewer's marks: kept in this browser, handed out as files.
const KINDS = ["wrong", "fine", "unsure"];
const KEY = `gexcore:${source.dataset.key}`;
const marks = restored();

function restored() {
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
    return new Map(kept.filter(([, kind]) => KINDS.includes(kind)).map(([position, kind]) => [Number(position), kind]));
  } catch {
    return new Map(); // storage is switched off, or holds something else
  }
}

function setMark(position, kind) {
  if (marks.get(position) === kind) marks.delete(position);
  else marks.set(position, kind);
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(marks)));
  } catch {
    // the marks stay in this page
  }
}

function markedRows() {
  const row = new Map(data.listed.position.map((position, i) => [position, i]));
  return [...marks].filter(([position]) => row.has(position)).sort(([a], [b]) => a - b).map(([position, mark]) => ({
    index: position,
    ...coded("label", columns.given[position]),
    ...coded("suggested_label", columns.suggested[position]),
    suspicion: data.listed.suspicion[row.get(position)],
    mark,
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

function download(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
