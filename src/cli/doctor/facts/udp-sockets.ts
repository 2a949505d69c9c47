import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { ByteWriter } from '#base/bytes.ts';
import { Ip } from '#net/ip.ts';

/** A program's UDP socket. */
export interface UdpSocket {
  readonly address: Ip;
  /** `name (process 123)`. */
  readonly program: string;
}

/**
 * UDP sockets of programs that are bound to `port` in this network namespace. The kernel's own, of VXLAN devices, look the same in
 * the table: nobody has them open.
 */
export function socketsAt(port: number): UdpSocket[] {
  const tables = ['udp', 'udp6'].map((name) => readText(`/proc/thread-self/net/${name}`));
  return tables.flatMap((text) => {
    return parseUdpTable(text)
      .filter((row) => row.port === port)
      .flatMap(({ address, inode }) => {
        const program = ownerOf(inode);
        return program === undefined ? [] : { address, program };
      });
  });
}

interface Row {
  readonly address: Ip;
  readonly port: number;
  readonly inode: string;
}

/** `/proc/net/udp` and `udp6` (`net/ipv4/udp.c` udp4_format_sock). */
export function parseUdpTable(text: string): Row[] {
  const rows: Row[] = [];
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, hex = '', port = ''] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(fields[1] ?? '') ?? [];
    const inode = fields[9] ?? '0';
    if (hex === '' || inode === '0') continue;
    rows.push({ address: addressOf(hex), port: Number.parseInt(port, 16), inode });
  }
  return rows;
}

/** Words of four bytes, each in host order. */
function addressOf(hex: string): Ip {
  const bytes = new ByteWriter(16);
  for (let at = 0; at < hex.length; at += 8) bytes.u32(Number.parseInt(hex.slice(at, at + 8), 16));
  return Ip.fromBytes(bytes.copy());
}

function ownerOf(inode: string): string | undefined {
  const target = `socket:[${inode}]`;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (descriptors(pid).includes(target)) return `${readText(`/proc/${pid}/comm`).trim()} (process ${pid})`;
  }
  return undefined;
}

function descriptors(pid: string): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).map((fd) => linkOf(`${folder}/${fd}`));
  } catch {
    // It has just ended.
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
