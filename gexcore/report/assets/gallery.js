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
  const mark = kindOf(position);
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
  if (state.order === "selfInfluence" || state.order === "error") rows.sort((a, b) => (values[b] ?? -1) - (values[a] ?? -1) || a - b);
  if (state.order === "class") rows.sort((a, b) => columns.given[data.listed.position[a]] - columns.given[data.listed.position[b]] || a - b);
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
  const made = element("li", { class: "card", tabindex: "-1", "data-position": position });
  made.append(...[
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
      ...KINDS.map((kind) => element("button", { type: "button", "data-kind": kind, text: kind, onclick: () => onMark(made, kind) }))),
    hasClasses ? chooser(made, position, onMark) : null,
    why(row),
  ].filter((part) => part !== null));
  refreshCard(made);
  return made;
}

// The classes a reviewer can choose from, the suggestion first.
function choicesOf(position) {
  const [given, suggested] = [columns.given[position], columns.suggested[position]];
  const others = classes.map((_, code) => code).filter((code) => code !== suggested && code !== given);
  return suggested === NO_CLASS || suggested === given ? others : [suggested, ...others];
}

// Filled when it is first used: a page lists thousands of cards, and there may be many classes.
function chooser(made, position, onMark) {
  const select = element("select", { class: "correct", "aria-label": `The right label of sample ${position}` },
    element("option", { value: "", text: "right label …" }));
  const fill = () => {
    if (select.length > 1 && select.dataset.full) return;
    const chosen = select.value;
    select.replaceChildren(element("option", { value: "", text: "right label …" }),
      ...choicesOf(position).map((code) => element("option", { value: code, text: nameOf(code) })));
    select.value = chosen;
    select.dataset.full = "yes";
  };
  for (const name of ["focus", "pointerdown"]) select.addEventListener(name, fill);
  select.addEventListener("change", () => onMark(made, null, select.value === "" ? null : Number(select.value)));
  select.addEventListener("keydown", (event) => event.stopPropagation());
  return select;
}

function refreshChooser(made, label) {
  const select = made.querySelector(".correct");
  if (!select) return;
  const value = label === null ? "" : String(label);
  if (![...select.options].some((option) => option.value === value)) {
    select.append(element("option", { value, text: nameOf(label) }));
  }
  select.value = value;
}

function refreshCard(made) {
  const position = Number(made.dataset.position);
  const [mark, label] = [kindOf(position), labelOf(position)];
  refreshChooser(made, label);
  made.classList.toggle("flagged", isFlagged(position));
  made.setAttribute("aria-label", [`Sample ${position}`, isFlagged(position) && "flagged", mark && `marked ${mark}`, label !== null && `label ${nameOf(label)}`].filter(Boolean).join(", "));
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
  if ("image" in shown) {
    const picture = element("img", { src: shown.image, alt: `Sample ${position}`, decoding: "async", title: "Click to zoom" });
    picture.addEventListener("click", () => picture.closest(".card").classList.toggle("zoomed"));
    return picture;
  }
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

// Cards stand in rows: up and down move to the card above and below.
function vertical(made, step) {
  const cards = [...byId("gallery").children];
  const wide = cards.findIndex((card) => card.offsetTop !== cards[0].offsetTop);
  return cards[cards.indexOf(made) + step * (wide < 0 ? cards.length : wide)];
}

function onGalleryKey(event, onMark) {
  const made = event.target.closest(".card");
  if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
  const position = Number(made.dataset.position);
  const kind = KINDS.find((name) => name[0] === event.key.toLowerCase());
  const choice = /^[1-9]$/.test(event.key) && hasClasses ? choicesOf(position)[Number(event.key) - 1] : undefined;
  if (kind) onMark(made, kind);
  if (choice !== undefined) onMark(made, null, labelOf(position) === choice ? null : choice);
  const moves = { ArrowLeft: () => made.previousElementSibling, ArrowUp: () => vertical(made, -1), ArrowDown: () => vertical(made, 1) };
  if (kind || choice !== undefined ? marks.has(position) : event.key === "ArrowRight") {
    focusCard(made.nextElementSibling ?? drawMore(onMark));
  } else if (event.key in moves) focusCard(moves[event.key]());
  else if (event.key === "z") made.classList.toggle("zoomed");
  else if (!kind && choice === undefined) return;
  event.preventDefault();
}
