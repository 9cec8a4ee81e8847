// The charts, as Vega specifications. Colours are the page's own, so they follow its scheme.
const PADDING = { left: 44, right: 14, top: 6, bottom: 40 };
const FONT = getComputedStyle(document.body).fontFamily; // text is measured where CSS variables mean nothing
const CONFIG = {
  axis: {
    labelFont: FONT, titleFont: FONT,
    labelColor: "var(--muted)", titleColor: "var(--muted)", tickColor: "var(--rule)", gridColor: "var(--rule)",
    domain: false, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", tickSize: 4, labelPadding: 4, titlePadding: 6,
  },
};

async function draw(id, spec, describe) {
  const place = byId(id);
  const width = () => Math.max(120, place.clientWidth - PADDING.left - PADDING.right);
  const whole = { padding: PADDING, autosize: "none", width: width(), description: describe, ...spec };
  // interpreted, since the page's policy lets no text become code
  const { view } = await vegaEmbed(place, whole, {
    mode: "vega", renderer: "svg", config: CONFIG, ast: true, actions: false, tooltip: false, hover: false, defaultStyle: false,
  });
  new ResizeObserver(() => width() !== view.width() && view.width(width()).run()).observe(place);
  return view;
}

const ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20];

// The bins are equal steps of the square root of suspicion.
const rootStep = Math.sqrt(data.edges[steps]) / steps;
const placeOf = (value) => Math.sqrt(value) / rootStep;

async function drawHistogram(onCut) {
  const counts = histogramCounts();
  const labels = ticks.filter((value) => placeOf(value) <= steps).map((value) => ({ value, at: placeOf(value) }));
  const view = await draw("histogram", {
    height: 220,
    signals: [
      { name: "cut", value: state.cut },
      { name: "step", value: rootStep },
      { name: "gap", update: "width > 4 * domain('x')[1] ? 0.5 : 0" },
      {
        name: "picked",
        on: [
          {
            events: "@plot:pointerdown, [@plot:pointerdown, window:pointerup] > window:pointermove!",
            update: "clamp(round(invert('x', x())), 0, domain('x')[1])",
          },
        ],
      },
    ],
    data: [{ name: "bins", values: counts.map((count, bin) => ({ bin, count })) }],
    scales: [
      { name: "x", type: "linear", domain: [0, steps], range: "width" },
      { name: "y", type: "sqrt", domain: { data: "bins", field: "count" }, range: "height", nice: true, zero: true },
    ],
    axes: [
      { scale: "y", orient: "left", grid: true, ticks: false, tickCount: 5, format: "~s" },
      {
        scale: "x", orient: "bottom", title: "suspicion", values: labels.map((label) => label.at), labelOverlap: "greedy", labelSeparation: 8,
        encode: { labels: { update: { text: { signal: "format(pow(datum.value * step, 2), '.2~r')" } } } },
      },
    ],
    marks: [
      {
        type: "group", name: "plot",
        encode: { enter: { fill: { value: "transparent" }, cursor: { value: "ew-resize" } }, update: { width: { signal: "width" }, height: { signal: "height" } } },
        marks: [
          {
            type: "rect", from: { data: "bins" }, interactive: false, aria: false,
            encode: {
              update: {
                x: { scale: "x", field: "bin", offset: { signal: "gap" } },
                x2: { scale: "x", signal: "datum.bin + 1", offset: { signal: "-gap" } },
                y: { scale: "y", field: "count" },
                y2: { scale: "y", value: 0 },
                fill: { signal: "datum.bin >= cut ? 'var(--accent)' : 'var(--bars)'" },
              },
            },
          },
          ...(data.found === null ? [] : [rule({ signal: String(data.found) }, [3, 3], "var(--muted)")]),
          rule({ signal: "cut" }, [], "var(--ink)"),
        ],
      },
    ],
  }, "Histogram of the suspicion of all samples");
  view.addSignalListener("picked", (_, cut) => onCut(cut));
  return view;
}

function rule(at, dash, colour) {
  return {
    type: "rule", interactive: false, aria: false,
    encode: {
      update: {
        x: { scale: "x", ...at }, y: { value: 0 }, y2: { signal: "height" },
        stroke: { value: colour }, strokeWidth: { value: 1.5 }, strokeDash: { value: dash },
      },
    },
  };
}

function drawTraces() {
  byId("traces").hidden = !data.trace.length;
  const rates = data.trace.map((snapshot) => snapshot.lr).filter((lr) => lr > 0);
  const powers = [...Array(24).keys()].map((i) => 10 ** (i - 12));
  drawTrace("trace-lr", "lr", { type: "log", nice: true }, {
    values: powers.filter((power) => power >= Math.min(...rates) / 10 && power <= Math.max(...rates) * 10),
  }, "Learning rate of each chain by snapshot");
  drawTrace("trace-skill", "skill", { type: "linear", domain: [0, 1], clamp: true }, { tickCount: 4 }, "Skill of each chain by snapshot");
}

function drawTrace(id, field, scale, axis, describe) {
  const values = data.trace.filter((snapshot) => snapshot[field] !== null && (field !== "lr" || snapshot.lr > 0));
  if (!values.length) return;
  const at = { x: { scale: "x", field: "number" }, y: { scale: "y", field } };
  draw(id, {
    height: 120,
    data: [{ name: "trace", values }],
    scales: [
      { name: "x", type: "linear", domain: { data: "trace", field: "number" }, range: "width", zero: false },
      { name: "y", range: "height", domain: { data: "trace", field }, ...scale },
    ],
    axes: [
      { scale: "y", orient: "left", grid: true, ticks: false, format: "~g", ...axis },
      { scale: "x", orient: "bottom", title: "snapshot", tickMinStep: 1, tickCount: 6, format: "d" },
    ],
    marks: [
      {
        type: "group", from: { facet: { name: "chain", data: "trace", groupby: "chain" } },
        marks: [{
          type: "line", from: { data: "chain" }, aria: false,
          encode: { update: { ...at, stroke: { value: "var(--bars)" }, strokeWidth: { value: 1.25 } } },
        }],
      },
      {
        type: "symbol", from: { data: "trace" }, aria: false,
        encode: { update: { ...at, size: { value: 16 }, fill: { value: "var(--ink)" }, opacity: { signal: "datum.status === 'member' ? 1 : 0" } } },
      },
    ],
  }, describe);
}
