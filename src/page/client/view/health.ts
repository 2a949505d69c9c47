import type { ComponentChildren, VNode } from 'preact';
import type { Overview } from '../../model.ts';
import { cut } from '../text/visible.ts';
import { h } from './h.ts';
import { mono, tag, text } from './parts.ts';
import type { App } from './app.ts';

/** Health at a glance: one strip of facts, and what is wrong in words below it. */
export function health({ state, t, f }: App): VNode | null {
  const { overview } = state;
  if (overview === undefined) return null;
  const { node, peers, rules } = overview;
  const w = t.health;
  const facts: [string, ComponentChildren][] = [
    [w.backend, node === undefined ? w.unknown : text(node.backend, 24)],
    [
      w.mtu,
      node === undefined
        ? w.unknown
        : [f.count(node.mtu), small(w.mtuOf(cut(node.external.name, 20), f.count(node.external.mtu)))],
    ],
    [
      w.uptime,
      h(
        'span',
        { title: f.moment(overview.health.startedAt) },
        f.duration(overview.now - overview.health.startedAt),
      ),
    ],
    [w.lastPass, lastPass(overview, { t, f })],
    [w.store, store(overview, { t })],
    [w.rules, rules === undefined ? w.unknown : rulesFact(rules, { t })],
    [w.peers, peers === undefined ? w.unknown : peersFact(peers, { t, f })],
    [w.addresses, addresses(overview, { t, f })],
    [w.traffic, traffic(overview, { state, f, t })],
  ];
  return h(
    'section',
    { class: 'health', 'aria-label': w.label },
    h(
      'dl',
      null,
      facts.map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, value))),
    ),
    troubles(overview, { t }),
  );
}

/** The state alone, for the header. */
export function statePill({ state, t }: Pick<App, 'state' | 't'>): VNode | null {
  const current = state.overview?.health.state;
  if (current === undefined) return null;
  return tag(current === 'ready' ? 'ok' : current === 'waiting' ? 'warn' : 'bad', t.health[current]);
}

function small(children: ComponentChildren): VNode {
  return h('small', null, children);
}

function lastPass({ health, now }: Overview, { t, f }: Pick<App, 't' | 'f'>): ComponentChildren {
  const pass = health.lastPass;
  if (pass === undefined) return t.health.noPass;
  const clean = pass.found === 0 && pass.errors === 0;
  return [
    h('span', { title: f.moment(pass.at) }, f.ago(now - pass.at)),
    small(
      clean
        ? `${t.health.passClean}, ${f.ms(pass.ms)}`
        : h(
            'span',
            { class: pass.errors > 0 ? 'bad' : 'warn' },
            `${t.health.pass(f.count(pass.found), f.count(pass.errors))}, ${f.ms(pass.ms)}`,
          ),
    ),
  ];
}

function store({ health }: Overview, { t }: Pick<App, 't'>): ComponentChildren {
  const { fromMemory, trouble } = health.store;
  const memory = fromMemory ? small(t.health.storeMemory) : null;
  if (trouble === undefined) return [tag(fromMemory ? 'warn' : 'ok', t.health.storeOk), memory];
  return [tag('bad', t.health.storeTrouble, undefined), memory];
}

function rulesFact(rules: NonNullable<Overview['rules']>, { t }: Pick<App, 't'>): ComponentChildren {
  const tone = { ok: 'ok', failed: 'bad', unknown: 'warn' }[rules.state];
  return [tag(tone, t.health.rulesState[rules.state]), small(rules.mode)];
}

function peersFact(peers: NonNullable<Overview['peers']>, { t, f }: Pick<App, 't' | 'f'>): ComponentChildren {
  const { wanted, programmed, leftOut } = peers;
  return [
    h(
      'span',
      { class: programmed < wanted - leftOut ? 'warn' : '' },
      t.health.programmed(f.count(programmed), f.count(wanted)),
    ),
    leftOut > 0 ? small(h('span', { class: 'warn' }, t.health.leftOut(f.count(leftOut)))) : null,
  ];
}

function addresses({ node }: Overview, { t, f }: Pick<App, 't' | 'f'>): ComponentChildren {
  if (node === undefined) return t.health.unknown;
  return node.addresses.map(({ subnet, used, capacity }) => {
    const tone = used >= capacity ? 'bad' : used >= capacity * 0.9 ? 'warn' : 'ok';
    const free = t.health.free(f.count(Math.max(0, capacity - used)));
    return h(
      'span',
      {
        key: subnet,
        class: 'addresses',
        title: `${subnet}: ${t.health.used(f.count(used), f.count(capacity))}, ${free}`,
      },
      t.health.used(f.count(used), f.count(capacity)),
      h('meter', { class: tone, min: 0, max: Math.max(1, capacity), value: used, 'aria-label': subnet }),
      small(free),
    );
  });
}

function traffic(overview: Overview, { state, f, t }: Pick<App, 'state' | 'f' | 't'>): ComponentChildren {
  const name = overview.node?.name ?? '';
  const rates = (overview.node?.devices ?? []).map((device) =>
    state.meter.rate(`device ${name} ${device.name}`),
  );
  const known = rates.filter((rate) => rate !== undefined);
  if (known.length === 0) return '–';
  const sum = (key: 'rxBytes' | 'txBytes') => known.reduce((total, rate) => total + rate[key], 0);
  return [
    h('span', { class: 'num', title: t.health.received }, `↓ ${f.rate(sum('rxBytes'))}`),
    h('span', { class: 'num', title: t.health.sent }, `↑ ${f.rate(sum('txBytes'))}`),
  ];
}

/** What is waited for, wrong or could not be read. */
function troubles(overview: Overview, { t }: Pick<App, 't'>): VNode | null {
  const { health, rules, unread, node } = overview;
  const said = [
    ...health.reasons,
    ...(health.store.trouble === undefined ? [] : [`${t.health.store}: ${health.store.trouble}`]),
    ...(rules?.error === undefined ? [] : [`${t.health.rules}: ${rules.error}`]),
    ...(node?.devices ?? [])
      .filter(({ up }) => up !== true)
      .map(({ name, up }) => `${name}: ${up === false ? t.pods.state.down : t.detail.entry.missing}`),
    ...unread.map((what) => `${t.health.unread}: ${what}`),
  ];
  if (said.length === 0) return null;
  const tone = health.state === 'failing' ? 'bad' : 'warn';
  return h(
    'ul',
    { class: `troubles ${tone}` },
    said.map((what, i) => h('li', { key: i }, text(what, 600))),
  );
}

/** Name, subnets and addresses of this node, for the header. */
export function nodeName({ state }: Pick<App, 'state'>): VNode | null {
  const { node } = state.overview ?? {};
  if (node === undefined) return null;
  return h(
    'span',
    { class: 'node-name' },
    h('strong', null, text(node.name, 48)),
    node.subnets.map((subnet) => h('span', { key: subnet, class: 'wide' }, mono(subnet))),
  );
}
