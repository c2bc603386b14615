// Draws the plots of a page with Chart.js. Runs in the browser; what is plotted stands in the element "charts" (see charts.ts).
(() => {
  const specs = JSON.parse(document.getElementById('charts').textContent);
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const MARKS = ['circle', 'rect', 'triangle', 'rectRot', 'crossRot', 'star'];
  /** Plots narrower than this, in pixels, have shorter labels. */
  const NARROW = 480;
  /** Pixels that a label of the horizontal axis takes. */
  const LABEL = 56;

  const scaled = (value, base, units) => {
    let unit = 0;
    let left = value;
    for (; Math.abs(left) >= base * 0.9995 && unit < units.length - 1; unit++) left /= base;
    return `${Number(left.toPrecision(3))} ${units[unit]}`;
  };
  const FORMATS = {
    bytes: (value) => scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']),
    count: (value) => value.toLocaleString('en'),
    rate: (value) => scaled(value, 1000, ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s']),
    share: (value) => `${Number((100 * value).toPrecision(3))} %`,
    seconds: (value) => formatMs(1000 * value),
    ms: (value) => formatMs(value),
  };
  function formatMs(ms) {
    const size = Math.abs(ms);
    if (size === 0) return '0';
    if (size < 0.9995) return `${Number((1000 * ms).toPrecision(3))} µs`;
    return size < 999.5 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const shade = (tone, index) => colour(index === 0 ? tone : `${tone}-${index + 1}`) || colour(tone);

  // Lines from the least to the most over the bars and points of a plot.
  const whiskers = {
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const { ctx, data, options, chartArea } = chart;
      const { x, y } = chart.scales;
      const across = options.indexAxis === 'y';
      ctx.save();
      ctx.beginPath();
      ctx.rect(chartArea.left, chartArea.top, chartArea.width, chartArea.height);
      ctx.clip();
      for (const [i, dataset] of data.datasets.entries()) {
        if (!chart.isDatasetVisible(i)) continue;
        for (const [at, element] of chart.getDatasetMeta(i).data.entries()) {
          const [low, high] = dataset.ranges[at];
          if (low === high) continue;
          ctx.beginPath();
          if (across) whisker(ctx, x.getPixelForValue(low), element.y, x.getPixelForValue(high), element.y, 0, 5);
          else whisker(ctx, element.x, y.getPixelForValue(low), element.x, y.getPixelForValue(high), 4, 0);
          // Over a bar of any colour: with an edge in that of the ground.
          if (across) stroke(ctx, colour('raised'), 4);
          stroke(ctx, across ? colour('text') : dataset.borderColor, 1.5);
        }
      }
      ctx.restore();
    },
  };
  function stroke(ctx, style, width) {
    ctx.strokeStyle = style;
    ctx.lineWidth = width;
    ctx.stroke();
  }
  function whisker(ctx, x1, y1, x2, y2, dx, dy) {
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    for (const [x, y] of [
      [x1, y1],
      [x2, y2],
    ]) {
      ctx.moveTo(x - dx, y - dy);
      ctx.lineTo(x + dx, y + dy);
    }
  }

  // The noise: an area behind everything, and where 1 is.
  const band = {
    id: 'band',
    beforeDatasetsDraw({ ctx, scales: { x, y }, options, chartArea: { left, right, top, bottom } }) {
      const { area } = options.plugins.band;
      if (!area) return;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, right - left, bottom - top);
      ctx.clip();
      ctx.fillStyle = colour('band');
      ctx.strokeStyle = colour('limit');
      ctx.setLineDash([5, 4]);
      ctx.beginPath();
      if (options.indexAxis === 'y') {
        const from = x.getPixelForValue(area.low);
        ctx.fillRect(from, top, x.getPixelForValue(area.high) - from, bottom - top);
        ctx.moveTo(x.getPixelForValue(1), top);
        ctx.lineTo(x.getPixelForValue(1), bottom);
      } else {
        for (const [at, low] of area) ctx.lineTo(x.getPixelForValue(at), y.getPixelForValue(low));
        for (const [at, , high] of [...area].reverse()) ctx.lineTo(x.getPixelForValue(at), y.getPixelForValue(high));
        ctx.fill();
        ctx.beginPath();
        ctx.moveTo(left, y.getPixelForValue(1));
        ctx.lineTo(right, y.getPixelForValue(1));
      }
      ctx.stroke();
      ctx.restore();
    },
  };

  function axis({ title, format, log = false }, more = {}) {
    return {
      type: log ? 'logarithmic' : 'linear',
      ...(log ? {} : { beginAtZero: true }),
      title: { display: true, text: title, color: colour('faint') },
      grid: { color: colour('rule') },
      border: { color: colour('rule') },
      ...more,
      ticks: { color: colour('faint'), maxRotation: 0, autoSkipPadding: 12, callback: FORMATS[format], ...more.ticks },
    };
  }

  /** Ticks where there are points: sizes go up by factors that no ten divides. The last one is always named. */
  function atPoints(spec) {
    const values = [...new Set(spec.lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
    const [least, most] = [values[0], values.at(-1)];
    const room = least === most ? 2 : (most / least) ** 0.03;
    return {
      min: least / room,
      max: most * room,
      afterBuildTicks(scale) {
        const pixels = (from, to) => (Math.log(to / from) / Math.log(scale.max / scale.min)) * scale.width;
        const ticks = [];
        for (const value of values.toReversed()) if (ticks.length === 0 || pixels(value, ticks[0].value) > LABEL) ticks.unshift({ value });
        scale.ticks = ticks;
      },
    };
  }

  /** Whiskers have to fit. A wide band need not: it would make everything else small. */
  function range({ lines, y: { log, max } }) {
    const lows = lines.flatMap(({ points }) => points.map(([, , low]) => low));
    const highs = lines.flatMap(({ points }) => points.map(([, , , high]) => high));
    const most = Math.max(...highs, max ?? 0);
    return log ? { min: Math.min(...lows) / 1.15, max: most * 1.15 } : { suggestedMax: most };
  }

  /** Powers of ten, and with few of them what lies between. */
  function decades(scale) {
    const ticks = [];
    const many = Math.log10(scale.max / scale.min) > 2;
    for (let ten = 10 ** Math.floor(Math.log10(scale.min)); ten <= scale.max; ten *= 10) {
      for (const factor of many ? [1] : [1, 2, 5]) {
        const value = ten * factor;
        if (value >= scale.min && value <= scale.max) ticks.push({ value });
      }
    }
    scale.ticks = ticks;
  }

  function barChart(spec, narrow) {
    const { bars } = spec;
    const format = FORMATS[spec.x.format];
    return {
      type: 'bar',
      data: {
        labels: bars.map(({ label }) => (narrow && label.length > 16 ? `${label.slice(0, 15)}…` : label)),
        datasets: [
          {
            data: bars.map(({ value }) => value),
            ranges: bars.map(({ low, high }) => [low, high]),
            backgroundColor: bars.map(({ tone }) => colour(tone)),
            maxBarThickness: 26,
          },
        ],
      },
      options: {
        indexAxis: 'y',
        scales: {
          x: {
            ...axis(spec.x),
            suggestedMin: Math.min(0, ...bars.map(({ low }) => low)),
            suggestedMax: Math.max(...bars.map(({ high }) => high)),
          },
          y: { grid: { display: false }, border: { color: colour('rule') }, ticks: { color: colour('text'), autoSkip: false } },
        },
        plugins: {
          band: { area: spec.band },
          legend: { display: false },
          tooltip: {
            callbacks: {
              title: ([{ dataIndex }]) => bars[dataIndex].label,
              label: ({ dataIndex }) => {
                const { value, low, high } = bars[dataIndex];
                return `${format(value)} (${format(low)} to ${format(high)})`;
              },
            },
          },
        },
      },
    };
  }

  function lineChart(spec) {
    const counts = {};
    const stems = spec.kind === 'stems';
    const [formatX, formatY] = [FORMATS[spec.x.format], FORMATS[spec.y.format]];
    const datasets = spec.lines.map(({ label, tone, points }, i) => {
      counts[tone] = (counts[tone] ?? -1) + 1;
      const own = shade(tone, counts[tone]);
      return {
        label,
        data: points.map(([x, y]) => ({ x, y })),
        ranges: points.map(([, , low, high]) => (stems ? [0, high] : [low, high])),
        borderColor: own,
        backgroundColor: own,
        borderWidth: tone === 'ours' ? 2.5 : 1.75,
        borderDash: tone === 'limit' ? [6, 4] : [],
        pointStyle: MARKS[i % MARKS.length],
        pointRadius: stems ? 2 : 4,
        showLine: !stems,
        order: tone === 'ours' ? 0 : 1,
      };
    });
    return {
      type: 'line',
      data: { datasets },
      options: {
        scales: {
          x: axis(spec.x, spec.x.log ? atPoints(spec) : { type: 'linear' }),
          y: axis(spec.y, { ...range(spec), ...(spec.y.log ? { afterBuildTicks: decades } : {}) }),
        },
        plugins: {
          band: { area: spec.band },
          legend: {
            display: !stems && datasets.length > 1,
            labels: { color: colour('text'), usePointStyle: true, boxHeight: 7, sort: (a, b) => a.datasetIndex - b.datasetIndex },
          },
          tooltip: {
            callbacks: {
              title: ([{ parsed }]) => formatX(parsed.x),
              label: ({ dataset, dataIndex, parsed }) => {
                const [low, high] = dataset.ranges[dataIndex];
                const range = stems || low === high ? '' : ` (${formatY(low)} to ${formatY(high)})`;
                return `${dataset.label}: ${formatY(parsed.y)}${range}`;
              },
            },
          },
        },
      },
    };
  }

  let drawn = [];
  function draw() {
    for (const chart of drawn) chart.destroy();
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    drawn = [...document.querySelectorAll('canvas[data-chart]')].map((canvas) => {
      const spec = specs[Number(canvas.dataset.chart)];
      const { options, ...config } = spec.kind === 'bars' ? barChart(spec, canvas.parentElement.clientWidth < NARROW) : lineChart(spec);
      return new Chart(canvas, {
        ...config,
        options: { ...options, animation: false, responsive: true, maintainAspectRatio: false },
        plugins: [band, whiskers],
      });
    });
  }

  draw();
  dark.addEventListener('change', draw);
})();
