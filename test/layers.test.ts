import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

/**
 * Who may import whom: the chain of ARCHITECTURE.md as code. A folder imports from itself and from what stands here.
 * `type:` entries may be imported as types only (ports that the other side declares).
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  spec: [],
  sys: ['spec'],
  net: ['sys', 'spec'],
  runtime: ['sys', 'spec', 'type:core'],
  registry: ['sys', 'spec'],
  core: ['sys', 'spec'],
  engine: ['core', 'runtime', 'net', 'registry', 'sys', 'spec', 'type:api'],
  api: ['sys', 'spec'],
  client: ['spec'],
  cli: ['client', 'sys', 'spec'],
  daemon: ['api', 'engine', 'core', 'runtime', 'net', 'registry', 'sys', 'spec'],
};
const SOURCE = join(import.meta.dirname, '..', 'src');
const MINIMUM_FILES = 60;

interface Import { from: string; to: string; typeOnly: boolean; later: boolean }

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts') && !f.endsWith('.d.ts'));
const isTest = (f: string): boolean => f.endsWith('.test.ts');

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const found: Import[] = [];
  const pattern = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)(\.)?/g;
  for (const match of text.matchAll(pattern)) {
    const target = (match[2] ?? match[3]) as string;
    // import('x').Y in a type position is a type import
    const typeOnly = match[1] !== undefined || match[4] === '.';
    const later = match[3] !== undefined;
    if (target.startsWith('#')) found.push({ from: file, to: target.slice(1), typeOnly, later });
    else if (target.startsWith('.')) found.push({ from: file, to: normalize(join(dirname(file), target)), typeOnly, later });
    else found.push({ from: file, to: target, typeOnly, later });
  }
  return found;
}

const all = files.flatMap(importsOf);

test('the table was applied to the whole tree', () => {
  assert.ok(files.length >= MINIMUM_FILES, `only ${files.length} source files were seen`);
  assert.ok(all.length >= files.length, `only ${all.length} imports were seen in ${files.length} files`);
});

test('a folder imports only from further along the chain', () => {
  const wrong: string[] = [];
  for (const { from, to, typeOnly } of all) {
    if (isTest(from) || !from.includes('/')) continue;
    const folder = from.split('/')[0] as string;
    const allowed = MAY_IMPORT[folder];
    if (allowed === undefined) { wrong.push(`${from}: folder ${folder} has no row in the table`); continue; }
    if (!to.includes('/') || to.startsWith('node:') || to.startsWith('bun:')) continue;
    const target = to.split('/')[0] as string;
    if (!(target in MAY_IMPORT)) continue; // an npm package, or a file outside src
    if (target === folder || allowed.includes(target) || (typeOnly && allowed.includes(`type:${target}`))) continue;
    wrong.push(`${from} imports ${to}`);
  }
  assert.deepEqual(wrong, []);
});

test("Bun's own modules appear only in sys", () => {
  const wrong = all.filter((i) => i.to.startsWith('bun') && !i.from.startsWith('sys/') && !isTest(i.from)).map((i) => `${i.from} imports ${i.to}`);
  assert.deepEqual(wrong, []);
});

test('there is no cycle of imports', () => {
  const graph = new Map<string, string[]>();
  for (const { from, to, typeOnly } of all) if (!typeOnly && !isTest(from)) graph.set(from, [...(graph.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    if (done.has(file)) return;
    const at = path.indexOf(file);
    assert.equal(at, -1, `cycle: ${[...path.slice(at), file].join(' -> ')}`);
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});

test('every relative or #import leads to a file', () => {
  const known = new Set(files);
  const wrong = all.filter((i) => (i.to.split('/')[0] as string) in MAY_IMPORT && !known.has(i.to) && !i.to.endsWith('.d.ts')).map((i) => `${i.from} imports ${relative('.', i.to)}`);
  assert.deepEqual(wrong, []);
});

test('the commands that people wait for load no module of Node at their start: each takes a millisecond or more', () => {
  const commands = ['run-container', 'create-container', 'start-container', 'change-state', 'exec-in-container', 'list-containers', 'list-images', 'logs', 'inspect'];
  const seen = new Map<string, string>();
  const visit = (file: string, by: string): void => {
    if (seen.has(file)) return;
    seen.set(file, by);
    for (const { from, to, typeOnly, later } of all) if (from === file && !typeOnly && !later) visit(to, from);
  };
  for (const entry of ['main', 'cli/main', ...commands.map((name) => `cli/commands/${name}`)]) visit(`${entry}.ts`, '');
  assert.ok(seen.has('client/connection.ts') && seen.has('cli/create/create-request.ts'), 'the walk went nowhere');
  assert.deepEqual([...seen].filter(([file]) => file.startsWith('node:')).map(([file, by]) => `${by} imports ${file}`), []);
});

/** Files that tell the time of day, or keep one on disk. */
const TELLS_THE_TIME = [
  'api/http/reply.ts', 'cli/create/api-socket.ts', 'cli/format/human-time.ts', 'cli/timestamp.ts', 'core/data-root.ts', 'core/images/image-table.ts', 'core/images/publish-images.ts',
  'core/snapshots/open-snapshots.ts', 'core/transfers/partial-files.ts', 'engine/containers/views/status-text.ts', 'engine/images/watermark.ts',
  'engine/processes/ps-columns.ts', 'engine/time/timestamps.ts', 'registry/client/retry.ts', 'registry/server/garbage/janitor.ts', 'registry/server/handlers/blobs.ts',
  'registry/server/handlers/manifests.ts', 'registry/server/handlers/uploads.ts', 'registry/server/serve-registry.ts', 'registry/server/store-blob.ts', 'registry/server/uploads/upload-book.ts',
  'registry/server/upstream/pull-through.ts', 'runtime/cli/container-record.ts', 'runtime/driver/running-task.ts',
];

test('what waits or expires asks the clock that nobody sets', () => {
  const asking = files.filter((file) => !isTest(file) && readFileSync(join(SOURCE, file), 'utf8').includes('Date.now('));
  assert.deepEqual(asking.toSorted(), TELLS_THE_TIME, 'performance.now() measures durations; Date.now() jumps when somebody sets the clock');
});
