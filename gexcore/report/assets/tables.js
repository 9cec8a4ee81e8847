// Tables of flagged samples by class; their cells are filters of the gallery.
const MATRIX = 16;
const ROWS = 16;
const sizes = classSizes();
let allClasses = false;

function drawTables({ flagged, pairs }, onPick) {
  if (!hasClasses) return;
  byId("classes").replaceChildren(classTable(flagged, onPick), ...classButton(flagged, onPick));
  if (!data.suggests) return;
  byId("confusion").replaceChildren(classes.length <= MATRIX ? matrix(pairs, onPick) : pairList(pairs, onPick));
}

function classTable(flagged, onPick) {
  let order = classes.map((_, code) => code);
  if (classes.length > ROWS) order.sort((a, b) => flagged[b] / (sizes[b] || 1) - flagged[a] / (sizes[a] || 1) || a - b);
  if (!allClasses) order = order.slice(0, ROWS);
  const largest = Math.max(...order.map((code) => flagged[code] / (sizes[code] || 1)), 0.01);
  return element("table", { class: "classes", "aria-labelledby": "classes-title" },
    element("thead", {}, element("tr", {},
      ...["class", "samples", "flagged", "share"].map((text, i) => element("th", { scope: "col", class: i ? "number" : null, text })))),
    element("tbody", {}, ...order.map((code) => {
      const share = flagged[code] / (sizes[code] || 1);
      return element("tr", {},
        element("th", { scope: "row" }, element("button", { type: "button", class: "link", dir: "auto", text: classes[code], onclick: () => onPick(code, "") })),
        element("td", { class: "number", text: whole.format(sizes[code]) }),
        element("td", { class: "number", text: whole.format(flagged[code]) }),
        element("td", { class: "share" }, element("div", {},
          element("span", { class: "meter", style: `--part: ${(100 * share / largest).toFixed(1)}%`, "aria-hidden": "true" }),
          element("span", { text: percent(flagged[code], sizes[code]) }))));
    })));
}

function classButton(flagged, onPick) {
  if (classes.length <= ROWS) return [];
  const text = allClasses ? `Show the first ${ROWS}` : `Show all ${classes.length} classes`;
  const toggle = () => {
    allClasses = !allClasses;
    drawTables(tally(), onPick);
    byId("classes").querySelector(":scope > button").focus();
  };
  return [element("button", { type: "button", text, onclick: toggle })];
}

function matrix(pairs, onPick) {
  const largest = Math.max(...pairs.values(), 1);
  const cell = (given, suggested) => {
    const count = pairs.get(given * classes.length + suggested) ?? 0;
    if (!count) return element("td", { class: given === suggested ? "same" : null });
    const label = `given ${classes[given]}, suggested ${classes[suggested]}: ${count}`;
    return element("td", { class: given === suggested ? "same" : null, style: `--heat: ${(8 + 47 * Math.sqrt(count / largest)).toFixed(0)}%` },
      element("button", { type: "button", "aria-label": label, title: label, text: whole.format(count), onclick: () => onPick(given, suggested) }));
  };
  return element("table", { class: "matrix", "aria-labelledby": "confusion-title" },
    element("thead", {}, element("tr", {}, element("td", {}),
      ...classes.map((text) => element("th", { scope: "col" }, element("span", { dir: "auto", title: text, text }))))),
    element("tbody", {}, ...classes.map((text, given) => element("tr", {},
      element("th", { scope: "row" }, element("span", { dir: "auto", title: text, text })),
      ...classes.map((_, suggested) => cell(given, suggested))))));
}

function pairList(pairs, onPick) {
  const order = [...pairs].filter(([pair]) => Math.floor(pair / classes.length) !== pair % classes.length);
  order.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  if (!order.length) return element("p", { class: "quiet", text: "Nothing is flagged with another suggestion." });
  return element("ol", { class: "pairs" }, ...order.slice(0, ROWS).map(([pair, count]) => {
    const [given, suggested] = [Math.floor(pair / classes.length), pair % classes.length];
    return element("li", {},
      element("button", { type: "button", class: "link", onclick: () => onPick(given, suggested) },
        element("bdi", { text: classes[given] }), " → ", element("bdi", { text: classes[suggested] })),
      element("span", { class: "number", text: whole.format(count) }));
  }));
}
