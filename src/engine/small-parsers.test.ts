import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDetachKeys } from './attach/detach-keys.ts';
import { checkName, newContainerId, randomName } from './containers/container-names.ts';
import { parseCpuList } from './containers/create/cpu-list.ts';
import { portRequests } from './containers/create/ports.ts';
import { parseSignal } from './containers/create/signals.ts';
import { tmpfsOptions } from './containers/create/tmpfs-options.ts';
import { parseSize } from './containers/create/validate-log-config.ts';
import { nextDelay, wantsRestart } from './containers/life/restart-policy.ts';
import { splitDevice } from './containers/to-spec/host-devices.ts';
import { nextHealth, probeCommand } from './containers/health/health-monitor.ts';
import { matchesPattern } from './filters/match-filters.ts';
import { matchesReference } from './images/match-reference.ts';
import { applyChanges } from './images/parse-changes.ts';
import { parsePsArgs, topProcesses } from './processes/top.ts';
import { humanDuration, parseDuration } from './time/durations.ts';
import { parseMoment } from './time/parse-moment.ts';
import { formatLogTime, formatTime, parseTime } from './time/timestamps.ts';

test('times', () => {
  assert.equal(formatTime(1_700_000_000_120_000_000n), '2023-11-14T22:13:20.12Z');
  assert.equal(formatTime(1_700_000_000_000_000_000n), '2023-11-14T22:13:20Z');
  assert.equal(formatLogTime(1_700_000_000_000_000_001n), '2023-11-14T22:13:20.000000001Z');
  for (const nano of [1n, 1_700_000_000_123_456_789n]) assert.equal(parseTime(formatTime(nano)), nano);
  assert.equal(parseTime('2023-11-14T23:13:20+01:00'), 1_700_000_000_000_000_000n);
  assert.equal(parseTime('2023-11-14'), 1_699_920_000_000_000_000n);
  assert.equal(parseTime('yesterday'), undefined);
  assert.equal(parseDuration('1h30m'), 5_400_000_000_000n);
  assert.equal(parseDuration('-1.5s'), -1_500_000_000n);
  assert.equal(parseDuration('5'), undefined);
  assert.equal(parseMoment('10m', 600_000_000_001n), 1n);
  assert.equal(parseMoment('5.000000001'), 5_000_000_001n);
  assert.throws(() => parseMoment('soon'), { kind: 'invalid' });
  const spans: [number, string][] = [[0, 'Less than a second'], [1000, '1 second'], [59_999, '59 seconds'], [60_000, 'About a minute'], [46 * 60_000, '46 minutes'], [3_600_000, 'About an hour'], [47 * 3_600_000, '47 hours'], [50 * 3_600_000, '2 days'], [15 * 86_400_000, '2 weeks'], [70 * 86_400_000, '2 months'], [800 * 86_400_000, '2 years']];
  for (const [ms, text] of spans) assert.equal(humanDuration(ms), text);
});

test('names, ids, signals, sizes, CPU lists, devices', () => {
  assert.equal(checkName('/web_1.a-b'), 'web_1.a-b');
  for (const bad of ['a', '-a', 'a b', '../x', 'ä1', '']) assert.throws(() => checkName(bad), { kind: 'invalid' });
  assert.match(newContainerId(), /^[0-9a-f]{64}$/);
  const taken = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const name = randomName((candidate) => taken.has(candidate));
    assert.equal(checkName(name), name);
    assert.ok(!taken.has(name));
    taken.add(name);
  }
  assert.deepEqual(['TERM', 'sigkill', '15', 'RTMIN+3'].map(parseSignal), [15, 9, 15, 37]);
  for (const bad of ['', '0', '65', 'NOPE']) assert.throws(() => parseSignal(bad), { message: `invalid signal: ${bad}` });
  assert.deepEqual(['10m', '1g', '1024', 'x'].map(parseSize), [10 << 20, 2 ** 30, 1024, undefined]);
  assert.deepEqual([...parseCpuList('0-2,5')!], [0, 1, 2, 5]);
  assert.deepEqual(['1-0', 'a', '0-99999999'].map(parseCpuList), [undefined, undefined, undefined]);
  assert.deepEqual(splitDevice(0x103), { major: 1, minor: 3 });
  assert.deepEqual(splitDevice(0x100000 + 0x800), { major: 8, minor: 256 });
});

test('ports', () => {
  assert.deepEqual(portRequests({ '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8000-8002' }] }, ['53/udp'], true), [
    { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8000, hostPortEnd: 8002 }, { containerPort: 53, protocol: 'udp', hostIp: '', hostPort: 0, hostPortEnd: 0 },
  ]);
  for (const bad of ['0/tcp', '80/icmp', 'x', '70000']) assert.throws(() => portRequests({ [bad]: null }, [], false), /invalid port specification/);
  assert.throws(() => portRequests({ '80': [{ HostIp: '', HostPort: '9-3' }] }, [], false), /invalid port specification/);
});

test('tmpfs options', () => {
  assert.deepEqual(tmpfsOptions('rw,exec,size=10m,mode=1777'), ['nosuid', 'nodev', 'rw', 'size=10m', 'mode=1777']);
  for (const bad of ['wat', 'size=1;x', 'lowerdir=/', 'mode']) assert.throws(() => tmpfsOptions(bad), /invalid tmpfs option/);
});

test('restart policies and their delays', () => {
  const end = { exitCode: 1, restarts: 0, stopped: false };
  assert.equal(wantsRestart({ Name: 'no' }, end), false);
  assert.equal(wantsRestart({ Name: 'always' }, { ...end, exitCode: 0 }), true);
  assert.equal(wantsRestart({ Name: 'always' }, { ...end, stopped: true }), false);
  assert.equal(wantsRestart({ Name: 'on-failure' }, { ...end, exitCode: 0 }), false);
  assert.equal(wantsRestart({ Name: 'on-failure', MaximumRetryCount: 2 }, { ...end, restarts: 2 }), false);
  let delay = 0;
  const delays = Array.from({ length: 12 }, () => (delay = nextDelay(delay, 0)));
  assert.deepEqual([delays[0], delays[1], delays[11]], [100, 200, 60_000]);
  assert.equal(nextDelay(60_000, 10_000), 100);
});

test('health', () => {
  assert.deepEqual(probeCommand({ Test: ['CMD-SHELL', 'x'] }, null), ['/bin/sh', '-c', 'x']);
  assert.deepEqual(probeCommand({ Test: ['CMD', 'a', 'b'] }, null), ['a', 'b']);
  for (const none of [null, { Test: ['NONE'] }, { Test: [] }]) assert.equal(probeCommand(none, null), undefined);
  const entry = { Start: '', End: '', ExitCode: 1, Output: '' };
  let health = nextHealth({ Status: 'starting', FailingStreak: 0, Log: [] }, entry, { retries: 2, starting: true });
  assert.deepEqual([health.Status, health.FailingStreak], ['starting', 0]);
  health = nextHealth(health, entry, { retries: 2, starting: false });
  health = nextHealth(health, entry, { retries: 2, starting: false });
  assert.deepEqual([health.Status, health.FailingStreak], ['unhealthy', 2]);
  for (let i = 0; i < 9; i++) health = nextHealth(health, { ...entry, ExitCode: 0 }, { retries: 2, starting: false });
  assert.deepEqual([health.Status, health.FailingStreak, health.Log.length], ['healthy', 0, 5]);
});

test('patterns from clients', () => {
  assert.ok(matchesPattern(new Map([['name', ['^we.$']]]), 'name', 'web'));
  assert.ok(!matchesPattern(new Map([['name', ['(a+)+$']]]), 'name', 'a'.repeat(40) + 'b'), 'no catastrophic ones');
  assert.ok(matchesReference('busy*', 'busybox:latest') && matchesReference('*:lat*', 'busybox:latest') && matchesReference('a/[bc]?', 'a/bx:1'));
  assert.ok(!matchesReference('busy*', 'other/busybox:1') && !matchesReference('a.b', 'axb:1'));
});

test('detach keys', () => {
  assert.deepEqual([...parseDetachKeys('')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-a,b,ctrl-[')], [1, 98, 27]);
  assert.throws(() => parseDetachKeys('ctrl-aa'), { message: 'Invalid detach keys (ctrl-aa) provided' });
});

test('changes of commit and import', () => {
  const config = applyChanges({ Env: ['A=1'], WorkingDir: '/w' }, [
    'CMD ["a", "b"]', 'ENTRYPOINT run me', 'ENV A=2 B="x y"', 'LABEL k=v', 'EXPOSE 80 53/udp', 'USER u', 'WORKDIR sub', 'VOLUME /v1 /v2', 'STOPSIGNAL INT',
    'HEALTHCHECK --interval=5s --retries=2 CMD check it', 'ONBUILD RUN x',
  ]);
  assert.deepEqual([config.Cmd, config.Entrypoint, config.Env], [['a', 'b'], ['/bin/sh', '-c', 'run me'], ['A=2', 'B=x y']]);
  assert.deepEqual([config.WorkingDir, Object.keys(config.ExposedPorts!), Object.keys(config.Volumes!)], ['/w/sub', ['80/tcp', '53/udp'], ['/v1', '/v2']]);
  assert.deepEqual(config.Healthcheck, { Interval: 5e9, Retries: 2, Test: ['CMD-SHELL', 'check it'] });
  assert.throws(() => applyChanges({}, ['RUN x']), { message: 'RUN is not a valid change command' });
  assert.throws(() => applyChanges({}, ['CMD']), /needs an argument/);
});

test('top: ps without ps', () => {
  assert.deepEqual(topProcesses([process.pid], '').Titles, ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  assert.deepEqual(topProcesses([process.pid], 'aux').Titles, ['USER', 'PID', '%CPU', '%MEM', 'VSZ', 'RSS', 'TTY', 'STAT', 'START', 'TIME', 'COMMAND']);
  const { Titles, Processes } = topProcesses([process.pid, 2 ** 22 + 1], '-eo pid,ppid=PARENT,cmd');
  assert.deepEqual([Titles, Processes.length, Processes[0]![0]], [['PID', 'PARENT', 'CMD'], 1, String(process.pid)]);
  for (const bad of ['-o cmd', '--help', '-o nope', '-Q']) assert.throws(() => parsePsArgs(bad), { kind: 'invalid' });
});
