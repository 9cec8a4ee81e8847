// Wiring: every control changes the state, and what depends on it is drawn again.
const slider = byId("cut");

function setCut(cut) {
  state.cut = cut;
  slider.value = cut;
  requestAnimationFrame(drawCut);
}

function drawCut() {
  const counts = tally();
  const above = number(data.edges[state.cut]);
  histogram.signal("cut", state.cut).run();
  const refused = data.found === null && state.cut === steps;
  document.body.classList.toggle("refused", refused);
  byId("flagged").textContent = refused ? "No clear cut" : whole.format(counts.total);
  byId("share").textContent = refused ? "Look at the top of the ranking." : `${percent(counts.total, data.samples)} of ${whole.format(data.samples)} samples: suspicion above ${above}`;
  byId("reset").hidden = data.found === null || state.cut === data.found;
  slider.setAttribute("aria-valuetext", `suspicion above ${above}: ${counts.total} flagged`);
  drawTables(counts, pick);
  drawMarked();
  if (state.show === "flagged" || state.show === "open") drawGallery(mark);
  else refreshCards();
}

function pick(given, suggestion) {
  Object.assign(state, { given, suggestion, show: "flagged" });
  for (const name of ["given", "suggestion", "show"]) byId(name).value = state[name];
  drawGallery(mark);
  byId("samples").scrollIntoView();
  byId("samples").focus({ preventScroll: true });
}

// A kind toggles; without one, the label is set, or taken back for null.
function mark(card, kind, label) {
  const position = Number(card.dataset.position);
  if (kind) setMark(position, kind);
  else setLabel(position, label);
  refreshCard(card);
  drawMarked();
}

function markShown(kind) {
  change(rows.map((row) => data.listed.position[row]).filter((position) => !marks.has(position)).map((position) => [position, { kind, label: null }]));
  redrawMarks();
}

function redrawMarks() {
  refreshCards();
  drawMarked();
}

function drawMarked() {
  const counts = KINDS.map((kind) => [kind, [...marks.values()].filter((mark) => mark.kind === kind).length]);
  const told = counts.filter(([, n]) => n).map(([kind, n]) => `${whole.format(n)} ${kind}`);
  byId("marked").textContent = told.length ? `Marked: ${told.join(", ")}` : "Nothing marked yet";
  const flagged = data.listed.position.filter(isFlagged);
  const reviewed = flagged.filter((position) => marks.has(position)).length;
  byId("reviewed").textContent = flagged.length ? `${whole.format(reviewed)} of ${whole.format(flagged.length)} flagged samples reviewed` : "";
  byId("undo").disabled = !past.length;
  for (const id of ["export-csv", "export-json"]) byId(id).disabled = !marks.size;
}

function offer(select) {
  select.append(...classes.map((text, code) => element("option", { value: code, text })));
}

document.body.classList.toggle("no-classes", !hasClasses);
document.body.classList.toggle("no-suggestions", !data.suggests);
document.body.classList.toggle("no-text", !isText);
byId("gallery").classList.add(isText ? "of-texts" : data.shown.some((sample) => "values" in sample) ? "of-values" : "of-pictures");
byId("reason").textContent = data.reason;

offer(byId("given"));
offer(byId("suggestion"));
for (const name of ["show", "given", "suggestion", "order", "search"]) {
  byId(name).addEventListener("input", (event) => {
    const { value } = event.target;
    if (name === "search") state.search = value.toLowerCase();
    else state[name] = (name === "given" || name === "suggestion") && value !== "" ? Number(value) : value;
    drawGallery(mark);
  });
}
byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("more").addEventListener("click", () => focusCard(drawMore(mark)));
byId("gallery").addEventListener("keydown", (event) => onGalleryKey(event, mark));
byId("reset").addEventListener("click", () => {
  setCut(data.found);
  slider.focus();
});
byId("undo").addEventListener("click", () => {
  undo();
  redrawMarks();
});
byId("bulk").addEventListener("input", ({ target }) => {
  if (target.value) markShown(target.value);
  target.value = "";
});
byId("import").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file) byId("taken").textContent = takeIn(await file.text());
  target.value = "";
  redrawMarks();
});
byId("export-csv").addEventListener("click", () => download("marks.csv", "text/csv", marksAsCsv(markedRows())));
byId("export-json").addEventListener("click", () => download("marks.json", "application/json", marksAsJson(markedRows())));

slider.max = steps;
slider.addEventListener("input", () => setCut(Number(slider.value)));
drawGallery(mark);
drawMarked();
const histogram = await drawHistogram(setCut);
slider.value = state.cut;
drawCut();
drawTraces();
performance.mark("ready");
