import assert from 'node:assert/strict';
import { spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { fixture } from '../fixtures/make-images.ts';
import { until } from '../support/runtime-bundles.ts';

/**
 * --systemd-cgroup by somebody without rights: scopes of his own systemd. v1 has no groups for him: said. In the guest of test/vm, which
 * has v2, a real `systemd --user` runs in groups that were given to him, as the machine's systemd would have it.
 */
const UID = 12_346;
const cgroups = detectCgroups();
const top = mkdtempSync(join(tmpdir(), 'naru-systemd-user.'));
const [program, bundle, runDir] = ['naru', 'bundle', 'run'].map((name) => join(top, name)) as [string, string, string];
const groups = `${cgroups.unifiedRoot}/naru-user-${process.pid}`;
const service = `${groups}/user@${UID}.service`;
const ends: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const end of ends.toReversed()) await end();
  rmSync(top, { recursive: true, force: true });
});

chmodSync(top, 0o755);
copyFileSync(join(import.meta.dirname, '../../dist/naru'), program);
mkdirSync(join(bundle, 'rootfs'), { recursive: true });
mkdirSync(join(runDir, 'systemd/user'), { recursive: true });
assert.equal(spawnSync('tar', ['-C', join(bundle, 'rootfs'), '-xf', fixture('busybox-rootfs.tar')]).status, 0);
assert.equal(spawnSync('chown', ['-R', `${UID}:${UID}`, top]).status, 0);

/** Words for a shell that goes into `group` first, and is that user then. */
const asUser = (group: string, command: readonly string[]): string[] =>
  ['-c', `[ -z "$0" ] || echo $$ >"$0/cgroup.procs"; exec "$@"`, group, '/usr/bin/setpriv', '--reuid', String(UID), '--regid', String(UID), '--clear-groups', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', `HOME=${top}`, `XDG_RUNTIME_DIR=${runDir}`, ...command];
function runtime(args: readonly string[], options: { readonly stdio?: StdioOptions; readonly group?: string } = {}): { status: number | null; out: string; err: string } {
  const ran = spawnSync('sh', asUser(options.group ?? (cgroups.version === 2 ? `${service}/tests` : ''), [program, 'runtime', '--systemd-cgroup', ...args]), { cwd: bundle, encoding: 'utf8', timeout: 60_000, stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'] });
  return { status: ran.status, out: ran.stdout ?? '', err: ran.stderr ?? '' };
}
const ok = (...args: string[]): string => {
  const ran = runtime(args);
  assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.err}`);
  return ran.out;
};
assert.equal(runtime(['spec', '--rootless'], { group: '' }).status, 0);
const config = join(bundle, 'config.json');
const original = JSON.parse(readFileSync(config, 'utf8')) as OciSpec;
function configure(change: (spec: OciSpec) => void): void {
  const spec = structuredClone(original);
  spec.process!.terminal = false;
  change(spec);
  writeFileSync(config, JSON.stringify(spec));
}
const left = (): string[] => (existsSync(join(runDir, 'naru-runtime')) ? readdirSync(join(runDir, 'naru-runtime')) : []);

/** `systemd --user`, the manager of his groups; resolves once it can be talked to. */
async function startSystemd(): Promise<void> {
  // systemd wants a machine that was booted by one.
  if (!existsSync('/run/systemd/system')) {
    mkdirSync('/run/systemd/system', { recursive: true });
    ends.push(() => rmdirSync('/run/systemd/system'));
  }
  writeFileSync(join(runDir, 'systemd/user/naru.target'), '[Unit]\nDescription=naru test\n');
  mkdirSync(`${service}/tests`, { recursive: true });
  const controllers = readFileSync(`${cgroups.unifiedRoot}/cgroup.controllers`, 'utf8').trim().split(' ').filter((c) => ['cpu', 'memory', 'pids'].includes(c)).map((c) => `+${c}`).join(' ');
  for (const parent of [cgroups.unifiedRoot!, groups]) writeFileSync(`${parent}/cgroup.subtree_control`, controllers);
  // Delegation, as systemd.resource-control(5) has it: the group and these files of it.
  for (const path of [service, ...['cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control'].map((f) => `${service}/${f}`), `${service}/tests`, `${service}/tests/cgroup.procs`]) assert.equal(spawnSync('chown', [String(UID), path]).status, 0);
  const manager = spawn('sh', asUser(service, ['/usr/lib/systemd/systemd', '--user', '--unit=naru.target', '--log-target=console']), { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  manager.stderr!.on('data', (bytes: Buffer) => { said += bytes.toString(); });
  const gone = new Promise<void>((resolve) => manager.once('exit', () => resolve()));
  ends.push(async () => {
    manager.kill('SIGKILL');
    await gone;
    spawnSync('sh', ['-c', `for i in $(seq 100); do find ${groups} -depth -type d -exec rmdir {} + 2>/dev/null; [ -d ${groups} ] || exit 0; for p in $(cat $(find ${groups} -name cgroup.procs)); do kill -9 $p; done; sleep 0.1; done`]);
  });
  assert.ok(await until(() => existsSync(join(runDir, 'systemd/private')) || manager.exitCode !== null, 30_000) && manager.exitCode === null, said);
}

if (cgroups.version === 1) {
  test('a user\'s --systemd-cgroup on v1 is refused, and nothing is left', () => {
    configure((spec) => { spec.process!.args = ['true']; });
    for (const verb of ['run', 'create']) {
      const ran = runtime([verb, 'box']);
      assert.equal(ran.status, 1);
      assert.match(ran.err, /cannot use rootless systemd cgroups manager on cgroup v1/);
      assert.deepEqual(left(), []);
    }
  });
} else {
  test('a user\'s --systemd-cgroup: a scope of his systemd, with limits, exec, update, pause, events; nothing of it is left', async () => {
    await startSystemd();
    configure((spec) => {
      spec.process!.args = ['sleep', '1000'];
      spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'cgroup');
      spec.linux!.resources = { memory: { limit: 64 << 20 }, pids: { limit: 33 }, devices: [{ allow: false, access: 'rwm' }] };
    });
    const scope = `${service}/user.slice/naru-box.scope`;
    const read = (file: string): string => readFileSync(`${scope}/${file}`, 'utf8').trim();
    const complaints = join(top, 'complaints');
    const stderr = openSync(complaints, 'w');
    assert.equal(runtime(['run', '-d', 'box'], { stdio: ['ignore', 'ignore', stderr] }).status, 0, readFileSync(complaints, 'utf8'));
    closeSync(stderr);
    const { pid } = JSON.parse(ok('state', 'box')) as { pid: number };
    assert.equal(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), `0::${scope.slice(cgroups.unifiedRoot!.length)}\n`);
    assert.equal(read('cgroup.procs'), String(pid), 'the process that held the scope until then is gone');
    assert.equal(statSync(scope).uid, UID);
    assert.deepEqual([read('memory.max'), read('pids.max')], [String(64 << 20), '33']);
    assert.equal(runtime(['exec', 'box', 'sh', '-c', 'cat /proc/self/cgroup']).out, `0::${scope.slice(cgroups.unifiedRoot!.length)}\n`);
    ok('update', '--memory', '33554432', '--pids-limit', '22', 'box');
    assert.deepEqual([read('memory.max'), read('pids.max')], ['33554432', '22']);
    ok('pause', 'box');
    assert.equal((JSON.parse(ok('state', 'box')) as { status: string }).status, 'paused');
    ok('resume', 'box');
    const { pids, memory } = (JSON.parse(ok('events', '--stats', 'box')) as { data: { pids: { current: number }; memory: Record<'usage' | 'swap', { limit: number; usage: number }> } }).data;
    assert.deepEqual([pids.current, memory.usage.limit, memory.swap.limit, memory.swap.usage >= memory.usage.usage], [1, 33554432, 2 ** 64, true]);
    ok('delete', '--force', 'box');
    assert.ok(await until(() => !existsSync(scope)), 'the scope stays');
    assert.deepEqual(left(), []);
  });

  test('a user\'s --systemd-cgroup: a start that fails leaves no scope; groups of his without systemd', async () => {
    configure((spec) => {
      spec.process!.args = ['nosuch'];
      spec.linux!.cgroupsPath = 'naru-test.slice:naru:box';
    });
    assert.match(runtime(['run', 'box']).err, /executable file not found/);
    assert.ok(await until(() => !existsSync(`${service}/naru.slice/naru-test.slice/naru-box.scope`)));
    assert.deepEqual(left(), []);
    // Groups of his without systemd: the same limits of what he may move.
    configure((spec) => {
      spec.process!.args = ['cat', '/proc/self/cgroup'];
      spec.linux!.cgroupsPath = `${service.slice(cgroups.unifiedRoot!.length)}/tests/own`;
    });
    const own = (group: string): string => {
      const ran = spawnSync('sh', asUser(group, [program, 'runtime', 'run', 'box']), { cwd: bundle, encoding: 'utf8' });
      return ran.stdout + ran.stderr;
    };
    assert.match(own(''), /runtime run failed: \/linux\/cgroupsPath: .*its cgroup cannot be entered from the caller's own/);
    assert.deepEqual([left(), existsSync(`${service}/tests/own`)], [[], false]);
    assert.equal(own(`${service}/tests`), '0::/\n');
    assert.deepEqual([left(), existsSync(`${service}/tests/own`)], [[], false]);
  });
}
