// The data of the page, and the one state that every part draws.
const source = document.getElementById("data");
const data = JSON.parse(source.textContent);
const NO_CLASS = 0xffff;

const columns = { bin: unpacked(data.bins), given: unpacked(data.labels), suggested: unpacked(data.suggested) };
const steps = data.edges.length - 1;
const classes = data.classes;
const hasClasses = classes.length > 0;

const state = {
  cut: data.found ?? steps, // samples in this bin of the histogram and above are flagged
  show: "all",
  given: "",
  suggestion: "",
  order: "suspicion",
  search: "",
};

function unpacked(text) {
  const decoded = atob(text);
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = decoded.charCodeAt(i);
  return new Uint16Array(bytes.buffer);
}

const isFlagged = (position) => columns.bin[position] >= state.cut;
const nameOf = (code) => (code === NO_CLASS ? "–" : classes[code]);

// Flagged samples by given class and by pair of given and suggested class.
function tally() {
  const flagged = new Uint32Array(classes.length);
  const pairs = new Map();
  let total = 0;
  for (let position = 0; position < data.samples; position++) {
    if (columns.bin[position] < state.cut) continue;
    total++;
    const given = columns.given[position];
    if (given === NO_CLASS) continue;
    flagged[given]++;
    const suggested = columns.suggested[position];
    if (suggested === NO_CLASS) continue;
    const pair = given * classes.length + suggested;
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  return { total, flagged, pairs };
}

function histogramCounts() {
  const counts = new Array(steps).fill(0);
  for (const bin of columns.bin) counts[bin]++;
  return counts;
}

function classSizes() {
  const sizes = new Uint32Array(classes.length);
  for (const given of columns.given) if (given !== NO_CLASS) sizes[given]++;
  return sizes;
}

const whole = new Intl.NumberFormat("en");
const number = (value, digits = 3) =>
  value === null ? "–" : value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : Number(value.toPrecision(digits)).toString();
const withError = (score, error) => {
  const digits = score < 0.1 ? 4 : 2;
  return error === null ? score.toFixed(digits) : `${score.toFixed(digits)} ± ${error.toFixed(digits)}`;
};
const percent = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "–");

// Elements are only ever filled with text, never with markup: labels and samples may hold anything.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const byId = (id) => document.getElementById(id);
