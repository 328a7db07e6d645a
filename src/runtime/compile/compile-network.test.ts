import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolverSteps } from '#net/dns/resolver-steps.ts';
import { addContainerNetwork, addHostNetwork } from './compile-network.ts';
import { planBuilder } from './plan-builder.ts';

test('the resolver\'s steps become sockets, one batch with their ports, and one message, all in the child', () => {
  const plan = planBuilder(undefined);
  const steps = resolverSteps('/run/x/dns.sock', new Uint8Array([1]));
  addHostNetwork(plan, steps);
  addContainerNetwork(plan, steps);
  const ops = plan.build();
  assert.deepEqual(ops.map((op) => `${op.section} ${op.name}`), ['child socket', 'child socket', 'child netlink', 'child send_fds']);
  const [udp, tcp, netlink, send] = ops.map((op) => op.args as unknown as Record<string, unknown>);
  const patches = netlink!['patches'] as number[];
  assert.deepEqual(patches.filter((_, i) => i % 3 === 0), [4, 4, 4, 4]);
  assert.deepEqual(new Set(patches.filter((_, i) => i % 3 === 2)), new Set([udp!['slot'], tcp!['slot']]));
  assert.deepEqual(send!['slots'], [udp!['slot'], tcp!['slot']]);
});

test('a step that names a socket nobody made is refused', () => {
  const [, , netlink] = resolverSteps('/x', new Uint8Array());
  assert.throws(() => addContainerNetwork(planBuilder(undefined), [netlink!]), /no step before it makes the socket/);
});
