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
  byId("flagged").textContent = whole.format(counts.total);
  byId("share").textContent = `${percent(counts.total, data.samples)} of ${whole.format(data.samples)} samples: suspicion above ${above}`;
  byId("reset").hidden = data.found === null || state.cut === data.found;
  slider.setAttribute("aria-valuetext", `suspicion above ${above}: ${counts.total} flagged`);
  drawTables(counts, pick);
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

function mark(card, kind) {
  setMark(Number(card.dataset.position), kind);
  refreshCard(card);
  drawMarked();
}

function drawMarked() {
  const counts = KINDS.map((kind) => [kind, [...marks.values()].filter((given) => given === kind).length]);
  const told = counts.filter(([, n]) => n).map(([kind, n]) => `${whole.format(n)} ${kind}`);
  byId("marked").textContent = told.length ? `Marked: ${told.join(", ")}` : "Nothing marked yet";
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
