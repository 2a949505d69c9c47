import { invalidConfig } from '../error.ts';
import { boolField, intField, objectsField, type JsonObject } from '../json.ts';

/** IEEE 802.1Q: 0 means none, 4095 is reserved. */
const VLAN_ID = { min: 1, max: 4094 } as const;
/** IFNAMSIZ without the NUL. */
const NAME_LIMIT = 15;

/** VLANs `first` to `last`. */
export interface VlanRange {
  readonly first: number;
  readonly last: number;
}

/** What the port of the pod is in a bridge that filters VLANs. */
export interface VlanConfig {
  /** `vlan`: the pod's frames have no tag and belong to this VLAN. */
  readonly access: number | undefined;
  /** `vlanTrunk`: the pod tags its frames with one of these; in ascending order, none touches another. */
  readonly trunk: readonly VlanRange[];
  /** The port stays in the VLAN that the bridge gives to every port. */
  readonly keepDefault: boolean;
}

/** Undefined without VLANs. Throws CniError 7. */
export function parseVlans(raw: JsonObject): VlanConfig | undefined {
  const access = intField(raw, 'vlan', { min: 0, max: VLAN_ID.max }) || undefined;
  const trunk = ranges((objectsField(raw, 'vlanTrunk') ?? []).flatMap(trunkEntry));
  const keepDefault = boolField(raw, 'preserveDefaultVlan', true);
  if (access === undefined && trunk.length === 0) return undefined;
  if (access !== undefined && trunk.length > 0) {
    throw invalidConfig('cannot set vlan and vlanTrunk at the same time', 'remove one of the two');
  }
  return { access, trunk, keepDefault };
}

/** `{ "id": 5 }`, `{ "minID": 10, "maxID": 20 }` or both in one. */
function trunkEntry(entry: JsonObject): readonly VlanRange[] {
  const id = intField(entry, 'id', VLAN_ID);
  const first = intField(entry, 'minID', VLAN_ID);
  const last = intField(entry, 'maxID', VLAN_ID);
  if ((first === undefined) !== (last === undefined)) {
    const missing = first === undefined ? 'minID' : 'maxID';
    throw invalidConfig(
      `vlanTrunk: minID and maxID should be configured simultaneously, ${missing} is missing`,
    );
  }
  if (first !== undefined && last !== undefined && last < first) {
    throw invalidConfig(`vlanTrunk: minID ${first} is greater than maxID ${last}`);
  }
  return [
    ...(first === undefined || last === undefined ? [] : [{ first, last }]),
    ...(id === undefined ? [] : [{ first: id, last: id }]),
  ];
}

/** In ascending order, joined where they overlap or follow each other. */
function ranges(some: readonly VlanRange[]): readonly VlanRange[] {
  const joined: VlanRange[] = [];
  for (const range of some.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last + 1) joined.push(range);
    else joined.splice(-1, 1, { first: before.first, last: Math.max(before.last, range.last) });
  }
  return joined;
}

/** Name of the interface that carries the gateway address of a VLAN. Throws CniError 7 when it would be too long. */
export function vlanInterfaceName(bridge: string, vlan: number): string {
  const name = `${bridge}.${vlan}`;
  if (name.length <= NAME_LIMIT) return name;
  throw invalidConfig(
    `bridge: the gateway of VLAN ${vlan} would be called ${name}, which is longer than ${NAME_LIMIT} characters`,
    'use a shorter name for the bridge',
  );
}
