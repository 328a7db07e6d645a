import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formatLogTime } from '../time/timestamps.ts';
import { encodeRecord } from './log-record.ts';
import { readLog, type ReadLog } from './open-log-stream.ts';

const root = mkdtempSync(join(tmpdir(), 'naru-logs.'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const text = new TextEncoder();
const record = (line: string, { stream = 1, time = 1_000_000_000n }: { stream?: 1 | 2; time?: bigint } = {}): Uint8Array => encodeRecord(stream, time, text.encode(line));
function logOf(...files: Uint8Array[][]): string {
  const path = join(root, `log${count++}`);
  files.forEach((records, i) => writeFileSync(i === files.length - 1 ? path : `${path}.${files.length - 1 - i}`, Buffer.concat(records)));
  return path;
}
const conversion: ReadLog['conversion'] = { framed: false, stdout: true, stderr: true, since: 0n, until: 0n, prefix: undefined };
async function read(path: string, options: Partial<Omit<ReadLog, 'conversion'>> & { conversion?: Partial<ReadLog['conversion']> } = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readLog({ path, tail: -1, follow: false, running: () => false, ...options, conversion: { ...conversion, ...options.conversion } }, new AbortController().signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

test('raw and framed; streams chosen; files oldest first', async () => {
  const path = logOf([record('a\n')], [record('b\n', { stream: 2 }), record('c\n')]);
  assert.equal(await read(path), 'a\nb\nc\n');
  assert.equal(await read(path, { conversion: { stderr: false } }), 'a\nc\n');
  assert.equal(await read(path, { conversion: { framed: true } }), '\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x02b\n\x01\0\0\0\0\0\0\x02c\n');
  assert.equal(await read(join(root, 'missing')), '');
});

test('neighbouring records of one stream share a frame', async () => {
  const path = logOf([record('a\n'), record('b\n'), record('c', { stream: 2 })]);
  assert.equal(await read(path, { conversion: { framed: true } }), '\x01\0\0\0\0\0\0\x04a\nb\n\x02\0\0\0\0\0\0\x01c');
});

test('tail counts lines of the chosen streams across records and files', async () => {
  const path = logOf([record('1\n2\n')], [record('3\nerr\n'), record('x\n', { stream: 2 }), record('4\n5'), record('5\n6\n')]);
  assert.equal(await read(path, { tail: 0 }), '');
  assert.equal(await read(path, { tail: 1 }), '6\n');
  assert.equal(await read(path, { tail: 2 }), '55\n6\n');
  assert.equal(await read(path, { tail: 4 }), 'x\n4\n55\n6\n');
  assert.equal(await read(path, { tail: 4, conversion: { stderr: false } }), 'err\n4\n55\n6\n');
  assert.equal(await read(path, { tail: 6, conversion: { stderr: false } }), '1\n2\n3\nerr\n4\n55\n6\n'.slice(2));
  assert.equal(await read(path, { tail: 100 }), '1\n2\n3\nerr\nx\n4\n55\n6\n');
  assert.equal(await read(logOf([record('no end')]), { tail: 1 }), 'no end');
});

test('a long log: the tail does not read it all, and nothing is lost on the way', async () => {
  const lines = Array.from({ length: 60_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}\n`);
  const path = logOf([...lines.slice(0, 20_000).map((line) => record(line))], [...lines.slice(20_000).map((line) => record(line))]);
  assert.equal(await read(path), lines.join(''));
  assert.equal(await read(path, { tail: 25 }), lines.slice(-25).join(''));
  const big = logOf([record(`${'y'.repeat(3 << 20)}\n`), record('z\n')]);
  assert.equal((await read(big)).length, (3 << 20) + 3);
  assert.equal(await read(big, { tail: 1 }), 'z\n');
});

test('since, until, timestamps at the start of lines only', async () => {
  const path = logOf([record('old\n', { time: 1n }), record('a', { time: 5_000_000_001n }), record('b\nc\n', { time: 6_000_000_000n }), record('late\n', { time: 9_000_000_000n })]);
  assert.equal(await read(path, { conversion: { since: 2n, until: 7_000_000_000n } }), 'ab\nc\n');
  const prefix = (time: bigint): Uint8Array => text.encode(`${formatLogTime(time)} `);
  assert.equal(await read(path, { conversion: { since: 2n, until: 7_000_000_000n, prefix } }), '1970-01-01T00:00:05.000000001Z ab\n1970-01-01T00:00:06.000000000Z c\n');
});

test('damage ends a file, not the log', async () => {
  const path = logOf([record('a\n'), new Uint8Array(40)], [record('b\n'), record('cut off').subarray(0, 20)]);
  assert.equal(await read(path), 'a\nb\n');
  assert.equal(await read(path, { tail: 1 }), '');
});

test('follow: what comes later, over a rotation, to the end of the container', async () => {
  const path = logOf([record('1\n')]);
  let running = true;
  const reading = read(path, { follow: true, running: () => running });
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
  await pause();
  appendFileSync(path, record('2\n').subarray(0, 10));
  await pause();
  appendFileSync(path, record('2\n').subarray(10));
  appendFileSync(path, record('3\n'));
  renameSync(path, `${path}.1`);
  writeFileSync(path, record('4\n'));
  await pause();
  appendFileSync(path, record('5\n'));
  running = false;
  assert.equal(await reading, '1\n2\n3\n4\n5\n');
});

test('speed: frames are made without touching each byte, however busy the machine', async () => {
  const line = record(`${'x'.repeat(4094)}\n`);
  const path = logOf([...Array.from({ length: 16_000 }, () => line)]);
  const start = performance.now();
  let bytes = 0;
  for await (const chunk of readLog({ path, tail: -1, follow: false, running: () => false, conversion: { ...conversion, framed: true } }, new AbortController().signal)) bytes += chunk.length;
  const rate = bytes / 1e3 / (performance.now() - start);
  assert.ok(rate > 20, `${rate.toFixed(0)} MB/s`);
});
