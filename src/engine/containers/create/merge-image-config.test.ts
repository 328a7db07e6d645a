import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeImageConfig } from './merge-image-config.ts';

const image = { Cmd: ['c'], Entrypoint: ['e'], Env: ['A=1', 'B=2'], Labels: { a: '1', b: '2' }, WorkingDir: '/w', User: 'u', Healthcheck: { Test: ['CMD', 'x'], Interval: 5 }, ExposedPorts: { '80/tcp': {} } };

test('what the request says wins, lists are united', () => {
  const merged = mergeImageConfig({ Env: ['B=3', 'C=4'], Labels: { b: '3' }, Healthcheck: { Retries: 7 }, ExposedPorts: { '90/udp': {} } }, image);
  assert.deepEqual(merged.Env, ['B=3', 'C=4', 'A=1']);
  assert.deepEqual(merged.Labels, { a: '1', b: '3' });
  assert.deepEqual([merged.WorkingDir, merged.User], ['/w', 'u']);
  assert.deepEqual(Object.keys(merged.ExposedPorts!), ['80/tcp', '90/udp']);
  assert.deepEqual([merged.Healthcheck?.Test, merged.Healthcheck?.Interval, merged.Healthcheck?.Retries], [['CMD', 'x'], 5, 7]);
});

test('entrypoint and command', () => {
  const argv = (request: Parameters<typeof mergeImageConfig>[0]): unknown[] => {
    const { Entrypoint, Cmd } = mergeImageConfig(request, image);
    return [Entrypoint, Cmd];
  };
  assert.deepEqual(argv({}), [['e'], ['c']]);
  assert.deepEqual(argv({ Cmd: ['x'] }), [['e'], ['x']]);
  assert.deepEqual(argv({ Cmd: 'x' }), [['e'], ['x']]);
  assert.deepEqual(argv({ Entrypoint: ['y'] }), [['y'], null], 'an entrypoint of its own discards the image’s command');
  assert.deepEqual(argv({ Entrypoint: [''], Cmd: ['x'] }), [null, ['x']]);
  assert.deepEqual(mergeImageConfig({ Cmd: ['x'] }, undefined).Cmd, ['x']);
});
