// The ranked list: filtered, ordered, and drawn one page at a time.
const PAGE = 100;
const LONG = 240;
const rowCount = data.listed.position.length;
const isText = data.shown.some((sample) => "text" in sample);
const texts = isText ? data.shown.map((sample) => (sample.text ?? "").toLowerCase()) : [];
let rows = [];
let drawn = 0;

function matches(row) {
  const position = data.listed.position[row];
  const mark = marks.get(position);
  if (state.given !== "" && columns.given[position] !== state.given) return false;
  if (state.suggestion !== "" && columns.suggested[position] !== state.suggestion) return false;
  if (state.search && !(texts[row] ?? "").includes(state.search)) return false;
  if (state.show === "flagged") return isFlagged(position);
  if (state.show === "open") return isFlagged(position) && !mark;
  return state.show === "all" || mark === state.show;
}

function drawGallery(onMark) {
  rows = Array.from({ length: rowCount }, (_, row) => row).filter(matches);
  const values = data.listed[state.order];
  if (state.order === "position") rows.sort((a, b) => values[a] - values[b]);
  if (state.order === "selfInfluence") rows.sort((a, b) => (values[b] ?? -1) - (values[a] ?? -1) || a - b);
  byId("gallery").replaceChildren();
  drawn = 0;
  drawMore(onMark);
  const among = rows.length === rowCount ? "" : ` of ${whole.format(rowCount)}`;
  byId("found").textContent = rows.length ? `${whole.format(rows.length)}${among} samples` : "No sample fits these filters.";
}

function drawMore(onMark) {
  const next = rows.slice(drawn, drawn + PAGE).map((row) => card(row, onMark));
  byId("gallery").append(...next);
  drawn += next.length;
  const left = rows.length - drawn;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${Math.min(PAGE, left)} more of ${whole.format(left)}`;
  const first = byId("gallery").querySelector(".card");
  if (first && !byId("gallery").querySelector('.card[tabindex="0"]')) first.tabIndex = 0;
  return next[0];
}

function card(row, onMark) {
  const position = data.listed.position[row];
  const [given, suggested] = [columns.given[position], columns.suggested[position]];
  const made = element("li", { class: "card", tabindex: "-1", "data-position": position },
    sample(data.shown[row], position),
    given === NO_CLASS ? null : element("p", { class: "labels" },
      element("span", { class: "visually-hidden", text: "given " }), element("bdi", { class: "given", text: nameOf(given) }),
      ...(suggested === NO_CLASS ? [] : [
        element("span", { class: "arrow", "aria-hidden": "true", text: " → " }),
        element("span", { class: "visually-hidden", text: ", suggested " }), element("bdi", { class: "suggested", text: nameOf(suggested) })])),
    element("p", { class: "scores" },
      element("span", { title: "suspicion ± standard error", text: withError(data.listed.suspicion[row], data.listed.error[row]) }),
      element("span", { title: "position in the data", text: `#${position}` }),
      element("span", { class: "self", text: `self-influence ${number(data.listed.selfInfluence[row])}` })),
    element("div", { class: "mark", role: "group", "aria-label": `The label of sample ${position} is` },
      ...KINDS.map((kind) => element("button", { type: "button", "data-kind": kind, text: kind, onclick: () => onMark(made, kind) }))));
  refreshCard(made);
  return made;
}

function refreshCard(made) {
  const position = Number(made.dataset.position);
  const mark = marks.get(position);
  made.classList.toggle("flagged", isFlagged(position));
  made.setAttribute("aria-label", [`Sample ${position}`, isFlagged(position) && "flagged", mark && `marked ${mark}`].filter(Boolean).join(", "));
  if (mark) made.dataset.mark = mark;
  else delete made.dataset.mark;
  for (const button of made.querySelectorAll(".mark button")) {
    button.setAttribute("aria-pressed", String(button.dataset.kind === mark));
  }
}

function refreshCards() {
  for (const made of byId("gallery").children) refreshCard(made);
}

function sample(shown, position) {
  if (!shown) return null;
  if ("image" in shown) return element("img", { src: shown.image, alt: `Sample ${position}`, decoding: "async" });
  if ("text" in shown) {
    return textOf(shown);
  }
  const left = shown.length - shown.values.length;
  return element("div", { class: "values" },
    element("dl", {}, ...shown.values.map(([name, value]) =>
      element("div", {}, element("dt", { dir: "auto", text: name }), element("dd", { dir: "auto", text: value })))),
    left > 0 ? element("p", { class: "quiet", text: `and ${whole.format(left)} more` }) : null);
}

function textOf({ text, length }) {
  const long = text.length > LONG || text.split("\n").length > 6;
  const kept = [...text].length;
  const body = element("p", { class: long ? "text short" : "text", dir: "auto", text });
  const unfold = element("button", { type: "button", class: "link quiet", "aria-expanded": "false", text: "Show more" });
  unfold.addEventListener("click", () => {
    const short = body.classList.toggle("short");
    unfold.setAttribute("aria-expanded", String(!short));
    unfold.textContent = short ? "Show more" : "Show less";
  });
  return element("div", {}, body, long ? unfold : null,
    kept < length ? element("p", { class: "quiet", text: `the first ${whole.format(kept)} of ${whole.format(length)} characters` }) : null);
}

// The list is one stop of the Tab key; within it the arrows move.
function focusCard(made) {
  if (!made) return;
  byId("gallery").querySelector('.card[tabindex="0"]')?.setAttribute("tabindex", "-1");
  made.tabIndex = 0;
  made.focus();
}

function onGalleryKey(event, onMark) {
  const made = event.target.closest(".card");
  if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
  const kind = KINDS.find((name) => name[0] === event.key.toLowerCase());
  if (kind) onMark(made, kind);
  if (kind ? marks.has(Number(made.dataset.position)) : event.key === "ArrowRight") {
    focusCard(made.nextElementSibling ?? drawMore(onMark));
  } else if (event.key === "ArrowLeft") focusCard(made.previousElementSibling);
  else if (!kind) return;
  event.preventDefault();
}
