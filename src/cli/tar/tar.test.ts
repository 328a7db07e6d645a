import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { extractTree } from './extract-tree.ts';
import { packTree } from './pack-tree.ts';
import { readTar } from './read-tar.ts';
import { encodeHeader, padded, type TarHeader } from './tar-header.ts';

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

function withDirectory(work: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'naru-tar-'));
    try {
      await work(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
}

test('a tree goes in and comes out', withDirectory(async (directory) => {
  const from = join(directory, 'from');
  const long = `${'d'.repeat(120)}/${'e'.repeat(150)}`;
  mkdirSync(join(from, 'sub', long), { recursive: true });
  writeFileSync(join(from, 'file'), 'x'.repeat(100_000));
  writeFileSync(join(from, 'sub', long, 'ünïcode'), 'deep');
  writeFileSync(join(from, 'empty'), '');
  symlinkSync(`../${'t'.repeat(200)}`, join(from, 'link'));
  linkSync(join(from, 'file'), join(from, 'hard'));
  chmodSync(join(from, 'file'), 0o4751);
  utimesSync(join(from, 'sub'), 1_000_000, 1_000_000);
  const archive = await collect(packTree(from, 'tree'));
  assert.equal(archive.length % 512, 0);
  // Another's tar reads it too.
  writeFileSync(join(directory, 'a.tar'), archive);
  assert.match(execFileSync('tar', ['tf', join(directory, 'a.tar')], { encoding: 'utf8' }), /^tree\/hard$/m);
  const to = join(directory, 'to');
  mkdirSync(to);
  await extractTree(chunks(archive, 1000), to, { rebase: ['tree', 'renamed'], skipped: assert.fail });
  const out = join(to, 'renamed');
  assert.equal(readFileSync(join(out, 'sub', long, 'ünïcode'), 'utf8'), 'deep');
  assert.equal(readFileSync(join(out, 'file')).length, 100_000);
  assert.equal(lstatSync(join(out, 'file')).mode & 0o7777, 0o751); // no set-user-id from a stranger
  assert.equal(lstatSync(join(out, 'file')).ino, lstatSync(join(out, 'hard')).ino);
  assert.equal(readlinkSync(join(out, 'link')), `../${'t'.repeat(200)}`);
  assert.equal(lstatSync(join(out, 'sub')).mtimeMs, 1_000_000_000);
}));

test('GNU tar\'s archives are read', withDirectory(async (directory) => {
  const name = 'n'.repeat(180);
  mkdirSync(join(directory, 'in'));
  writeFileSync(join(directory, 'in', name), 'body');
  for (const format of ['gnu', 'pax', 'ustar', 'v7'] as const) {
    if (format === 'ustar' || format === 'v7') writeFileSync(join(directory, 'in', 'short'), 'body');
    const members = format === 'ustar' || format === 'v7' ? 'in/short' : 'in';
    const archive = new Uint8Array(execFileSync('tar', ['c', `--format=${format}`, '-C', directory, members]));
    const seen: string[] = [];
    for await (const { header, body } of readTar(chunks(archive, 777))) seen.push(`${header.path}:${Buffer.from(await collect(body())).toString()}`);
    assert.ok(seen.some((line) => line.endsWith(':body')), `${format}: ${seen.join(' ')}`);
  }
}));

test('headers of any name and size come back', async () => {
  const header = fc.record({ path: fc.string({ minLength: 1, maxLength: 300 }).filter((path) => !/[\0\n]/.test(path) && !path.endsWith('/')), mode: fc.integer({ min: 0, max: 0o7777 }), uid: fc.integer({ min: 0, max: 2 ** 31 }), gid: fc.integer({ min: 0, max: 100 }), mtime: fc.integer({ min: 0, max: 2 ** 32 }), link: fc.string({ maxLength: 200 }).filter((link) => !/[\0\n]/.test(link)) });
  await fc.assert(fc.asyncProperty(header, async (fields) => {
    const whole: TarHeader = { ...fields, type: 'symlink', size: 0, deviceMajor: 0, deviceMinor: 0 };
    const seen: TarHeader[] = [];
    for await (const entry of readTar(chunks(new Uint8Array([...encodeHeader(whole), ...new Uint8Array(1024)]), 512))) seen.push(entry.header);
    assert.deepEqual(seen, [whole]);
  }));
});

test('broken archives are refused', async () => {
  const read = async (bytes: Uint8Array): Promise<void> => {
    for await (const { body } of readTar(chunks(bytes, 512))) await collect(body());
  };
  const file: TarHeader = { path: 'f', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 1000, mtime: 0, link: '', deviceMajor: 0, deviceMinor: 0 };
  await assert.rejects(read(encodeHeader(file)), { kind: 'corrupt' }); // its body is missing
  const twisted = encodeHeader(file);
  twisted[0] = 0x41;
  await assert.rejects(read(twisted), { kind: 'corrupt' });
  await assert.rejects(read(new Uint8Array(700).fill(1)), { kind: 'corrupt' });
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
    await read(bytes).catch((error: unknown) => assert.equal((error as { kind?: string }).kind, 'corrupt'));
  }));
  assert.equal(padded(513), 1024);
});
