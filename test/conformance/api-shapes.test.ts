import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROUTES } from '#api/routes.ts';
import { TestDaemon } from '../support/daemon.ts';
import { checkShape } from './check-shape.ts';
import { deriveShapes, type ApiShapes, type Shape } from './derive-shapes.ts';

/** Every JSON answer of a live daemon against Docker's own description of it. NARU_API_YAML=FILE also compares the table with the text. */
const shapes = JSON.parse(readFileSync(join(import.meta.dirname, 'api-shapes.json'), 'utf8')) as ApiShapes;
const { definitions, responses } = shapes;
let d: TestDaemon;

const call = (method: string, path: string, body?: unknown): unknown => {
  const answer = d.api(method, `/v1.51${path}`, body);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json ?? answer.text;
};

before(async () => {
  d = await TestDaemon.start();
  d.ok('volume', 'create', '--label', 'a=b', 'shaped');
  d.ok('run', '-di', '--name', 'shape', '-p', '127.0.0.1::80', '-v', 'shaped:/v', '-v', '/tmp:/t:ro', '--tmpfs', '/x', '-m', '64m', '--ulimit', 'nofile=9', '--health-cmd', 'true',
    '--health-interval', '100ms', '--log-opt', 'max-size=1m', '--device', '/dev/zero', '--restart', 'always', '--label', 'a=b', 'busybox', 'cat');
  d.docker('run', '--name', 'ended', '--network', 'none', 'busybox', 'false');
});
after(async () => {
  await d.destroy();
});

/** What Docker answers beside or against its description; clients live with it, and some want it. */
const DOCKERS_OWN = new Set([
  '$.HostConfig.MemorySwappiness: null is no integer', '$.ExitCode: null is no integer', '$.os_type: is not in the API', '$.status: is not in the API', '$.id: is not in the API',
  '$.from: is not in the API',
]);
const problems = (value: unknown, shape: Shape): string[] => checkShape(value, shape, { definitions }).filter((problem) => !DOCKERS_OWN.has(problem));

/** Documented path, and what to ask for it. */
const ASKED: readonly (readonly [route: string, path: string, body?: unknown])[] = [
  ['GET /containers/json', '/containers/json?all=1&size=1'],
  ['GET /containers/{id}/json', '/containers/shape/json?size=1'],
  ['GET /containers/{id}/json', '/containers/ended/json'],
  ['GET /containers/{id}/top', '/containers/shape/top'],
  ['GET /containers/{id}/changes', '/containers/shape/changes'],
  ['GET /containers/{id}/stats', '/containers/shape/stats?stream=0'],
  ['POST /containers/create', '/containers/create?name=made', { Image: 'busybox' }],
  ['POST /containers/{id}/update', '/containers/shape/update', { CpuShares: 100 }],
  ['POST /containers/{id}/wait', '/containers/ended/wait'],
  ['POST /containers/{id}/exec', '/containers/shape/exec', { Cmd: ['true'] }],
  ['POST /commit', '/commit?container=ended&repo=shaped&tag=1', {}],
  ['GET /images/json', '/images/json?all=1&shared-size=1&digests=1'],
  ['GET /images/{name}/json', '/images/busybox/json'],
  ['GET /images/{name}/history', '/images/busybox/history'],
  ['DELETE /images/{name}', '/images/shaped:1'],
  ['POST /images/prune', '/images/prune'],
  ['GET /volumes', '/volumes'],
  ['GET /volumes/{name}', '/volumes/shaped'],
  ['POST /volumes/create', '/volumes/create', { Name: 'shaped2', Labels: { a: 'b' } }],
  ['POST /volumes/prune', '/volumes/prune'],
  ['GET /networks', '/networks'],
  ['GET /networks/{id}', '/networks/bridge'],
  ['GET /networks/{id}', '/networks/host'],
  ['POST /networks/prune', '/networks/prune'],
  ['GET /info', '/info'],
  ['GET /version', '/version'],
  ['GET /system/df', '/system/df'],
  ['GET /plugins', '/plugins'],
  ['POST /build/prune', '/build/prune'],
  ['POST /containers/prune', '/containers/prune'],
];

describe('answers', () => {
  for (const [route, path, body] of ASKED) {
    test(`${route.split(' ')[0]} ${path}`, () => {
      const shape = responses[route];
      assert.ok(shape, `${route} has no body in the API`);
      assert.deepEqual(problems(call(route.split(' ')[0]!, path, body), shape), []);
    });
  }
  test('an exec, and an error', () => {
    const { Id } = call('POST', '/containers/shape/exec', { Cmd: ['true'], AttachStdout: true }) as { Id: string };
    assert.deepEqual(problems(call('GET', `/exec/${Id}/json`), responses['GET /exec/{id}/json']!), []);
    assert.deepEqual(checkShape(d.api('GET', '/containers/nonesuch/json').json, { ref: 'ErrorResponse' }, { definitions, extra: false }), []);
  });
  test('an event', () => {
    const now = Math.floor(Date.now() / 1000);
    const lines = d.api('GET', `/v1.51/events?since=${now - 60}&until=${now + 1}`).text.split('\n').filter((line) => line !== '');
    assert.ok(lines.length > 3);
    for (const line of lines) assert.deepEqual(problems(JSON.parse(line), { ref: 'EventMessage' }), []);
  });
});

test('every path of the API is routed', () => {
  const bare = (path: string): string => path.replace(/\{[^}]*\}/g, '{}');
  const routed = new Set(ROUTES.map(([method, path]) => `${method} ${bare(path)}`));
  assert.deepEqual(Object.keys(responses).map(bare).filter((route) => !routed.has(route)), []);
});

test('the checker finds what is wrong', () => {
  const shape = { fields: { A: 'string', B: { list: 'integer' }, C: { nullable: 'string' } }, required: ['A', 'C'] } as const;
  const found = checkShape({ A: 1, B: [1, 'x'], D: 0 }, shape as never, { definitions: {} });
  assert.deepEqual(found, ['$.C: is missing', '$.A: 1 is no string', '$.B[1]: "x" is no integer', '$.D: is not in the API']);
});

test('the table is the text’s', () => {
  const file = process.env['NARU_API_YAML'];
  if (file !== undefined) assert.deepEqual(deriveShapes(readFileSync(file, 'utf8')), shapes);
});
