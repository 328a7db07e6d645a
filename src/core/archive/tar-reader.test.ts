import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { NaruError } from '#spec/errors.ts';
import { ByteSource } from './byte-source.ts';
import type { TarEntry } from './tar-entry.ts';
import { TarReader } from './tar-reader.ts';
import { tarOf, type TarHeaderFields } from './tar-writer.ts';

type Member = TarHeaderFields & { data?: Uint8Array };
type Read = TarEntry & { data: Buffer };

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // One buffer for all: a reader that keeps a view too long is found out.
  const shared = Buffer.alloc(size);
  for (let at = 0; at < bytes.byteLength; at += size) {
    const part = bytes.subarray(at, at + size);
    shared.fill(0xee);
    shared.set(part);
    yield shared.subarray(0, part.byteLength);
  }
}

async function readAll(bytes: Uint8Array, size = 1000): Promise<{ entries: Read[]; frames: Buffer }> {
  const frames: Buffer[] = [];
  const reader = new TarReader(new ByteSource(pieces(bytes, size)), (frame) => void frames.push(Buffer.from(frame)));
  const entries: Read[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const data: Buffer[] = [];
    for (let chunk = await reader.content(); chunk !== undefined; chunk = await reader.content()) data.push(Buffer.from(chunk));
    entries.push({ ...entry, data: Buffer.concat(data) });
  }
  await reader.drain();
  return { entries, frames: Buffer.concat(frames) };
}

const name = fc.string({ minLength: 1, maxLength: 300, unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)) })
  .filter((text) => !text.endsWith('/'));
const member: fc.Arbitrary<Member> = fc.record({
  name, type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'char', 'fifo'),
  mode: fc.integer({ min: 0, max: 0o7777 }), uid: fc.integer({ min: 0, max: 0xfffffffe }), gid: fc.integer({ min: 0, max: 0xfffffffe }),
  mtime: fc.bigInt({ min: -1n << 33n, max: 1n << 36n }).map((s) => s * 1_000_000_000n), linkName: name,
  devMajor: fc.integer({ min: 0, max: 4095 }), devMinor: fc.integer({ min: 0, max: 0xfffff }),
  xattrs: fc.dictionary(fc.constantFrom('user.a', 'security.capability', 'user.b'), fc.uint8Array({ maxLength: 100 })).map((o) => new Map(Object.entries(o))),
  data: fc.uint8Array({ maxLength: 2000 }),
});

test('what the writer writes, the reader reads, in pieces of any size', async () => {
  await fc.assert(fc.asyncProperty(fc.array(member, { maxLength: 6 }), fc.integer({ min: 1, max: 3000 }), async (members, size) => {
    const { entries } = await readAll(tarOf(members), size);
    assert.equal(entries.length, members.length);
    members.forEach((wanted, i) => {
      const got = entries[i]!;
      const directory = wanted.type === 'directory';
      assert.equal(got.name, directory ? `${wanted.name}/` : wanted.name);
      assert.equal(got.type, wanted.type);
      assert.deepEqual([got.mode, got.uid, got.gid, got.mtime], [wanted.mode, wanted.uid, wanted.gid, wanted.mtime]);
      assert.equal(got.linkName, wanted.linkName);
      assert.deepEqual(got.data, Buffer.from(wanted.type === 'file' ? wanted.data! : []));
      assert.deepEqual(new Map([...got.xattrs].sort()), new Map([...wanted.xattrs!].sort()));
    });
  }), { numRuns: 150 });
});

test('headers and contents together are all bytes', async () => {
  await fc.assert(fc.asyncProperty(fc.array(member, { maxLength: 4 }), fc.uint8Array({ maxLength: 3000 }), async (members, garbage) => {
    const tar = Buffer.concat([tarOf(members), garbage]);
    const { entries, frames } = await readAll(tar);
    assert.equal(frames.byteLength + entries.reduce((sum, entry) => sum + entry.size, 0), tar.byteLength);
  }), { numRuns: 60 });
});

test('any bytes give entries or a NaruError, never anything else', async () => {
  const header = Buffer.from(tarOf([{ name: 'x', type: 'file', xattrs: new Map([['user.a', Buffer.from('b')]]), data: Buffer.from('hello') }]));
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(header.byteLength - 1), fc.nat(255)), { maxLength: 12 }), fc.boolean(), async (changes, mend) => {
    const bytes = Buffer.from(header);
    for (const [at, value] of changes) bytes[at] = value;
    if (mend) for (let at = 0; at + 512 <= bytes.byteLength; at += 512) mendChecksum(bytes.subarray(at, at + 512));
    try {
      await readAll(bytes);
    } catch (error) {
      assert.ok(error instanceof NaruError, String(error));
      assert.ok(['corrupt', 'too-large', 'unsupported'].includes(error.kind));
    }
  }), { numRuns: 500 });
});

function mendChecksum(block: Buffer): void {
  if (block.subarray(148, 156).toString('latin1').trim() === '') return;
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

test('archives of other writers', async () => {
  const script = `
import tarfile, io, sys
fmt = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}[sys.argv[1]]
out = io.BytesIO()
t = tarfile.open(fileobj=out, mode='w', format=fmt)
def add(name, type=tarfile.REGTYPE, data=b'', **kw):
    i = tarfile.TarInfo(name); i.type = type; i.size = len(data); i.mtime = 1234567890
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
add('short', data=b'abc')
add(sys.argv[2], data=b'long')
add('link', tarfile.SYMTYPE, linkname=sys.argv[3])
add('dir', tarfile.DIRTYPE, mode=0o1777)
add('dev', tarfile.CHRTYPE, devmajor=5, devminor=300)
if fmt != tarfile.USTAR_FORMAT: add('big', uid=3000000, gid=4000000)
t.close(); sys.stdout.buffer.write(out.getvalue())`;
  for (const format of ['ustar', 'gnu', 'pax']) {
    const long = `${'d'.repeat(60)}/${'f'.repeat(format === 'ustar' ? 90 : 150)}`;
    const target = 'x/'.repeat(format === 'ustar' ? 40 : 150);
    const made = spawnSync('python3', ['-c', script, format, long, target], { maxBuffer: 1 << 20 });
    assert.equal(made.status, 0, made.stderr.toString());
    const { entries } = await readAll(made.stdout);
    assert.deepEqual(entries.slice(0, 5).map((e) => [e.name.replace(/\/$/, ''), e.type]), [['short', 'file'], [long, 'file'], ['link', 'symlink'], ['dir', 'directory'], ['dev', 'char']]);
    assert.equal(entries[1]!.data.toString(), 'long');
    assert.equal(entries[2]!.linkName, target);
    assert.equal(entries[3]!.mode, 0o1777);
    assert.deepEqual([entries[4]!.devMajor, entries[4]!.devMinor], [5, 300]);
    assert.equal(entries[0]!.mtime, 1234567890n * 1_000_000_000n);
    if (format !== 'ustar') assert.deepEqual([entries[5]!.uid, entries[5]!.gid], [3000000, 4000000]);
  }
});

test('GNU tar reads what we write', () => {
  const tar = tarOf([
    { name: 'd', type: 'directory', mode: 0o755 }, { name: `d/${'n'.repeat(200)}`, type: 'file', mode: 0o600, data: Buffer.from('x') },
    { name: 'l', type: 'symlink', linkName: 't'.repeat(150) },
  ]);
  const listed = spawnSync('tar', ['tvf', '-'], { input: tar, encoding: 'utf8' });
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, /^drwxr-xr-x 0\/0 +0 1970-01-01 .* d\/\n-rw------- 0\/0 +1 .* d\/n{200}\nl-* 0\/0 .* l -> t{150}\n$/);
});
