import { Mac } from '#net/mac.ts';

/** `backend-data` of the vxlan backend: key order and spacing as the original writes it. */
export function renderVxlanData(vni: number, mac: Mac): string {
  return `{"VNI":${vni},"VtepMAC":"${mac}"}`;
}

/** The VTEP's MAC out of untrusted `backend-data`; a string says why there is none. */
export function parseVtepMac(text: string): Mac | string {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return 'backend-data is not JSON';
  }
  if (typeof data !== 'object' || data === null || !('VtepMAC' in data)) return 'backend-data has no VtepMAC';
  const mac = typeof data.VtepMAC === 'string' ? Mac.tryParse(data.VtepMAC) : undefined;
  if (mac === undefined) return 'VtepMAC is not a MAC address';
  if (mac.isZero() || mac.isMulticast()) return `VtepMAC ${mac} is not a unicast address`;
  return mac;
}
