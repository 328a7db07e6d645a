import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { readProcessStat } from '#runtime/cli/process-stat.ts';
import { RuntimeBundles } from '../support/runtime-bundles.ts';

/** What engines read from naru runtime's output, and the words that they give it, as runc has them. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.clear(), []));
after(() => b.destroy());

const sleeping = (args: readonly string[] = ['sleep', '60']): string => {
  const { id, path } = b.bundle(args);
  assert.equal(b.background('run', '-d', '-b', path, id), 0);
  return id;
};
function waitFor(what: string, met: () => boolean): void {
  const end = Date.now() + 20_000;
  while (!met()) {
    assert.ok(Date.now() < end, what);
    spawnSync('sleep', ['0.02']);
  }
}

test('--log --log-format json: the last line’s level and msg say why, stderr says it too; text is logrus’s', () => {
  const log = join(b.top, 'log.json');
  const { id, path } = b.bundle(['nosuch']);
  const said = b.run(['--log', log, '--log-format', 'json', 'create', '-b', path, id]);
  const entry = JSON.parse(readFileSync(log, 'utf8').trimEnd().split('\n').at(-1)!) as Record<string, string>;
  assert.deepEqual(Object.keys(entry).sort(), ['level', 'msg', 'time']);
  assert.equal(entry['level'], 'error');
  assert.match(entry['msg']!, /exec: "nosuch": executable file not found in \$PATH$/);
  assert.match(entry['time']!, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(said.err.trim(), entry['msg']);
  assert.match(b.run(['--log-format', 'json', 'state', 'none']).err, /^\{"level":"error","msg":"container does not exist","time":"[^"]+"\}\n$/);
  b.run(['--log', `${log}.text`, 'state', 'none']);
  assert.match(readFileSync(`${log}.text`, 'utf8'), /^time="[^"]+" level=error msg="container does not exist"\n$/);
  assert.match(b.run(['--log-format', 'xml', 'list']).err, /unknown log-format "xml"/);
});

test('list: ids alone, JSON with what state says, a table', () => {
  assert.equal(b.ok('list', '-f', 'json'), 'null');
  const id = sleeping();
  assert.equal(b.ok('list', '-q'), `${id}\n`);
  const [row] = JSON.parse(b.ok('list', '-f', 'json')) as [Record<string, unknown>];
  const state = b.state(id);
  assert.deepEqual(row, { ociVersion: state['ociVersion'], id, pid: state.pid, status: 'running', bundle: state['bundle'], rootfs: state['rootfs'], created: state['created'], owner: 'root' });
  const [head, line] = b.ok('list').split('\n') as [string, string];
  assert.match(head, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER$/);
  assert.ok(line.startsWith(id) && line.includes(' running '));
  assert.match(b.run(['list', '-f', 'x']).err, /invalid format option "x"/);
});

test('ps: pids as JSON, the host’s ps with options of the caller', () => {
  const id = sleeping(['sh', '-c', 'sleep 60 & sleep 60']);
  const pids = JSON.parse(b.ok('ps', '-f', 'json', id)) as number[];
  assert.ok(pids.length === 3 || pids.length === 2, String(pids));
  assert.ok(pids.includes(b.state(id).pid));
  const lines = b.ok('ps', id, '-o', 'pid,args').trim().split('\n');
  assert.match(lines[0]!, /^\s*PID/);
  assert.deepEqual(lines.slice(1).map((line) => Number.parseInt(line, 10)).sort(), [...pids].sort());
  assert.match(b.run(['ps', id, '-o', 'args']).err, /couldn't find PID field/);
});

test('events --stats: runc’s fields, as containerd reads them', () => {
  const id = sleeping();
  const event = JSON.parse(b.ok('events', '--stats', id)) as { type: string; id: string; data: Record<string, Record<string, unknown>> };
  assert.equal(event.type, 'stats');
  assert.equal(event.id, id);
  const { data } = event;
  for (const field of ['cpu', 'cpuset', 'memory', 'pids', 'blkio', 'hugetlb', 'intel_rdt']) assert.equal(typeof data[field], 'object', field);
  const usage = data['cpu']!['usage'] as Record<string, unknown>;
  for (const field of ['total', 'kernel', 'user']) assert.equal(typeof usage[field], 'number', field);
  assert.deepEqual(Object.keys(data['cpu']!['throttling'] as object).sort(), ['periods', 'throttledPeriods', 'throttledTime']);
  assert.ok((data['memory']!['usage'] as { usage: number }).usage > 0);
  assert.equal(typeof (data['memory']!['raw'] as object), 'object');
  assert.equal(data['pids']!['current'], 1);
  assert.match(b.run(['events', '--interval', '0s', id]).err, /duration interval must be greater than 0/);
});

test('events --stats: what the kernel’s files hold, digit by digit', () => {
  const id = sleeping();
  b.ok('update', '--memory', '64m', '--cpuset-cpus', '0', id);
  const text = b.ok('events', '--stats', id);
  const { memory, cpuset } = (JSON.parse(text) as { data: { memory: Record<'swap' | 'kernel' | 'kernelTCP', { limit: number; usage?: number }>; cpuset: { cpus?: number[]; sched_load_balance?: number } } }).data;
  const host = detectCgroups();
  const read = (controller: string, file: string): string | undefined => {
    const hierarchy = host.hierarchies.find((h) => h.controllers.includes(controller))!;
    const path = `${hierarchy.mountPoint}${b.parent}/${id}/${file}`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
  };
  if (host.version === 1) {
    for (const [field, prefix] of [['swap', 'memsw'], ['kernel', 'kmem'], ['kernelTCP', 'kmem.tcp']] as const) {
      const limit = read('memory', `memory.${prefix}.limit_in_bytes`);
      assert.equal(memory[field].limit, Number(limit ?? 0), field);
      if (limit !== undefined) assert.ok(text.includes(`"limit":${limit}`), field);
    }
    assert.deepEqual(cpuset.cpus, [0]);
    assert.equal(cpuset.sched_load_balance, 1);
    const hierarchical = /^hierarchical_memsw_limit (\d+)$/m.exec(read('memory', 'memory.stat')!);
    if (hierarchical !== null) assert.ok(text.includes(`"hierarchical_memsw_limit":${hierarchical[1]}`));
  } else {
    assert.equal(memory.swap.limit > 2 ** 63, read('memory', 'memory.swap.max') === 'max');
  }
});

test('events: a kill for want of memory is one', async () => {
  const { id, path } = b.bundle('sleep 60 & while ! test -e /tmp/go; do usleep 10000; done; tail /dev/zero; sleep 60', (spec) => { spec.linux!.resources!.memory = { limit: 16 << 20, swap: 16 << 20 }; });
  assert.equal(b.background('run', '-d', '-b', path, id), 0);
  const child = b.start(['events', '--interval', '50ms', id], ['ignore', 'pipe', 'inherit']);
  let lines = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    if (lines === '') writeFileSync(join(path, 'rootfs/tmp/go'), '');
    lines += bytes.toString();
    if (lines.includes('"oom"')) b.run(['kill', id, 'KILL']);
  });
  const [code] = await once(child, 'close') as [number];
  assert.equal(code, 0);
  assert.deepEqual(lines.split('\n').filter((line) => line.includes('"oom"')), [`{"type":"oom","id":"${id}"}`]);
});

test('events: a line at every interval, until the container ends', async () => {
  const id = sleeping();
  const child = b.start(['events', '--interval', '50ms', id], ['ignore', 'pipe', 'inherit']);
  let lines = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    lines += bytes.toString();
    if (lines.split('\n').length > 3) b.run(['kill', id, 'KILL']);
  });
  const [code] = await once(child, 'close') as [number];
  assert.equal(code, 0);
  assert.ok(lines.split('\n').length > 3);
});

test('update: limits from a file, from stdin, from flags; what is no limit is refused', () => {
  const id = sleeping();
  const limit = (): number => (JSON.parse(b.ok('events', '--stats', id)) as { data: { pids: { limit: number } } }).data.pids.limit;
  const file = join(b.top, 'resources.json');
  writeFileSync(file, JSON.stringify({ pids: { limit: 31 } }));
  b.ok('update', '-r', file, id);
  assert.equal(limit(), 31);
  assert.equal(b.run(['update', '-r', '-', id], { input: JSON.stringify({ pids: { limit: 32 }, memory: { limit: 64 << 20 } }) }).status, 0);
  assert.equal(limit(), 32);
  b.ok('update', '--pids-limit', '33', '--memory', '32m', '--cpu-share', '512', id);
  assert.equal(limit(), 33);
  for (const [text, said] of [
    ['null', /\/linux\/resources: must be an object/], ['[]', /\/linux\/resources: must be an object/], ['{', /stdin: /], ['{"memory":{"limit":"64m"}}', /\/linux\/resources\/memory\/limit: /],
    ['{"cpu":{"shares":-3}}', /\/linux\/resources\/cpu\/shares: /], ['{"cpu":{"cpus":5}}', /\/linux\/resources\/cpu\/cpus: must be a string/], ['{"hugepageLimits":"x"}', /\/linux\/resources\/hugepageLimits: must be a list/],
    ['{"unified":{"cgroup.procs":"1"}}', /\/linux\/resources\/unified\/cgroup\.procs: /], ['{"cpu":{"period":10}}', /cpu/],
  ] as const) {
    const refused = b.run(['update', '-r', '-', id], { input: text });
    assert.equal(refused.status, 1, text);
    assert.match(refused.err, said, text);
    assert.ok(!refused.err.trimEnd().includes('\n'), refused.err);
  }
  assert.equal(b.run(['update', '-r', '-', id], { input: '{"memory":null,"pids":{}}' }).status, 0, 'null says the same as nothing');
  assert.match(b.run(['update', '-r', '/dev/zero', id]).err, /\/dev\/zero is no regular file/);
  assert.match(b.run(['update', '--memory', 'lots', id]).err, /invalid value for memory: "lots"/);
  assert.match(b.run(['update', '--l3-cache-schema', 'x', id]).err, /intelRdt/);
  assert.equal(limit(), 33);
});

test('kill --all: every process of the container, and only of that', () => {
  const other = sleeping();
  const id = sleeping(['sh', '-c', 'trap : TERM; sleep 61 & sleep 62 & while :; do wait; done']);
  waitFor('its children are not there', () => (JSON.parse(b.ok('ps', '-f', 'json', id)) as number[]).length === 3);
  b.ok('kill', '--all', id, 'TERM');
  waitFor('children live on', () => (JSON.parse(b.ok('ps', '-f', 'json', id)) as number[]).length === 1);
  b.ok('kill', '-a', id, '9');
  waitFor('it lives on', () => b.state(id).status === 'stopped');
  // Engines ask again: nothing is left to signal, which is no failure.
  assert.equal(b.run(['kill', '--all', id, 'KILL']).status, 0);
  assert.equal(b.state(other).status, 'running');
  assert.match(b.run(['kill', other, 'NOSUCH']).err, /unknown signal "NOSUCH"/);
});

test('what stands still is ended by kill KILL, kill --all KILL and delete --force all the same', () => {
  for (const words of [['kill', 'KILL'], ['kill', '--all', 'KILL'], ['delete', '--force']]) {
    const id = sleeping();
    b.ok('pause', id);
    if (words[0] === 'kill') {
      b.ok('kill', ...words.slice(1, -1), id, 'TERM');
      assert.equal(b.state(id).status, 'paused', 'another signal waits');
      b.ok('kill', ...words.slice(1, -1), id, 'KILL');
      waitFor(`${words.join(' ')}: it does not end`, () => b.state(id).status === 'stopped');
      b.ok('delete', id);
    } else b.ok(...words, id);
    assert.deepEqual(b.groups(id), []);
  }
});

test('delete --force ends what runs, with all its processes; delete without it does not', () => {
  const id = sleeping(['sh', '-c', 'sleep 61 & exec sleep 62']);
  const pids = JSON.parse(b.ok('ps', '-f', 'json', id)) as number[];
  assert.match(b.run(['delete', id]).err, /that is not stopped: running/);
  b.ok('delete', '-f', id);
  for (const pid of pids) assert.equal(readProcessStat(pid), undefined, `process ${pid} lives on`);
  assert.deepEqual(b.groups(id), []);
});

test('state of a container whose creator was killed is the truth, and delete --force removes it', async () => {
  for (const after of [20, 60, 100, 140, 180]) {
    const { id, path } = b.bundle(['sleep', '60']);
    const child = b.start(['create', '-b', path, id], 'ignore');
    const ended = once(child, 'exit');
    await new Promise((resolve) => setTimeout(resolve, after));
    child.kill('SIGKILL');
    await ended;
    const said = b.run(['state', id]);
    if (said.status === 0) {
      const { status, pid } = JSON.parse(said.out) as { status: string; pid: number };
      assert.ok(['created', 'stopped', 'running'].includes(status), status);
      assert.equal(pid > 0, status !== 'stopped');
    } else assert.match(said.err, /container does not exist/);
    // What was killed before it had the id is swept a minute later.
    for (const name of readdirSync(b.root)) if (name.startsWith('.new-')) utimesSync(join(b.root, name), 1, 1);
    b.ok('delete', '--force', id);
    assert.deepEqual(b.groups(id), [], `killed after ${after} ms`);
  }
});

test('exec --process: a process as JSON, with its own user, directory, environment, rights and limits', () => {
  const id = sleeping();
  const file = join(b.top, 'process.json');
  writeFileSync(file, JSON.stringify({
    args: ['sh', '-c', 'id -u; id -g; pwd; echo $A; grep CapBnd /proc/self/status; grep NoNewPrivs /proc/self/status; ulimit -n'], cwd: '/tmp', env: ['A=b', 'PATH=/bin'], user: { uid: 3, gid: 4 },
    capabilities: { bounding: ['CAP_KILL'], permitted: ['CAP_KILL'], effective: ['CAP_KILL'] }, noNewPrivileges: true, rlimits: [{ type: 'RLIMIT_NOFILE', soft: 77, hard: 88 }],
  }));
  assert.equal(b.ok('exec', '--process', file, id), '3\n4\n/tmp\nb\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1\n77\n');
  const pidFile = join(b.top, 'exec.pid');
  assert.equal(b.background('exec', '-d', '--pid-file', pidFile, '--process', file, id), 0);
  assert.ok(Number(readFileSync(pidFile, 'utf8')) > 1);
  writeFileSync(file, '{"args":["true"],"cwd":"tmp","user":{"uid":0,"gid":0}}');
  assert.match(b.run(['exec', '-p', file, id]).err, /\/process\/cwd/);
  assert.match(b.run(['exec', '-p', `${file}.none`, id]).err, /no such file/);
  assert.equal(b.run(['exec', id, 'nosuch']).status, 255);
});

test('exec: --cap, --no-new-privs, --additional-gids, --env, --cwd change what the container’s own process has; --ignore-paused', () => {
  const id = sleeping();
  const seen = (...flags: string[]): string => b.ok('exec', ...flags, id, 'sh', '-c', 'grep -E "^(CapEff|CapInh|NoNewPrivs|Groups)" /proc/self/status; pwd; echo $A').replaceAll(/ *\n/g, ' ').trim();
  const own = seen();
  assert.match(own, /^Groups:\t0? ?CapInh:\t0+ CapEff:\t00000000a80425fb NoNewPrivs:\t0 \/$/);
  assert.equal(seen('--cap', 'CAP_SYS_TIME', '--no-new-privs', '-g', '7,8', '-g', '9', '-e', 'A=b', '--cwd', '/tmp'), own.replace(/Groups:\t0? ?/, 'Groups:\t7 8 9 ').replace('a80425fb', 'aa0425fb').replace('NoNewPrivs:\t0 /', 'NoNewPrivs:\t1 /tmp b'));
  assert.match(b.run(['exec', '-g', 'x', id, 'true']).err, /--additional-gids: "x" is no id/);
  b.ok('pause', id);
  assert.match(b.run(['exec', id, 'true']).err, /cannot exec in a paused container \(use --ignore-paused to override\)/);
  const waiting = b.start(['exec', '--ignore-paused', id, 'true'], 'ignore');
  b.ok('resume', id);
  waitFor('the exec does not end', () => readProcessStat(waiting.pid!) === undefined || /^State:\s+Z/m.test(readFileSync(`/proc/${waiting.pid}/status`, 'utf8')));
});

test('exec --cgroup: a group below the container’s, in every hierarchy or in one; nothing else', () => {
  const id = sleeping();
  const cgroups = detectCgroups();
  for (const group of b.groups(id)) mkdirSync(`${group}/below`);
  const ends = (out: string): string[] => out.trim().split('\n').filter((line) => line.includes(b.parent)).map((line) => line.slice(line.lastIndexOf('/')));
  const inside = (...words: string[]): string[] => {
    const pidFile = join(b.top, 'sub.pid');
    assert.equal(b.background('exec', '-d', '--pid-file', pidFile, ...words, id, 'sleep', '50'), 0);
    return ends(readFileSync(`/proc/${readFileSync(pidFile, 'utf8')}/cgroup`, 'utf8'));
  };
  assert.deepEqual(inside('--cgroup', '/below'), cgroups.hierarchies.map(() => '/below'));
  if (cgroups.version === 1) assert.deepEqual(inside('--cgroup', 'cpu,cpuacct:below', '--cgroup', 'pids:below').sort(), cgroups.hierarchies.map((h) => (h.controllers.some((c) => c === 'cpu' || c === 'cpuacct' || c === 'pids') ? '/below' : `/${id}`)).sort());
  for (const [word, said] of [['../x', /leads out/], ['nowhere', /there is no /], ['none:below', /no hierarchy of "none"/], ['a:b:c', /use \[controller:\]path/]] as const) {
    const refused = b.run(['exec', '--cgroup', word, id, 'true']);
    assert.equal(refused.status, 255);
    assert.match(refused.err, said);
  }
});

test('exec -t in the foreground: a terminal with the size of the caller’s', () => {
  const id = sleeping();
  const quoted = b.command('exec', '-t', id, 'sh', '-c', 'tty; stty size; exit 5').map((word) => `'${word}'`).join(' ');
  const said = spawnSync('script', ['-qec', `stty rows 17 cols 71; ${quoted}`, '/dev/null'], { encoding: 'utf8', timeout: 30_000, input: '' });
  // The end of script's own input is a character to a terminal, which may echo it.
  assert.match(said.stdout.replaceAll('^@', ''), /\/dev\/pts\/\d\r\n17 71\r\n/);
  assert.equal(said.status, 5);
});

test('--no-pivot: the rootfs is the root all the same', () => {
  const { id, path } = b.bundle(['sh', '-c', 'ls -d /bin/busybox; ls -d /usr 2>/dev/null; cd /..; pwd']);
  assert.deepEqual(b.run(['run', '--no-pivot', '-b', path, id]), { status: 0, out: '/bin/busybox\n/\n', err: '' });
});

test('--no-new-keyring: the session keyring is the caller’s; without it one of the container’s own', () => {
  // (/proc/keys shows those of all of root's processes: a name that is ours alone.)
  const hasOwn = (id: string, ...flags: string[]): boolean => {
    const { path } = b.bundle(['cat', '/proc/keys'], (spec) => { spec.linux!.maskedPaths = []; });
    const { out } = b.run(['run', ...flags, '-b', path, id]);
    assert.match(out, / keyring /);
    return out.includes(` _ses.${id}:`);
  };
  assert.equal(hasOwn(`own-${process.pid}`), true);
  assert.equal(hasOwn(`none-${process.pid}`, '--no-new-keyring'), false);
});

test('--pid-file: the pid as decimal digits; one that cannot be written fails and leaves nothing', () => {
  const { id, path } = b.bundle(['sleep', '60']);
  assert.equal(b.run(['create', '-b', path, '--pid-file', '/nonexistent/pid', id], { stdio: ['ignore', 'ignore', 'pipe'] }).status, 1);
  assert.match(b.run(['state', id]).err, /container does not exist/);
  assert.deepEqual(b.groups(id), []);
});

test('spec: a config.json that runs as it is, but for its terminal; one that is there stays', () => {
  const { id, path, config } = b.bundle(['true']);
  const before = readFileSync(config, 'utf8');
  assert.match(b.run(['spec', '--bundle', path]).err, /File .*config\.json exists\. Remove it first/);
  assert.equal(readFileSync(config, 'utf8'), before);
  rmSync(config);
  b.ok('spec', '-b', path);
  const written = JSON.parse(readFileSync(config, 'utf8')) as { process: { terminal: boolean; args: string[] }; root: { readonly: boolean }; hostname: string };
  assert.deepEqual([written.process.terminal, written.process.args, written.root.readonly, written.hostname], [true, ['sh'], true, 'naru']);
  const ran = spawnSync('script', ['-qec', b.command('run', '-b', path, id).map((word) => `'${word}'`).join(' '), '/dev/null'], { encoding: 'utf8', timeout: 30_000, input: 'hostname; exit 6\n' });
  assert.match(ran.stdout, /\nnaru\r\n/);
  assert.equal(ran.status, 6);
});

test('a group that another made is used, and stays', () => {
  const { id, path } = b.bundle(['true']);
  const { hierarchies } = detectCgroups();
  for (const { mountPoint } of hierarchies) spawnSync('mkdir', ['-p', `${mountPoint}${b.parent}/${id}`]);
  assert.equal(b.run(['run', '-b', path, id]).status, 0);
});
