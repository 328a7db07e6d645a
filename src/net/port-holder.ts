import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { Protocol } from './published-ports.ts';

/** Descriptors that are looked at before the search is given up: it is for an error's hint alone. */
const MAX_DESCRIPTORS = 50_000;
const NO_INODE = '0';

/** Which program of this network namespace has a socket at this port: `nginx (process 812)`. Undefined: nobody whom we could see. */
export function portHolder(protocol: Protocol, port: number): string | undefined {
  const wanted = inodesAt(protocol, port);
  if (wanted.size === 0) return undefined;
  let left = MAX_DESCRIPTORS;
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      if (--left < 0) return undefined;
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && wanted.has(inode)) return `${text(`/proc/${pid}/comm`).trim()} (process ${pid})`;
    }
  }
  return undefined;
}

/** proc(5), net/tcp: `sl local_address rem_address st …`, the port in hexadecimal behind the address, the inode in the tenth column. */
function inodesAt(protocol: Protocol, port: number): Set<string> {
  const tail = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return new Set([protocol, `${protocol}6`].flatMap((name) => text(`/proc/thread-self/net/${name}`).split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const inode = columns[9] ?? NO_INODE;
    return columns[1]?.endsWith(tail) === true && inode !== NO_INODE ? [inode] : [];
  })));
}

const quietly = <T>(work: () => T, otherwise: T): T => {
  try {
    return work();
  } catch {
    return otherwise; // it ended, or is none of ours to see
  }
};
const list = (path: string): string[] => quietly(() => readdirSync(path), []);
const linkOf = (path: string): string => quietly(() => readlinkSync(path), '');
const text = (path: string): string => quietly(() => readFileSync(path, 'utf8'), '');
