import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { RuntimeBundles } from '../support/runtime-bundles.ts';

const b = new RuntimeBundles();
after(() => b.destroy());

interface Features {
  ociVersionMin: string; ociVersionMax: string; hooks: string[]; mountOptions: string[]; annotations: Record<string, string>;
  linux: {
    namespaces: string[]; capabilities: string[];
    cgroup: Record<'v1' | 'v2' | 'systemd' | 'systemdUser' | 'rdma', boolean>;
    seccomp: { enabled: boolean } & Record<'actions' | 'operators' | 'archs' | 'knownFlags' | 'supportedFlags', string[]>;
    apparmor: { enabled: boolean }; selinux: { enabled: boolean }; intelRdt: Record<'enabled' | 'schemata' | 'monitoring', boolean>; mountExtensions: { idmap: { enabled: boolean } };
    memoryPolicy: Record<'modes' | 'flags', string[]>; netDevices: { enabled: boolean };
  };
}
const features = JSON.parse(b.ok('features')) as Features;

/** Types of every field that runtime-spec 1.3 defines for the structure; nothing else may be there. */
const SHAPE = {
  ociVersionMin: 'string', ociVersionMax: 'string', hooks: ['string'], mountOptions: ['string'], annotations: { '*': 'string' },
  linux: {
    namespaces: ['string'], capabilities: ['string'],
    cgroup: { v1: 'boolean', v2: 'boolean', systemd: 'boolean', systemdUser: 'boolean', rdma: 'boolean' },
    seccomp: { enabled: 'boolean', actions: ['string'], operators: ['string'], archs: ['string'], knownFlags: ['string'], supportedFlags: ['string'] },
    apparmor: { enabled: 'boolean' }, selinux: { enabled: 'boolean' }, intelRdt: { enabled: 'boolean', schemata: 'boolean', monitoring: 'boolean' }, mountExtensions: { idmap: { enabled: 'boolean' } },
    memoryPolicy: { modes: ['string'], flags: ['string'] }, netDevices: { enabled: 'boolean' },
  },
};

function check(value: unknown, shape: unknown, at: string): void {
  if (typeof shape === 'string') assert.equal(typeof value, shape, at);
  else if (Array.isArray(shape)) {
    assert.ok(Array.isArray(value), at);
    assert.equal(new Set(value).size, value.length, `${at} says something twice`);
    value.forEach((item, i) => check(item, shape[0], `${at}/${i}`));
  } else {
    const fields = shape as Record<string, unknown>;
    for (const [key, item] of Object.entries(value as object)) {
      const expected = fields['*'] ?? fields[key];
      assert.notEqual(expected, undefined, `${at}/${key} is not defined by the specification`);
      check(item, expected, `${at}/${key}`);
    }
    for (const key of Object.keys(fields)) assert.ok(key === '*' || key in (value as object), `${at}/${key} is missing`);
  }
}

test('features: the structure of runtime-spec, whole, and nothing else', () => check(features, SHAPE, ''));

/** What naru says of a configuration; '' when it takes it. */
const verdict = (change: (spec: OciSpec) => void): string => {
  const { id, path } = b.bundle(['true'], change);
  const said = b.run(['run', '-b', path, id]);
  return said.status === 0 ? '' : said.err;
};

test('features tell the truth: both versions, every namespace, hook, capability, and all of seccomp’s words are taken', () => {
  for (const version of [features.ociVersionMin, features.ociVersionMax]) assert.equal(verdict((s) => { s.ociVersion = version; }), '', version);
  assert.equal(verdict((s) => { s.linux!.namespaces = features.linux.namespaces.filter((n) => n !== 'user').map((type) => ({ type: type as 'pid' })); }), '');
  assert.equal(verdict((s) => { s.hooks = Object.fromEntries(features.hooks.filter((h) => h !== 'startContainer').map((h) => [h, [{ path: '/bin/true' }]])); }), '');
  assert.equal(verdict((s) => { s.process!.capabilities = { bounding: features.linux.capabilities }; }), '');
  const { seccomp } = features.linux;
  assert.equal(verdict((s) => {
    s.linux!.seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW', architectures: seccomp.archs, flags: seccomp.supportedFlags,
      syscalls: [
        ...seccomp.actions.filter((a) => a !== 'SCMP_ACT_NOTIFY').map((action) => ({ names: ['vmsplice'], action, args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] })),
        ...seccomp.operators.map((op) => ({ names: ['tee'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 1, valueTwo: 1, op }] })),
      ],
    };
  }), '');
  assert.match(verdict((s) => { s.linux!.seccomp = { defaultAction: 'SCMP_ACT_NONE' }; }), /unknown action/);
});

test('features tell the truth: every mount option is taken, one that is not listed is the file system’s', () => {
  const alone = features.mountOptions.filter((o) => !['bind', 'rbind', 'remount', 'idmap', 'ridmap'].includes(o));
  for (const options of [alone.filter((o) => !/shared|slave|private|unbindable/.test(o)), ['shared'], ['rslave'], ['private'], ['runbindable']]) {
    assert.equal(verdict((s) => { s.mounts!.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options }); }), '', options.join());
  }
  assert.equal(verdict((s) => { s.mounts!.push({ destination: '/tmp', source: '/usr', options: ['rbind', 'rro'] }); }), '');
  assert.match(verdict((s) => { s.mounts!.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuchoption'] }); }), /invalid argument/);
});

test('features tell the truth: every memory policy and flag is taken', () => {
  const { modes, flags } = features.linux.memoryPolicy;
  const taken = (mode: string, ...of: string[]): void => assert.equal(verdict((s) => { s.linux!.memoryPolicy = { mode, flags: of, ...(!/DEFAULT|LOCAL/.test(mode) && { nodes: '0' }) }; }), '', `${mode} ${of.join()}`);
  for (const mode of modes) taken(mode);
  for (const flag of flags) taken('MPOL_BIND', flag);
});

test('features tell the truth: what the kernel has, and that intelRdt is not there', () => {
  assert.equal(features.linux.intelRdt.enabled, false);
  assert.match(verdict((s) => { s.linux!.intelRdt = { closID: 'x' }; }), /\/linux\/intelRdt: /);
  assert.equal(features.annotations['naru.kernel.seccomp.actions'], readFileSync('/proc/sys/kernel/seccomp/actions_avail', 'utf8').trim());
});
