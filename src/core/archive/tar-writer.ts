import { BLOCK, type TarEntry, type TarType } from './tar-entry.ts';

const FLAGS: Readonly<Record<TarType, string>> = {
  file: '0', link: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6',
};

/** What `tarHeader` needs: all but the name and the type has a default. */
export type TarHeaderFields = Pick<TarEntry, 'name' | 'type'> & Partial<TarEntry>;

/** Largest numbers that fit the octal fields. */
const MAX_7 = 0o7777777, MAX_11 = 0o77777777777;

/**
 * Header blocks of one entry, the same bytes for the same entry always: ustar, preceded by a PAX header with exactly the
 * records that ustar cannot hold (long or non-ASCII names, big numbers, extended attributes), in a fixed order. Times are whole
 * seconds, user names are left out. Names are raw; directories get their trailing slash here.
 */
export function tarHeader(entry: TarHeaderFields): Uint8Array {
  const name = entry.type === 'directory' && !entry.name.endsWith('/') ? `${entry.name}/` : entry.name;
  const linkName = entry.linkName ?? '';
  const size = entry.type === 'file' ? (entry.size ?? 0) : 0;
  const seconds = Number((entry.mtime ?? 0n) / 1_000_000_000n);
  const records: [string, string][] = [];

  const split = splitName(name);
  if (split === undefined) records.push(['path', name]);
  if (linkName.length > 100 || !ASCII.test(linkName)) records.push(['linkpath', linkName]);
  if (size > MAX_11) records.push(['size', String(size)]);
  if ((entry.uid ?? 0) > MAX_7) records.push(['uid', String(entry.uid)]);
  if ((entry.gid ?? 0) > MAX_7) records.push(['gid', String(entry.gid)]);
  if (seconds < 0 || seconds > MAX_11) records.push(['mtime', String(seconds)]);
  for (const [key, value] of [...(entry.xattrs ?? [])].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    records.push([`SCHILY.xattr.${key}`, Buffer.from(value).toString('latin1')]);
  }

  const main = headerBlock({
    name: split?.name ?? name.slice(0, 100), prefix: split?.prefix ?? '', linkName: linkName.slice(0, 100), flag: FLAGS[entry.type],
    mode: entry.mode ?? 0, uid: fit(entry.uid ?? 0, MAX_7), gid: fit(entry.gid ?? 0, MAX_7), size: fit(size, MAX_11),
    mtime: fit(seconds, MAX_11), devMajor: entry.devMajor ?? 0, devMinor: entry.devMinor ?? 0,
  });
  if (records.length === 0) return main;

  const data = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(''), 'latin1');
  const short = name.replace(/\/+$/, '');
  const base = short.slice(short.lastIndexOf('/') + 1).slice(0, 80);
  const extended = headerBlock({
    name: `PaxHeaders.0/${ASCII.test(base) ? base : 'entry'}`, prefix: '', linkName: '', flag: 'x', mode: 0, uid: 0, gid: 0,
    size: data.byteLength, mtime: 0, devMajor: 0, devMinor: 0,
  });
  return Buffer.concat([extended, padded(data), main]);
}

/** The two zero blocks that end an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

const ASCII = /^[\x01-\x7f]*$/;

const fit = (value: number, max: number): number => (value < 0 || value > max ? 0 : value);

/** `name` and `prefix` fields, or undefined when they cannot hold it. */
function splitName(name: string): { name: string; prefix: string } | undefined {
  if (!ASCII.test(name)) return undefined;
  if (name.length <= 100) return { name, prefix: '' };
  if (name.length > 256) return undefined;
  const slash = name.lastIndexOf('/', Math.min(155, name.length - 2));
  if (slash <= 0 || name.length - slash - 1 > 100) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}

/** `<length> <key>=<value>\n`, whose length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((BLOCK - (data.byteLength % BLOCK)) % BLOCK)]);

interface Fields {
  name: string; prefix: string; linkName: string; flag: string; mode: number; uid: number; gid: number; size: number; mtime: number;
  devMajor: number; devMinor: number;
}

function headerBlock(fields: Fields): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, length - 1, 'latin1');
  };
  block.write(fields.name, 0, 100, 'latin1');
  octal(fields.mode & 0o7777, 100, 8);
  octal(fields.uid, 108, 8);
  octal(fields.gid, 116, 8);
  octal(fields.size, 124, 12);
  octal(fields.mtime, 136, 12);
  block.write(fields.flag, 156, 1, 'latin1');
  block.write(fields.linkName, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  octal(fields.devMajor, 329, 8);
  octal(fields.devMinor, 337, 8);
  block.write(fields.prefix, 345, 155, 'latin1');
  let sum = 8 * 0x20;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return block;
}

/** A whole small archive in memory. */
export function tarOf(members: readonly (TarHeaderFields & { data?: Uint8Array })[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const member of members) {
    const data = member.data ?? new Uint8Array(0);
    parts.push(tarHeader({ ...member, size: data.byteLength }));
    if (member.type === 'file') parts.push(padded(Buffer.from(data)));
  }
  return Buffer.concat([...parts, TAR_END]);
}
