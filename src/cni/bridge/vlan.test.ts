import { expect, test } from 'bun:test';
import type { JsonObject } from '../json.ts';
import { missingVlans, planPort } from './vlan.ts';
import { parseVlans, vlanInterfaceName } from './vlan-config.ts';

test.each([
  [{}, undefined],
  [{ vlan: 0, vlanTrunk: [] }, undefined],
  [{ vlan: 100 }, { access: 100, trunk: [], keepDefault: true }],
  [
    { vlan: 100, preserveDefaultVlan: false },
    { access: 100, trunk: [], keepDefault: false },
  ],
  [
    { vlanTrunk: [{ id: 30 }, { minID: 10, maxID: 20, id: 7 }, { minID: 15, maxID: 29 }, {}] },
    {
      access: undefined,
      trunk: [
        { first: 7, last: 7 },
        { first: 10, last: 30 },
      ],
      keepDefault: true,
    },
  ],
])('%j', (raw, vlans) => {
  expect(parseVlans(raw)).toEqual(vlans);
});

test.each([
  [{ vlan: 4095 }, /vlan: 4095/],
  [{ vlan: -1 }, /vlan: -1/],
  [{ vlan: '5' }, /vlan: "5"/],
  [{ vlan: 5, vlanTrunk: [{ id: 6 }] }, /vlan and vlanTrunk at the same time/],
  [{ vlanTrunk: [{ id: 0 }] }, /id: 0/],
  [{ vlanTrunk: [{ minID: 5 }] }, /maxID is missing/],
  [{ vlanTrunk: [{ maxID: 5 }] }, /minID is missing/],
  [{ vlanTrunk: [{ minID: 6, maxID: 5 }] }, /minID 6 is greater than maxID 5/],
  [{ vlanTrunk: { id: 5 } }, /vlanTrunk/],
  [{ preserveDefaultVlan: 0 }, /preserveDefaultVlan/],
])('refused: %j', (raw, message) => {
  expect(() => parseVlans(raw)).toThrow(
    expect.objectContaining({ cniCode: 7, message: expect.stringMatching(message) }),
  );
});

test('the gateway of a VLAN has a name that the kernel takes', () => {
  expect(vlanInterfaceName('cni0', 4094)).toBe('cni0.4094');
  expect(() => vlanInterfaceName('a-long-bridge', 100)).toThrow(/a-long-bridge\.100/);
});

/** A port as the kernel keeps it: VLANs by ID; the new PVID takes it from the old one. */
class FakePort {
  readonly #vlans = new Map<number, { readonly untagged: boolean }>([[1, { untagged: true }]]);
  #pvid: number | undefined = 1;

  join(raw: JsonObject, defaultVlan: number | undefined = 1): this {
    const vlans = parseVlans(raw);
    if (vlans === undefined) throw new Error('no VLANs');
    const { leave, join } = planPort(vlans, defaultVlan);
    for (const { first } of leave) {
      this.#vlans.delete(first);
      if (this.#pvid === first) this.#pvid = undefined;
    }
    for (const { first, last, pvid, untagged = false } of join) {
      for (let id = first; id <= last; id += 1) this.#vlans.set(id, { untagged });
      if (pvid === true) this.#pvid = first;
    }
    return this;
  }

  toString(): string {
    const ids = [...this.#vlans].sort(([a], [b]) => a - b);
    return ids
      .map(([id, { untagged }]) => `${id}${this.#pvid === id ? 'p' : ''}${untagged ? 'u' : ''}`)
      .join(' ');
  }
}

test.each([
  [{ vlan: 100 }, '1u 100pu'],
  [{ vlan: 100, preserveDefaultVlan: false }, '100pu'],
  // The bridge's own VLAN asked for by name: it goes and comes back.
  [{ vlan: 1, preserveDefaultVlan: false }, '1pu'],
  [{ vlanTrunk: [{ id: 5 }, { minID: 7, maxID: 9 }] }, '1pu 5 7 8 9'],
  [{ vlanTrunk: [{ id: 5 }], preserveDefaultVlan: false }, '5'],
])('a new port with %j ends in VLANs %s; again changes nothing', (raw, vlans) => {
  const port = new FakePort().join(raw);
  expect(`${port}`).toBe(vlans);
  expect(`${port.join(raw)}`).toBe(vlans);
});

test('a bridge without a default VLAN has none to leave', () => {
  const vlans = { access: 5, trunk: [], keepDefault: false };
  expect([planPort(vlans, 0).leave, planPort(vlans, undefined).leave]).toEqual([[], []]);
});

test('CHECK wants every VLAN with its flags', () => {
  const wanted = [{ first: 10, last: 14 }];
  expect(missingVlans(wanted, [{ first: 9, last: 20 }])).toEqual([]);
  expect(
    missingVlans(wanted, [
      { first: 1, last: 11 },
      { first: 13, last: 13, untagged: true },
    ]),
  ).toEqual([12, 13, 14]);
  const access = [{ first: 5, last: 5, pvid: true, untagged: true }];
  expect(missingVlans(access, access)).toEqual([]);
  expect(missingVlans(access, [{ first: 5, last: 5 }])).toEqual([5]);
});
