// Why this one: the training samples most related to a sample, filled when it is first opened.
const rowOf = new Map(data.listed.position.map((position, row) => [position, row]));

function why(row) {
  const found = data.related[row];
  if (!found) return null;
  const [helping, opposing] = found;
  const box = element("details", { class: "why" }, element("summary", { text: "Why this one" }));
  box.addEventListener("toggle", () => {
    if (box.childElementCount > 1) return;
    box.append(
      element("p", { class: "quiet", text: "Training on these helps the given label:" }), relatedList(helping),
      element("p", { class: "quiet", text: "Training on these speaks against it:" }), relatedList(opposing));
  });
  return box;
}

function relatedList(positions) {
  return element("ul", {}, ...positions.map((position) => {
    const shown = data.shown[rowOf.get(position)];
    const label = columns.given[position];
    return element("li", { "data-position": position },
      shown && "image" in shown ? element("img", { src: shown.image, alt: `Sample ${position}`, decoding: "async" }) : null,
      shown && "text" in shown ? element("p", { class: "text", dir: "auto", text: shown.text.slice(0, 80) }) : null,
      element("span", {}, `#${position} `, label === NO_CLASS ? "" : element("bdi", { text: nameOf(label) })));
  }));
}
