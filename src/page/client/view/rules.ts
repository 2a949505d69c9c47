import type { VNode } from 'preact';
import type { RulesView } from '../../model.ts';
import { h } from './h.ts';
import type { App } from './app.ts';
import { button, failureText, tag, text } from './parts.ts';

/** The rules in the order in which a packet meets them, and where the kernel differs. */
export function rulesView({ state, t, act }: App): VNode {
  const { value, failure, running } = state.rules;
  return h(
    'section',
    { class: 'pane prose rules', 'aria-label': t.rules.caption, 'aria-busy': running },
    state.mode === 'lab'
      ? h('p', { class: 'nothing' }, t.rules.inLab)
      : [
          h(
            'div',
            { class: 'tools' },
            value !== undefined && tag('plain', t.rules.mode[value.mode]),
            h('p', { class: 'count' }, t.rules.order),
            button(t.rules.again, () => act.compareRules(), { class: 'quiet', disabled: running }),
          ),
          failure !== undefined &&
            h('p', { class: 'troubles bad' }, t.rules.failed, ' ', failureText(t, failure)),
          value === undefined
            ? failure === undefined && h('p', { class: 'nothing' }, t.rules.loading)
            : body(value, t),
        ],
  );
}

function body({ differences, families }: RulesView, t: App['t']): VNode {
  return h(
    'div',
    { class: 'columns' },
    h(
      'div',
      { class: `verdict ${differences.length === 0 ? 'ok' : 'bad'}`, role: 'status' },
      differences.length === 0
        ? tag('ok', t.rules.none)
        : [
            h('h2', null, tag('bad', t.rules.differences)),
            h(
              'ul',
              null,
              differences.map((what, i) => h('li', { key: i }, h('code', null, text(what, 500)))),
            ),
          ],
    ),
    families.length === 0 && h('p', { class: 'nothing' }, t.rules.empty),
    families.map(({ family, chains }) =>
      h(
        'section',
        { key: family, class: 'family' },
        h('h2', null, family === 'ipv4' ? 'IPv4' : 'IPv6'),
        chains.map(({ name, rules }) =>
          h(
            'section',
            { key: name },
            h('h3', null, Object.hasOwn(t.rules.chain, name) ? t.rules.chain[name] : text(name)),
            h(
              'ol',
              { class: 'rules' },
              rules.map(({ text: rule, why }, i) =>
                h(
                  'li',
                  { key: i, class: mentioned(rule, differences) ? 'bad' : '' },
                  h('code', null, text(rule, 500)),
                  h('p', null, text(why, 400)),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

/** A difference names the rule that it is about. */
function mentioned(rule: string, differences: readonly string[]): boolean {
  return differences.some((difference) => difference.includes(rule));
}
