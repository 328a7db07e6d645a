/** One entry of a tar archive. `path` and `link` are as in the archive. */
export interface TarHeader {
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character' | 'block';
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds since the epoch, with a fraction. */
  mtime: number;
  link: string;
  deviceMajor: number;
  deviceMinor: number;
}

export const BLOCK = 512;
const TYPE_FLAGS: Readonly<Record<TarHeader['type'], string>> = { file: '0', link: '1', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' };
const encoder = new TextEncoder();

/** The header blocks of an entry: ustar (POSIX.1-1988), with a pax record before it for what does not fit. */
export function encodeHeader(header: TarHeader): Uint8Array {
  const records: string[] = [];
  const fits = (text: string, size: number): boolean => encoder.encode(text).length <= size && /^[\x20-\x7e]*$/.test(text);
  let [name, prefix] = [header.path, ''];
  if (!fits(name, 100)) {
    [prefix, name] = splitPath(header.path);
    if (!fits(name, 100) || !fits(prefix, 155)) {
      records.push(paxRecord('path', header.path));
      [prefix, name] = ['', asciiTail(header.path)];
    }
  }
  let link = header.link;
  if (!fits(link, 100)) {
    records.push(paxRecord('linkpath', link));
    link = asciiTail(link);
  }
  if (header.size > 0o77777777777) records.push(paxRecord('size', String(header.size)));
  if (header.uid > 0o7777777) records.push(paxRecord('uid', String(header.uid)));
  if (header.gid > 0o7777777) records.push(paxRecord('gid', String(header.gid)));
  const main = ustarBlock({ ...header, link }, name, prefix, TYPE_FLAGS[header.type]);
  if (records.length === 0) return main;
  const data = encoder.encode(records.join(''));
  const pax = ustarBlock({ ...header, type: 'file', size: data.length, link: '', mode: 0o644 }, 'PaxHeaders.0/entry', '', 'x');
  const out = new Uint8Array(BLOCK + padded(data.length) + BLOCK);
  out.set(pax);
  out.set(data, BLOCK);
  out.set(main, BLOCK + padded(data.length));
  return out;
}

/** `size` rounded up to whole blocks. */
export const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

function ustarBlock(header: TarHeader, name: string, prefix: string, flag: string): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (value: string, at: number): void => block.set(encoder.encode(value), at);
  const octal = (value: number, at: number, length: number): void => text(Math.min(Math.max(0, Math.trunc(value)), 8 ** (length - 1) - 1).toString(8).padStart(length - 1, '0'), at);
  text(name, 0);
  octal(header.mode & 0o7777, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.mtime, 136, 12);
  text('        ', 148);
  text(flag, 156);
  text(header.link, 157);
  text('ustar\u000000', 257);
  octal(header.deviceMajor, 329, 8);
  octal(header.deviceMinor, 337, 8);
  text(prefix, 345);
  text(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** ustar keeps the directories of a long path in a field of their own. */
function splitPath(path: string): [string, string] {
  const slash = path.lastIndexOf('/', path.length - 2);
  for (let at = slash; at > 0; at = path.lastIndexOf('/', at - 1)) if (at <= 155 && path.length - at - 1 <= 100) return [path.slice(0, at), path.slice(at + 1)];
  return ['', path];
}

const asciiTail = (text: string): string => text.replace(/[^\x20-\x7e]/g, '_').slice(-99);

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const size = encoder.encode(body).length;
  let length = size + String(size).length;
  if (String(length).length !== String(size).length) length = size + String(length).length;
  return `${length}${body}`;
}
