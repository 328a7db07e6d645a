import { createReadStream, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { BLOCK, encodeHeader, padded, type TarHeader } from './tar-header.ts';

const READ_SIZE = 1 << 20;

/** A tar archive of the file or directory at `path`, whose entries are named `name` and `name/…`. Sockets are left out. */
export async function* packTree(path: string, name: string): AsyncGenerator<Uint8Array, void> {
  const links = new Map<string, string>();
  yield* packEntry(path, name, links);
  yield new Uint8Array(2 * BLOCK);
}

async function* packEntry(path: string, name: string, links: Map<string, string>): AsyncGenerator<Uint8Array, void> {
  const stat = lstatSync(path);
  const header = headerOf(path, name, stat, links);
  if (header === undefined) return;
  yield encodeHeader(header);
  if (header.type === 'file' && header.size > 0) {
    let sent = 0;
    // The header has promised a size: a file that grows meanwhile is cut, one that shrinks is filled.
    for await (const chunk of createReadStream(path, { end: header.size - 1, highWaterMark: READ_SIZE }) as AsyncIterable<Uint8Array>) {
      sent += chunk.length;
      yield chunk;
    }
    const fill = padded(header.size) - sent;
    if (fill > 0) yield new Uint8Array(fill);
  }
  if (stat.isDirectory()) for (const child of readdirSync(path).sort()) yield* packEntry(join(path, child), name === '.' || name === '' ? child : `${name}/${child}`, links);
}

function headerOf(path: string, name: string, stat: Stats, links: Map<string, string>): TarHeader | undefined {
  const header: TarHeader = { path: name, type: 'file', mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, size: 0, mtime: Math.floor(stat.mtimeMs / 1000), link: '', deviceMajor: 0, deviceMinor: 0 };
  if (stat.isDirectory()) return { ...header, type: 'directory', path: `${name}/` };
  if (stat.isSymbolicLink()) return { ...header, type: 'symlink', link: readlinkSync(path) };
  if (stat.isFile()) {
    const key = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 ? links.get(key) : undefined;
    if (first !== undefined) return { ...header, type: 'link', link: first };
    if (stat.nlink > 1) links.set(key, name);
    return { ...header, size: stat.size };
  }
  if (stat.isFIFO()) return { ...header, type: 'fifo' };
  if (stat.isCharacterDevice() || stat.isBlockDevice()) {
    const major = ((stat.rdev >> 8) & 0xfff) | Math.floor(stat.rdev / 2 ** 32) * 0x1000;
    return { ...header, type: stat.isBlockDevice() ? 'block' : 'character', deviceMajor: major, deviceMinor: (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00) };
  }
  return undefined;
}
