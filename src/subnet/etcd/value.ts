import { FAMILIES, type Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { isObject } from '../fields.ts';
import type { PerFamily } from '../lease.ts';
import type { OwnAttributes } from '../manager.ts';

/** What a lease's value says: the JSON of the original's `LeaseAttrs`. */
export interface LeaseValue {
  readonly publicIp: PerFamily<Ip>;
  readonly backendType: string;
  /** Raw JSON, untrusted; `null` when the value says nothing. */
  readonly backendData: PerFamily<string>;
}

const KEYS: Record<Family, { readonly ip: string; readonly data: string }> = {
  ipv4: { ip: 'publicip', data: 'backenddata' },
  ipv6: { ip: 'publicipv6', data: 'backendv6data' },
};

/** Longest value that is looked at, characters, and longest backend data in it. */
const MAX_VALUE = 16 << 10;
const MAX_DATA = 4096;

/** The text of a lease's value, byte for byte as the original writes it. */
export function renderLeaseValue({ backendType, publicIp, backendData }: OwnAttributes): string {
  const parts = [
    // The original's IPv4 address cannot be absent.
    `"PublicIP":${JSON.stringify(publicIp.ipv4?.toString() ?? '0.0.0.0')}`,
    `"PublicIPv6":${JSON.stringify(publicIp.ipv6?.toString() ?? null)}`,
    `"BackendType":${JSON.stringify(backendType)}`,
  ];
  const { ipv4, ipv6 } = backendData;
  if (ipv4 !== undefined && ipv4 !== 'null') parts.push(`"BackendData":${ipv4}`);
  if (ipv6 !== undefined && ipv6 !== 'null') parts.push(`"BackendV6Data":${ipv6}`);
  return `{${parts.join(',')}}`;
}

/** Reads a value; a string says why it is none. Keys without regard to case, as Go reads them. */
export function parseLeaseValue(text: string): LeaseValue | string {
  if (text.length > MAX_VALUE) return `its value is longer than ${MAX_VALUE} characters`;
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch {
    return 'its value is not JSON';
  }
  if (!isObject(object)) return 'its value is not a JSON object';
  const fields = new Map(Object.entries(object).map(([key, value]) => [key.toLowerCase(), value]));
  const type = fields.get('backendtype') ?? '';
  if (typeof type !== 'string' || type.length > 64) return 'its BackendType is not a short string';
  const publicIp: Partial<Record<Family, Ip>> = {};
  const backendData: Partial<Record<Family, string>> = {};
  for (const family of FAMILIES) {
    const address = fields.get(KEYS[family].ip);
    if (typeof address === 'string') {
      const ip = Ip.tryParse(address);
      if (ip === undefined || ip.family !== family) return `its ${KEYS[family].ip} is not an address`;
      if (!ip.isUnspecified()) publicIp[family] = ip;
    } else if (address !== undefined && address !== null) return `its ${KEYS[family].ip} is not a string`;
    const data = JSON.stringify(fields.get(KEYS[family].data) ?? null);
    if (data.length > MAX_DATA) return `its ${KEYS[family].data} is too long`;
    backendData[family] = data;
  }
  return { publicIp, backendType: type, backendData };
}
