import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aligned, traceEvents, traceTable, type Span } from './trace.ts';

const span = (link: string, name: string, start: number, end: number, detail?: string): Span => ({ link, name, start: BigInt(start), end: BigInt(end), detail });
const OURS = [span('cli', 'naru run', 0, 9_000_000), span('cli', 'create', 1_000_000, 3_000_000), span('cli', 'start', 4_000_000, 8_000_000)];

test('the daemon\'s clock is brought to ours', () => {
  const theirs = [span('api', 'POST /containers/create', 500_200_000, 501_800_000), span('api', 'POST /containers/{id}/start', 503_100_000, 506_900_000), span('engine', 'x', 500_300_000, 500_400_000)];
  const [create, start] = aligned(OURS, theirs) as [Span, Span];
  assert.ok(create.start >= 1_000_000n && create.end <= 3_000_000n && start.start >= 4_000_000n && start.end <= 8_000_000n);
});

test('one clock stays as it is', () => {
  assert.equal(aligned(OURS, [span('api', 'POST /containers/create', 1_500_000, 2_000_000)])[0]?.start, 1_500_000n);
  assert.equal(aligned(OURS, [span('api', 'GET /info', 5, 6)])[0]?.start, 5n);
});

test('a table, nested by time', () => {
  const spans = [...OURS.slice(0, 2), span('api', 'POST /containers/create', 1_200_000, 2_800_000), span('core', 'insert', 1_300_000, 1_400_000, 'row 1'), OURS[2] as Span];
  assert.equal(traceTable(spans), [
    '     AT ms    TOOK ms  LINK      WHAT', '     0.000      9.000  cli       naru run', '     1.000      2.000  cli         create', '     1.200      1.600  api           POST /containers/create',
    '     1.300      0.100  core            insert  row 1', '     4.000      4.000  cli         start', '',
  ].join('\n'));
});

test('the Trace Event format: spans that cross are on two tracks, the next link comes after them', () => {
  const crossing = [OURS[0] as Span, OURS[1] as Span, span('cli', 'attach', 2_000_000, 3_500_000), OURS[2] as Span, span('engine', 'x', 2_500_000, 2_500_000, 'why')];
  const { traceEvents: events } = JSON.parse(traceEvents(crossing)) as { traceEvents: { ph: string; name: string; tid: number }[] };
  assert.deepEqual(events.filter(({ name }) => name === 'thread_name'), [['cli', 1], ['cli', 2], ['engine', 3]].map(([name, tid]) => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } })));
  const complete = events.filter(({ ph }) => ph === 'X');
  assert.deepEqual(complete[1], { name: 'create', cat: 'cli', ph: 'X', ts: 1000, dur: 2000, pid: 1, tid: 1 });
  assert.deepEqual(complete.map(({ name, tid }) => `${name} ${tid}`), ['naru run 1', 'create 1', 'attach 2', 'start 1', 'x 3']);
});
