import { type Panel, ROWS } from './panels.ts';

/** The model of Grafana 9.0, which newer ones migrate by themselves (DashboardMigrator). */
const SCHEMA_VERSION = 36;
/** Columns of Grafana's grid; heights are in its units of 30 pixels. */
const COLUMNS = 24;
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/** The dashboard as Grafana imports it: panels from left to right, a new line when one does not fit. */
export function dashboard(): object {
  return {
    uid: 'flannel',
    title: 'Flannel',
    description:
      'The agents of the pod network: nodes, peers, repairs, the store, pod addresses, the processes.',
    tags: ['flannel', 'network'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    time: { from: 'now-6h', to: 'now' },
    refresh: '1m',
    annotations: { list: [] },
    links: [],
    templating: { list: variables() },
    panels: placed(),
  };
}

function variables(): object[] {
  const label = (name: string, labels: readonly string[]) => {
    const matchers = labels.map((other) => `${other}=~"$${other}"`).join(', ');
    const query = `label_values(flannel_build_info{${matchers}}, ${name})`;
    return {
      name,
      label: name,
      type: 'query',
      datasource: DATASOURCE,
      definition: query,
      query: { query, refId: name },
      refresh: 2,
      sort: 1,
      multi: true,
      includeAll: true,
      // Also series that lack the label.
      allValue: '.*',
      current: { selected: true, text: ['All'], value: ['$__all'] },
    };
  };
  return [
    { name: 'datasource', label: 'data source', type: 'datasource', query: 'prometheus', refresh: 1 },
    label('cluster', []),
    label('job', ['cluster']),
    label('node', ['cluster', 'job']),
  ];
}

function placed(): object[] {
  const made: object[] = [];
  let y = 0;
  const id = () => made.length + 1;
  for (const { title, panels } of ROWS) {
    made.push({
      id: id(),
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of panels) {
      const { w, h } = panel;
      if (x + w > COLUMNS) {
        y += height;
        x = 0;
        height = 0;
      }
      made.push({ id: id(), ...modelOf(panel), gridPos: { x, y, w, h } });
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return made;
}

function modelOf(panel: Panel): object {
  const { type, title, description } = panel;
  const table = type === 'table';
  const targets = panel.queries.map(([expr, legend], at) => ({
    refId: String.fromCodePoint(65 + at),
    datasource: DATASOURCE,
    expr,
    ...(legend !== undefined && !table && { legendFormat: legend }),
    ...(type === 'timeseries' ? { range: true } : { instant: true, range: false }),
    ...(table && { format: 'table' }),
  }));
  return { type, title, description, datasource: DATASOURCE, targets, ...lookOf(panel) };
}

function lookOf(panel: Panel): object {
  const { unit, limits = [] } = panel;
  const steps = [{ color: 'green', value: null }, ...limits.map(([value, color]) => ({ color, value }))];
  const thresholds = { mode: 'absolute', steps };
  if (panel.type === 'stat')
    return {
      fieldConfig: { defaults: { unit, thresholds, color: { mode: 'thresholds' } }, overrides: [] },
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: 'value',
        graphMode: 'none',
        textMode: 'auto',
        justifyMode: 'auto',
        orientation: 'auto',
      },
    };
  if (panel.type === 'table') return tableLook(panel);
  return {
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        color: { mode: 'palette-classic' },
        custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: 10, showPoints: 'never', spanNulls: false },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };
}

/** One line for each node; each query is a column by its legend. */
function tableLook({ queries, units = {} }: Panel): object {
  const names = queries.map(([, legend], at) => [`Value #${String.fromCodePoint(65 + at)}`, legend ?? '']);
  return {
    fieldConfig: {
      defaults: {},
      overrides: Object.entries(units).map(([name, unit]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'unit', value: unit }],
      })),
    },
    options: { showHeader: true },
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: { excludeByName: { Time: true }, renameByName: Object.fromEntries(names) },
      },
    ],
  };
}
