import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NARU } from '../support/daemon.ts';
import { sleep, suite, type Call, until } from '../support/two-clients.ts';

/** What people do with containers after `run`. */
const { d, scratch, both } = suite();

const state = (call: Call, name: string): string => call('inspect', '-f', '{{.State.Status}}', name).out.trim();

describe('states', () => {
  test('restarts in quick succession: each run has its own place on the bridge', () => {
    d.ok('run', '-d', '--name', 'quick', '-p', '127.0.0.1::80', 'busybox', 'sleep', '600');
    for (let i = 0; i < 12; i++) d.ok('restart', '-t', '0', 'quick');
    assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', 'quick'), 'running');
  });
  both('a later start that fails is told once', (call) => {
    d.ok('create', '--name', 'gone', '--entrypoint', '/prog', 'busybox');
    d.ok('cp', '/bin/true', 'gone:/prog');
    call('start', 'gone');
    d.ok('cp', '/etc/hostname', 'gone:/prog');
    const ran = call('start', '-a', 'gone');
    assert.equal(ran.code, 1);
    assert.doesNotMatch(ran.err, /waiting for container/i);
  });
  both('create, start, stop, restart, kill, rm', (call) => {
    call('create', '--name', 'cc', 'busybox', 'sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.05; done');
    assert.equal(state(call, 'cc'), 'created');
    assert.equal(call('start', 'cc').out, 'cc\n');
    assert.equal(state(call, 'cc'), 'running');
    assert.equal(call('stop', 'cc').out, 'cc\n');
    assert.equal(call('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'cc').out, 'exited 3\n');
    call('restart', '-t', '1', 'cc');
    assert.equal(state(call, 'cc'), 'running');
    assert.match(call('rm', 'cc').err, /container is running/);
    call('kill', '-s', 'KILL', 'cc');
    assert.equal(call('wait', 'cc').out, '137\n');
    assert.equal(call('rm', 'cc').out, 'cc\n');
    assert.match(call('inspect', 'cc').err, /No such object: cc/);
  });
  both('a container that ignores TERM is killed after the time', (call) => {
    call('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'trap "" TERM; sleep 100');
    call('stop', '-t', '0', 'cc');
    assert.equal(call('inspect', '-f', '{{.State.ExitCode}}', 'cc').out, '137\n');
  });
  both('--stop-signal', (call) => {
    call('run', '-d', '--name', 'cc', '--stop-signal', 'USR1', 'busybox', 'sh', '-c', 'trap "exit 9" USR1; while :; do sleep 0.05; done');
    call('stop', 'cc');
    assert.equal(call('inspect', '-f', '{{.State.ExitCode}}', 'cc').out, '9\n');
  });
  both('pause and unpause', (call) => {
    call('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
    assert.equal(call('pause', 'cc').out, 'cc\n');
    assert.equal(state(call, 'cc'), 'paused');
    assert.match(call('exec', 'cc', 'true').err, /is paused/);
    call('unpause', 'cc');
    assert.equal(state(call, 'cc'), 'running');
  });
  both('wait gives the status, also of one that ended long ago', (call) => {
    call('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'exit 5');
    assert.equal(call('wait', 'cc').out, '5\n');
    assert.equal(call('wait', 'cc').out, '5\n');
  });
  both('rename, and a name that is taken', (call) => {
    call('create', '--name', 'aa', 'busybox');
    call('create', '--name', 'bb', 'busybox');
    assert.match(call('rename', 'aa', 'bb').err, /already in use/);
    call('rename', 'aa', 'cc');
    assert.equal(call('ps', '-a', '--format', '{{.Names}}').out, 'bb\ncc\n');
    assert.match(call('create', '--name', 'cc', 'busybox').err, /Conflict. The container name "\/cc" is already in use/);
  });
  both('update changes the running cgroup', (call) => {
    call('run', '-d', '--name', 'cc', '-m', '64m', 'busybox', 'sleep', '100');
    assert.equal(call('update', '-m', '96m', '--memory-swap', '-1', '--pids-limit', '33', 'cc').code, 0);
    assert.equal(call('exec', 'cc', 'cat', '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/pids/pids.max').out, '100663296\n33\n');
  });
  for (const [action, expected] of [['kill', /^exited 137 0$/], ['stop', /^exited 0 0$/], ['restart', /^running 0 [1-9]/], ['none', /^running 0 0$/]] as const) {
    test(`--health-on-failure=${action}`, async () => {
      const flags = ['--name', 'sick', '--health-cmd', 'test ! -e /sick', '--health-interval', '100ms', '--health-retries', '2'];
      const ran = d.naru('run', '-d', ...flags, `--health-on-failure=${action}`, 'busybox', 'sh', '-c', 'trap "exit 0" TERM; touch /sick; while :; do sleep 0.05; done');
      assert.equal(ran.code, 0, ran.err);
      const now = (): string => d.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}', 'sick');
      const unhealthy = (): string => d.ok('events', '--since', '20s', '--until', '0s', '--filter', 'event=health_status: unhealthy');
      for (let i = 0; i < 60 && (unhealthy() === '' || !expected.test(now())); i++) await sleep(100);
      assert.notEqual(unhealthy(), '');
      assert.match(now(), expected);
    });
  }
  test('a label says the same as --health-on-failure, for clients without the flag; a wrong word is refused', async () => {
    d.ok('run', '-d', '--name', 'sick', '--label', 'naru.health-on-failure=kill', '--health-cmd', 'false', '--health-interval', '100ms', '--health-retries', '1', 'busybox', 'sleep', '60');
    assert.equal(d.ok('wait', 'sick'), '137');
    assert.match(d.naru('create', '--health-on-failure=panic', 'busybox').err, /invalid action on health failure: panic: use one of none, kill, restart, stop/);
  });
  both('--link on the default bridge: hosts entries, variables, and the new address after a restart', (call, cli) => {
    d.ok('run', '-d', '--name', 'db', '-h', 'dbhost', '-e', 'SECRET=x', '--expose', '5432', 'busybox', 'sleep', '600');
    const seen = call('run', '--rm', '--name', 'app', '--link', 'db:data-base', 'busybox', 'sh', '-c', 'grep data-base /etc/hosts; env | grep DATA_BASE | sort').out;
    const address = d.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'db');
    assert.equal(seen, `${address}\tdata-base dbhost db\nDATA_BASE_ENV_SECRET=x\nDATA_BASE_NAME=/app/data-base\nDATA_BASE_PORT=tcp://${address}:5432\nDATA_BASE_PORT_5432_TCP=tcp://${address}:5432\n` +
      `DATA_BASE_PORT_5432_TCP_ADDR=${address}\nDATA_BASE_PORT_5432_TCP_PORT=5432\nDATA_BASE_PORT_5432_TCP_PROTO=tcp\n`, cli);
    call('run', '-d', '--name', 'app2', '--link', 'db', 'busybox', 'sleep', '600');
    assert.equal(d.ok('inspect', '-f', '{{.HostConfig.Links}}', 'app2'), '[/db:/app2/db]');
    d.ok('stop', '-t', '0', 'db');
    d.ok('run', '-d', '--name', 'taker', 'busybox', 'sleep', '600');
    d.ok('start', 'db');
    assert.match(d.ok('exec', 'app2', 'cat', '/etc/hosts'), new RegExp(`^${d.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'db')}\tdb dbhost$`, 'm'));
    d.ok('stop', '-t', '0', 'db');
    assert.match(d.docker('restart', '-t', '0', 'app2').err, /Cannot link to a non running container: \/db AS \/app2\/db/);
    assert.match(call('create', '--link', 'nonesuch', 'busybox').err, /could not get container for nonesuch/);
  });
  both('restart policies: on-failure gives up, always comes back', async (call) => {
    call('run', '-d', '--name', 'ff', '--restart', 'on-failure:2', 'busybox', 'false');
    call('run', '-d', '--name', 'aa', '--restart', 'always', 'busybox', 'sh', '-c', 'sleep 0.3; exit 0');
    for (let i = 0; i < 60 && call('inspect', '-f', '{{.RestartCount}}', 'ff').out !== '2\n'; i++) await sleep(50);
    assert.equal(call('inspect', '-f', '{{.RestartCount}}', 'ff').out, '2\n');
    for (let i = 0; i < 60 && call('inspect', '-f', '{{.RestartCount}}', 'aa').out === '0\n'; i++) await sleep(50);
    assert.notEqual(call('inspect', '-f', '{{.RestartCount}}', 'aa').out, '0\n');
    call('stop', '-t', '0', 'aa');
    await sleep(300);
    assert.equal(state(call, 'aa'), 'exited');
  });
  both('a health check', async (call) => {
    call('run', '-d', '--name', 'hh', '--health-cmd', 'test -e /ok', '--health-interval', '100ms', '--health-retries', '2', 'busybox', 'sleep', '100');
    const health = (): string => call('inspect', '-f', '{{.State.Health.Status}}', 'hh').out.trim();
    for (let i = 0; i < 60 && health() !== 'unhealthy'; i++) await sleep(50);
    assert.equal(health(), 'unhealthy');
    call('exec', 'hh', 'touch', '/ok');
    for (let i = 0; i < 60 && health() !== 'healthy'; i++) await sleep(50);
    assert.equal(health(), 'healthy');
  });
});

describe('looking', () => {
  both('ps with filters and formats', (call) => {
    call('run', '-d', '--name', 'up', '--label', 'k=v', 'busybox', 'sleep', '100');
    call('run', '--name', 'down', 'busybox', 'sh', '-c', 'exit 4');
    assert.equal(call('ps', '--format', '{{.Names}}').out, 'up\n');
    assert.equal(call('ps', '-a', '--filter', 'exited=4', '--format', '{{.Names}} {{.Image}}').out, 'down busybox\n');
    assert.equal(call('ps', '-a', '--filter', 'label=k=v', '--format', '{{.Names}}').out, 'up\n');
    assert.equal(call('ps', '-a', '--filter', 'name=dow', '--filter', 'status=exited', '-q').out.length, 13);
    assert.match(call('ps').out, /CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES\n[0-9a-f]{12}\s+busybox\s+"sleep 100"\s+.*Up/);
    assert.match(call('ps', '-a', '--filter', 'nonesuch=1').err, /invalid filter/);
  });
  both('inspect, top, stats, diff, port', (call) => {
    call('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'echo x > /new; rm /etc/group; echo y >> /etc/passwd; sleep 100');
    assert.match(call('top', 'cc').out, /sleep 100/);
    assert.match(call('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{.MemUsage}}', 'cc').out, /^cc [12] \S+iB \/ \S+iB\n$/);
    assert.deepEqual(call('diff', 'cc').out.trim().split('\n').sort(), ['A /new', 'C /etc', 'C /etc/passwd', 'D /etc/group']);
    const json = JSON.parse(call('inspect', 'cc').out) as { Id: string; State: { Pid: number } }[];
    assert.match((json[0] as { Id: string }).Id, /^[0-9a-f]{64}$/);
  });
  both('logs: streams, tail, timestamps, since, follow', (call) => {
    call('run', '--name', 'cc', 'busybox', 'sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2');
    const all = call('logs', 'cc');
    assert.equal(all.out, 'line 1\nline 2\nline 3\nline 4\nline 5\n');
    assert.equal(all.err, 'bad\n');
    assert.equal(call('logs', '--tail', '2', 'cc').out + call('logs', '--tail', '2', 'cc').err, 'line 5\nbad\n');
    assert.match(call('logs', '-t', '--tail', '1', 'cc').err, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z bad\n$/);
    assert.equal(call('logs', '--until', '1', 'cc').out, '');
    call('run', '-d', '--name', 'ff', 'busybox', 'sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done');
    assert.equal(call('logs', '-f', 'ff').out, '1\n2\n3\n');
  });
  both('events of a life', (call) => {
    const since = String(Math.floor(Date.now() / 1000));
    call('run', '--rm', '--name', 'ee', 'busybox', 'true');
    const until = String(Math.ceil(Date.now() / 1000) + 1);
    const out = call('events', '--since', since, '--until', until, '--filter', 'container=ee', '--format', '{{.Type}} {{.Action}}').out.split('\n').filter((l) => l.startsWith('container'));
    assert.deepEqual(out, ['container create', 'container attach', 'container start', 'container die', 'container destroy']);
  });
});

describe('exec', () => {
  both('runs inside, with its own status, user, directory and environment', (call) => {
    call('run', '-d', '--name', 'cc', '-e', 'A=1', 'busybox', 'sleep', '100');
    assert.equal(call('exec', 'cc', 'sh', '-c', 'echo $A $B; pwd; id -u; exit 4').code, 4);
    assert.equal(call('exec', '-u', 'alice', '-w', '/tmp', '-e', 'B=2', 'cc', 'sh', '-c', 'echo $A $B; pwd; id -u').out, '1 2\n/tmp\n1000\n');
    assert.equal(call('exec', 'cc', 'nonesuch').code, 127);
    assert.match(call('exec', 'cc', 'sh', '-c', 'ps').out, /sleep 100/);
    assert.match(call('exec', '-t', 'cc', 'tty').out, /\/dev\/pts\/\d/);
    assert.match(call('exec', 'cc', 'cat', '/proc/self/cgroup').out, /\//);
    assert.match(call('exec', 'cc', 'grep', 'CapEff', '/proc/self/status').out, /a80425fb/);
  });
  test('stdin', () => {
    d.ok('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
    for (const cli of ['docker', 'naru'] as const) assert.equal(d.pipe(cli, 'a\nb\n', 'exec', '-i', 'cc', 'wc', '-l').out.trim(), '2');
  });
  both('a container that does not run', (call) => {
    call('create', '--name', 'cc', 'busybox');
    const ran = call('exec', 'cc', 'true');
    assert.match(ran.err, /is not running/);
    assert.equal(ran.code, 1);
  });
  both('no process is left behind by a client that goes away', async (call, cli) => {
    call('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
    for (let i = 0; i < 3; i++) assert.equal(call('exec', '-d', 'cc', 'sh', '-c', 'exit 0').code, 0);
    const client = spawn(cli === 'docker' ? 'docker' : NARU, ['-H', `unix://${d.socket}`, 'exec', '-i', 'cc', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await sleep(400);
    client.stdin.end();
    await new Promise((resolve) => client.once('exit', resolve));
    await sleep(100);
    assert.equal(call('top', 'cc').out.trim().split('\n').length, 2);
  });
});

/** Processes of the host's pid namespace that are in the container's mounts: execs that were made ahead. */
function waitingIn(name: string): number[] {
  const own = readlinkSync(`/proc/${d.ok('inspect', '-f', '{{.State.Pid}}', name)}/ns/mnt`);
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/mnt`) === own && /^NSpid:\t\d+$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false; // it has ended
    }
  });
}

describe('an exec that was made ahead of its start', () => {
  /** Its id, and the process that waits; it waits for three seconds only, so another one is made when this machine was too slow to look. */
  const ahead = async (name: string, Cmd: string[], more: object = {}): Promise<{ id: string; pid: number }> => {
    for (let i = 0; i < 10; i++) {
      const { Id } = d.api('POST', `/containers/${name}/exec`, { Cmd, AttachStdout: true, AttachStderr: true, ...more }).json as { Id: string };
      for (let look = 0; look < 20; look++) {
        const [pid] = waitingIn(name);
        if (pid !== undefined) return { id: Id, pid };
        await sleep(20);
      }
    }
    return assert.fail('nothing was made ahead');
  };
  const start = (id: string) => d.api('POST', `/exec/${id}/start`, { Detach: false, Tty: false });
  test('nobody sees it, and whatever happens to it or the container, the exec is as it was asked for', async () => {
    d.ok('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
    const container = d.ok('inspect', '-f', '{{.Id}}', 'cc');
    const groupsOf = (pid: number | string): string[] => readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n').filter((line) => line.endsWith(container));
    assert.notDeepEqual(groupsOf(d.ok('inspect', '-f', '{{.State.Pid}}', 'cc')), []);
    const unseen = await ahead('cc', ['sh', '-c', 'cat /proc/self/status; exit 4']);
    assert.deepEqual(groupsOf(unseen.pid), []);
    assert.equal(d.ok('top', 'cc').split('\n').length, 2);
    assert.doesNotMatch(d.ok('exec', 'cc', 'ps'), /naru/); // another one meanwhile is made when it is started
    assert.ok(waitingIn('cc').every((pid) => pid === unseen.pid));
    d.ok('pause', 'cc');
    assert.equal(start(unseen.id).status, 409);
    d.ok('unpause', 'cc');
    assert.match(start(unseen.id).text, /^CapEff:\s+00000000a80425fb$[^]*^CapBnd:\s+00000000a80425fb$[^]*^Seccomp:\s+2$/m);
    assert.equal((d.api('GET', `/exec/${unseen.id}/json`).json as { ExitCode: number }).ExitCode, 4);
    assert.deepEqual(waitingIn('cc'), []);

    const killed = await ahead('cc', ['echo', 'all the same']);
    process.kill(killed.pid, 'SIGKILL');
    assert.match(start(killed.id).text, /all the same\n/);
    // Killed when its shim looks away: it hears of the end and of the start at once.
    const unseenEnd = await ahead('cc', ['echo', 'once more']);
    const shim = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${unseenEnd.pid}/status`, 'utf8'))![1]);
    process.kill(shim, 'SIGSTOP');
    process.kill(unseenEnd.pid, 'SIGKILL');
    spawn('sh', ['-c', `sleep 0.2; kill -CONT ${shim}`], { stdio: 'ignore' });
    assert.match(start(unseenEnd.id).text, /once more\n/);

    const other = await ahead('cc', ['sh', '-c', 'id -u; cat /proc/self/cgroup'], { User: 'alice' });
    d.ok('exec', 'cc', 'sed', '-i', 's/^alice:x:1000/alice:x:1234/', '/etc/passwd');
    assert.match(start(other.id).text, /1234\n/);
  });
  test('it ends with its time, with the container, and with the daemon', async () => {
    for (const name of ['cc', 'dd']) d.ok('run', '-d', '--name', name, 'busybox', 'sleep', '100');
    const late = await ahead('dd', ['true']);
    const first = await ahead('cc', ['true']);
    d.ok('kill', 'cc');
    await until('it ends with the container', () => !existsSync(`/proc/${first.pid}`));
    await until('its time is over', () => !existsSync(`/proc/${late.pid}`));
    const last = await ahead('dd', ['true']);
    await d.restart('SIGKILL');
    await until('it ends with the daemon', () => !existsSync(`/proc/${last.pid}`));
    assert.equal(d.ok('exec', 'dd', 'echo', 'on'), 'on');
  });
});

describe('files', () => {
  both('cp in both directions, running and stopped', (call) => {
    mkdirSync(join(scratch, 'dir'), { recursive: true });
    writeFileSync(join(scratch, 'dir', 'a'), 'from host\n');
    call('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'echo inside > /in; sleep 100');
    assert.equal(call('cp', join(scratch, 'dir'), 'cc:/tmp').code, 0);
    assert.equal(call('exec', 'cc', 'cat', '/tmp/dir/a').out, 'from host\n');
    assert.equal(call('cp', 'cc:/in', join(scratch, 'out')).code, 0);
    assert.equal(readFileSync(join(scratch, 'out'), 'utf8'), 'inside\n');
    call('kill', 'cc');
    call('wait', 'cc');
    assert.equal(call('cp', 'cc:/tmp/dir/.', join(scratch, 'back')).code, 0);
    assert.equal(readFileSync(join(scratch, 'back', 'a'), 'utf8'), 'from host\n');
    assert.match(call('cp', 'cc:/nonesuch', scratch).err, /Could not find the file \/nonesuch in container cc/);
    rmSync(join(scratch, 'back'), { recursive: true });
    rmSync(join(scratch, 'out'));
  });
  test('export and import, commit', () => {
    for (const cli of ['docker', 'naru'] as const) {
      const call: Call = (...args) => d[cli](...args);
      call('run', '--name', 'cc', 'busybox', 'sh', '-c', 'echo committed > /mark; rm /etc/group');
      const id = call('commit', '-m', 'note', '-c', 'CMD ["cat","/mark"]', 'cc', 'made:v1').out.trim();
      assert.match(id, /^sha256:[0-9a-f]{64}$/);
      assert.equal(call('run', '--rm', 'made:v1').out, 'committed\n');
      assert.notEqual(call('run', '--rm', 'made:v1', 'ls', '/etc/group').code, 0);
      assert.equal(call('export', '-o', join(scratch, 'e.tar'), 'cc').code, 0);
      assert.match(call('import', join(scratch, 'e.tar'), 'imported:v1').out, /^sha256:/);
      assert.equal(call('run', '--rm', 'imported:v1', '/bin/cat', '/mark').out, 'committed\n');
      assert.match(call('history', 'made:v1').out, /note/);
      call('rm', 'cc');
      assert.match(call('rmi', 'made:v1', 'imported:v1').out, /Untagged: made:v1/);
    }
  });
  test('import from a URL', async () => {
    // The clients are waited for by this process: somebody else has to serve.
    const server = spawn('python3', ['-u', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', scratch, '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const port = await new Promise<string>((resolve) => server.stdout.on('data', (text: Buffer) => {
        const found = /port (\d+)/.exec(text.toString());
        if (found !== null) resolve(found[1]!); // the line's end comes by itself
      }));
      for (const cli of ['docker', 'naru'] as const) {
        const made = d[cli]('import', '-c', 'CMD ["cat","/mark"]', `http://127.0.0.1:${port}/e.tar`, 'fetched:v1');
        assert.match(made.out, /sha256:[0-9a-f]{64}$/m, made.err);
        assert.equal(d[cli]('run', '--rm', 'fetched:v1').out, 'committed\n');
        assert.match(d[cli]('history', '--no-trunc', 'fetched:v1').out, new RegExp(`Imported from http://127.0.0.1:${port}/e.tar`));
        const none = d[cli]('import', `http://127.0.0.1:${port}/none.tar`);
        assert.deepEqual([none.code, /Got HTTP status code >= 400: 404/.test(none.err)], [1, true], none.err);
        d.ok('rmi', 'fetched:v1');
      }
    } finally {
      server.kill();
    }
  });
});

describe('attach', () => {
  for (const cli of ['docker', 'naru'] as const) {
    test(`${cli}: a second client sees the output from now on, detach keys leave it running`, async () => {
      d.ok('run', '-dit', '--name', 'cc', 'busybox', 'cat');
      const client = spawn('script', ['-qec', `${cli === 'docker' ? 'docker' : NARU} -H unix://${d.socket} attach cc`, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
      let out = '';
      client.stdout.on('data', (b: Buffer) => { out += b.toString(); });
      await sleep(500);
      client.stdin.write('hello\r');
      for (let i = 0; i < 40 && !out.includes('hello'); i++) await sleep(50);
      assert.match(out, /hello/);
      client.stdin.write('\x10\x11');
      await new Promise((resolve) => client.once('exit', resolve));
      assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', 'cc'), 'running');
    });
  }
});

describe('housekeeping', () => {
  both('volume create, ls, inspect, rm, prune', (call) => {
    assert.equal(call('volume', 'create', '--label', 'a=b', 'v1').out, 'v1\n');
    assert.equal(call('volume', 'ls', '-q').out, 'v1\n');
    assert.equal(call('volume', 'inspect', '-f', '{{.Labels.a}} {{.Driver}}', 'v1').out, 'b local\n');
    call('create', '--name', 'cc', '-v', 'v1:/v', 'busybox');
    assert.match(call('volume', 'rm', 'v1').err, /volume is in use/);
    call('rm', 'cc');
    assert.match(call('volume', 'prune', '-a', '-f').out, /v1/);
  });
  both('prune, df, info, version', (call) => {
    call('run', '--name', 'cc', 'busybox', 'true');
    assert.match(call('container', 'prune', '-f').out, /Total reclaimed space/);
    assert.match(call('system', 'df').out, /Images\s+\d+/);
    assert.match(call('info', '--format', '{{.OSType}} {{.CgroupDriver}}').out, /^linux cgroupfs\n$/);
    assert.match(call('version', '--format', '{{.Server.APIVersion}}').out, /^1\.51\n$/);
  });
});
