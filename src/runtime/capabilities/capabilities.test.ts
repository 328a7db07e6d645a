import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import { CAPABILITIES, DEFAULT_CAPABILITIES, adjustCapabilities, availableCapabilities, capabilityMask, capabilityNames, parseBounding } from './capabilities.ts';

const available = CAPABILITIES;
const message = (text: string) => (error: unknown): boolean => error instanceof NaruError && error.kind === 'invalid' && error.message === text;

test('masks', () => {
  assert.equal(capabilityMask(['chown', 'CAP_SYS_ADMIN', 'Cap_Checkpoint_Restore']), 1n | (1n << 21n) | (1n << 40n));
  assert.deepEqual(capabilityNames((1n << 40n) | 1n | (1n << 60n)), ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE']);
  assert.equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn);
  assert.throws(() => capabilityMask(['foo']), message('invalid CapAdd: unknown capability: "CAP_FOO"'));
});

test("Docker's rules for add and drop", () => {
  const adjust = (request: object) => adjustCapabilities(DEFAULT_CAPABILITIES, { available, ...request });
  assert.deepEqual(adjust({}), DEFAULT_CAPABILITIES);
  assert.deepEqual(adjust({ drop: ['ALL'] }), []);
  assert.deepEqual(adjust({ drop: ['all'], add: ['net_admin'] }), ['CAP_NET_ADMIN']);
  assert.deepEqual(adjust({ add: ['ALL'] }), CAPABILITIES);
  assert.deepEqual(adjust({ add: ['ALL'], drop: ['ALL'] }), CAPABILITIES);
  assert.deepEqual(adjust({ add: ['ALL'], drop: ['SYS_ADMIN'] }), CAPABILITIES.filter((name) => name !== 'CAP_SYS_ADMIN'));
  assert.deepEqual(adjust({ add: ['CHOWN', 'BPF'], drop: ['CHOWN', 'KILL'] }), [...DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_CHOWN' && name !== 'CAP_KILL'), 'CAP_CHOWN', 'CAP_BPF']);
  assert.deepEqual(adjust({ privileged: true, drop: ['CHOWN'] }), CAPABILITIES);
  assert.throws(() => adjust({ drop: ['NOPE'] }), message('invalid CapDrop: unknown capability: "CAP_NOPE"'));
  assert.throws(() => adjust({ add: ['CAP_NOPE'] }), message('invalid CapAdd: unknown capability: "CAP_NOPE"'));
});

test('nothing is given that is not there', () => {
  const some = CAPABILITIES.filter((name) => name !== 'CAP_SYS_RESOURCE' && name !== 'CAP_CHOWN');
  assert.throws(() => adjustCapabilities(DEFAULT_CAPABILITIES, { available: some, add: ['SYS_RESOURCE'] }), /not available in the current environment: "CAP_SYS_RESOURCE"/);
  assert.ok(!adjustCapabilities(DEFAULT_CAPABILITIES, { available: some }).includes('CAP_CHOWN'));
  assert.deepEqual(adjustCapabilities(DEFAULT_CAPABILITIES, { available: some, add: ['ALL'] }), some);
});

test('the bounding set', () => {
  assert.deepEqual(parseBounding('Name:\tx\nCapBnd:\t0000000000000003\n'), ['CAP_CHOWN', 'CAP_DAC_OVERRIDE']);
  assert.ok(Array.isArray(availableCapabilities()));
  assert.throws(() => parseBounding(''), NaruError);
});
