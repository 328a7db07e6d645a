import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { run, type Ran } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { inTerminal } from '../support/in-terminal.ts';
import { CLIS, dockerFlags, dockerVerbs, sleep, suite, until, type Cli } from '../support/two-clients.ts';

/**
 * Every verb with every flag of it, by the real Docker CLI and by ours. What is there is taken from the help of the Docker CLI that is
 * installed; what these tests called is noted, and the last one compares.
 */
const s = suite();
const config: Record<Cli, string> = { docker: '', naru: '' };
let registry: DockerRegistry;
before(async () => {
  registry = await DockerRegistry.start({ users: { ann: 'secret' } });
  for (const cli of CLIS) mkdirSync((config[cli] = join(s.scratch, `config-${cli}`)));
});
after(async () => {
  await registry[Symbol.asyncDispose]();
});

/** `docker VERB --help`, asked once. */
const help = new Map<string, ReturnType<typeof dockerFlags>>();
const flagsOf = (verb: string): ReturnType<typeof dockerFlags> => help.get(verb) ?? help.set(verb, dockerFlags(verb)).get(verb)!;
/** Two names for one verb. */
const SAME: Readonly<Record<string, string>> = { 'container ls': 'ps', 'image ls': 'images', 'image rm': 'rmi', 'system events': 'events', 'system info': 'info' };
const GROUPS = ['container', 'image', 'volume', 'network', 'system'];
const canonical = (words: readonly string[]): [verb: string, rest: readonly string[]] => {
  const two = words.slice(0, 2).join(' ');
  if (!GROUPS.includes(words[0]!)) return [words[0]!, words.slice(1)];
  const verb = SAME[two] ?? (TOP.has(words[1]!) && words[0] !== 'volume' && words[0] !== 'network' && !/^(inspect|prune)$/.test(words[1]!) ? words[1]! : two);
  return [verb, words.slice(2)];
};
const TOP = new Set(dockerVerbs(''));

const called: Record<Cli, Set<string>> = { docker: new Set(), naru: new Set() };
function note(cli: Cli, words: readonly string[]): void {
  const [verb, rest] = canonical(words);
  const seen = called[cli];
  seen.add(verb);
  const flags = flagsOf(verb);
  const byShort = new Map([...flags].map(([long, { short, value }]) => [short, { long, value }]));
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (!word.startsWith('-') || word === '-') {
      if (/^(run|create|exec)$/.test(verb)) return;
      continue;
    }
    if (word.startsWith('--')) {
      const name = word.slice(2).split('=')[0]!;
      seen.add(`${verb} --${name}`);
      if (flags.get(name)?.value === true && !word.includes('=')) i++;
      continue;
    }
    for (let j = 1; j < word.length; j++) {
      const flag = byShort.get(word[j]);
      if (flag === undefined) break;
      seen.add(`${verb} --${flag.long}`);
      if (!flag.value) continue;
      if (j === word.length - 1) i++;
      break;
    }
  }
}

interface Story { readonly cli: Cli; readonly name: string; /** Runs, whatever comes. */ call(...words: string[]): Ran; /** Output of what must succeed. */ ok(...words: string[]): string; /** stderr of what must fail with this status. */ fails(code: number, ...words: string[]): string; pipe(input: string, ...words: string[]): string; tty(words: readonly string[], after: string, keys: string): Promise<{ code: number; out: string }> }
const story = (name: string, body: (t: Story) => void | Promise<void>): void => {
  for (const cli of CLIS) {
    test(`${cli}: ${name}`, () => {
      const call = (...words: string[]): Ran => {
        note(cli, words);
        return s.d[cli]('--config', config[cli], ...words);
      };
      const ok = (...words: string[]): string => {
        const ran = call(...words);
        assert.equal(ran.code, 0, `${cli} ${words.join(' ')}: ${ran.err}`);
        return ran.out;
      };
      const fails = (code: number, ...words: string[]): string => {
        const ran = call(...words);
        assert.equal(ran.code, code, `${cli} ${words.join(' ')}: ${ran.out}${ran.err}`);
        return ran.err;
      };
      const pipe = (input: string, ...words: string[]): string => {
        note(cli, words);
        const ran = s.d.pipe(cli, input, ...words);
        assert.equal(ran.code, 0, `${cli} ${words.join(' ')}: ${ran.err}`);
        return ran.out;
      };
      const tty: Story['tty'] = (words, after, keys) => {
        note(cli, words);
        return inTerminal(cli, s.d, words, { after, keys });
      };
      return body({ cli, name: `${cli}x`, call, ok, fails, pipe, tty });
    });
  }
};

describe('containers', () => {
  story('create, start, attach, wait', async ({ name, ok, pipe, tty, fails }) => {
    assert.match(ok('create', '--name', name, '-it', 'busybox', 'cat'), /^[0-9a-f]{64}\n$/);
    const started = await tty(['start', '-a', '-i', '--detach-keys', 'ctrl-x,x', name], '', '\x18x');
    assert.equal(started.code, 0, started.out);
    const attached = await tty(['attach', '--detach-keys', 'ctrl-x,y', name], '', 'typed\r\x18y');
    assert.match(attached.out, /read escape sequence/);
    await until('what was typed before the detach keys is heard', () => /typed/.test(ok('logs', name)));
    ok('kill', '-s', 'KILL', name);
    assert.equal(ok('wait', name), '137\n');
    assert.match(fails(1, 'attach', name), /cannot attach to a stopped container/i);
    ok('rm', name);
    ok('create', '--name', name, '-i', 'busybox', 'sh', '-c', 'read line; echo got $line');
    assert.equal(pipe('word\n', 'start', '-ai', name), 'got word\n');
    ok('rm', name);
    ok('run', '-d', '--name', name, 'busybox', 'sh', '-c', 'sleep 1; echo seen; exit 3');
    const { code } = await s.d.signalled(name.slice(0, -1) as Cli, (note(name.slice(0, -1) as Cli, ['attach', '--no-stdin', '--sig-proxy=false', name]), ['attach', '--no-stdin', '--sig-proxy=false', name]), { after: 'never', signal: 'SIGTERM' });
    assert.equal(code, 3);
  });

  story('stop, restart, kill, pause, unpause, rename, rm', ({ name, ok, fails }) => {
    ok('run', '-d', '--name', name, 'busybox', 'sh', '-c', 'trap "exit 5" USR1; while :; do sleep 0.05; done');
    assert.equal(ok('stop', '-s', 'USR1', '-t', '5', name), `${name}\n`);
    assert.equal(ok('inspect', '-f', '{{.State.ExitCode}}', name), '5\n');
    assert.equal(ok('restart', '-s', 'KILL', '-t', '1', name), `${name}\n`);
    assert.equal(ok('pause', name), `${name}\n`);
    assert.match(fails(1, 'pause', name), /is already paused/);
    assert.equal(ok('unpause', name), `${name}\n`);
    assert.match(fails(1, 'unpause', name), /is not paused/);
    ok('rename', name, `${name}2`);
    assert.match(fails(1, 'rm', `${name}2`), /container is running: stop the container before removing or force remove/);
    assert.equal(ok('rm', '-f', '-v', `${name}2`), `${name}2\n`);
    ok('run', '-d', '--name', 'db', 'busybox', 'sleep', '60');
    ok('create', '--name', name, '--link', 'db:store', 'busybox');
    ok('rm', '--link', `${name}/store`);
    ok('rm', '-f', 'db', name);
    assert.match(fails(1, 'rm', 'nonesuch'), /No such container: nonesuch/);
    assert.match(fails(1, 'stop', 'nonesuch'), /No such container: nonesuch/);
  });

  story('exec', async ({ name, ok, pipe, tty, fails, call }) => {
    ok('run', '-d', '--name', name, 'busybox', 'sleep', '60');
    writeFileSync(join(s.scratch, 'exec-env'), 'C=3\n');
    assert.equal(ok('exec', '-e', 'B=2', '--env-file', join(s.scratch, 'exec-env'), '-u', 'alice', '-w', '/tmp', name, 'sh', '-c', 'echo $B$C; id -un; pwd'), '23\nalice\n/tmp\n');
    assert.equal(pipe('text', 'exec', '-i', name, 'cat'), 'text');
    assert.notEqual(ok('exec', '--privileged', name, 'grep', 'CapEff', '/proc/self/status'), ok('exec', name, 'grep', 'CapEff', '/proc/self/status'));
    assert.equal(ok('exec', '-d', name, 'touch', '/made'), '');
    await until('the detached exec did its work', () => s.d.docker('exec', name, 'test', '-e', '/made').code === 0);
    const typed = await tty(['exec', '-it', '--detach-keys', 'ctrl-x,z', name, 'sh', '-c', 'echo ready; cat'], 'ready', '\x18z');
    assert.equal(typed.code, typed.out.includes('read escape sequence') ? 1 : 0, typed.out);
    // As Docker's: what failed is told on the stream.
    assert.match((fails(127, 'exec', name, 'nonesuch'), call('exec', name, 'nonesuch').out), /executable file not found in \$PATH/);
    assert.match((fails(126, "exec", name, "/etc"), call("exec", name, "/etc").out), /is a directory|permission denied/);
    fails(9, 'exec', name, 'sh', '-c', 'exit 9');
  });

  story('ps', ({ name, ok }) => {
    ok('run', '-d', '--name', name, '--label', 'k=v', 'busybox', 'sh', '-c', 'head -c 100000 /dev/zero > /f; sleep 60');
    ok('run', '--name', `${name}2`, 'busybox', 'true');
    assert.equal(ok('ps', '-q').length, 13);
    assert.equal(ok('ps', '-q', '--no-trunc').length, 65);
    assert.equal(ok('ps', '-a', '--format', '{{.Names}}', '-f', `name=^/${name}`).split('\n').length, 3);
    assert.equal(ok('ps', '-l', '--format', '{{.Names}} {{.State}}'), `${name}2 exited\n`);
    assert.equal(ok('ps', '-n', '1', '--format', '{{.Names}}'), `${name}2\n`);
    assert.match(ok('container', 'ls', '-s', '--format', '{{.Size}}'), /^10\dkB \(virtual /);
    assert.match(ok('ps'), /^CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES\n[0-9a-f]{12}\s+busybox\s+"sh -c 'head -c 1000…"/);
  });

  story('inspect, top, stats, diff, port', async ({ name, ok, fails }) => {
    ok('run', '-d', '--name', name, '-p', '127.0.0.1::80', 'busybox', 'sh', '-c', 'echo x > /new; rm /etc/group; sleep 60');
    await until('the files are there', () => s.d.docker('exec', name, 'test', '-e', '/etc/group').code !== 0);
    assert.equal(ok('inspect', '-f', '{{.Name}} {{.State.Status}}', name), `/${name} running\n`);
    assert.ok(Number(ok('inspect', '-s', '--type', 'container', '-f', '{{.SizeRw}}', name)) > 0);
    assert.ok(Number(ok('container', 'inspect', '-s', '-f', '{{.SizeRootFs}}', name)) > 1e6);
    assert.match(fails(1, 'inspect', '--type', 'image', name), /No such image/i);
    assert.match(ok('top', name), /^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD\n[\s\S]*sleep 60/);
    assert.match(ok('top', name, '-o', 'pid,comm'), /^PID\s+COMMAND\n\d+\s+s(h|leep)/);
    assert.match(ok('stats', '--no-stream', '--no-trunc', '--format', '{{.ID}} {{.Name}}', name), new RegExp(`^[0-9a-f]{64} ${name}\n$`));
    assert.match(ok('stats', '-a', '--no-stream'), /CONTAINER ID\s+NAME\s+CPU %\s+MEM USAGE \/ LIMIT\s+MEM %\s+NET I\/O\s+BLOCK I\/O\s+PIDS\n/);
    assert.deepEqual(ok('diff', name).trim().split('\n').sort(), ['A /new', 'C /etc', 'D /etc/group']);
    assert.match(ok('port', name), /^80\/tcp -> 127\.0\.0\.1:\d+\n$/);
    assert.match(ok('port', name, '80/tcp'), /^127\.0\.0\.1:\d+\n$/);
    assert.match(fails(1, 'port', name, '81'), /no public port '81(\/tcp)?' published for/i);
  });

  story('logs', async ({ name, ok }) => {
    ok('run', '--name', name, '--label', 'com.x=1', '--log-opt', 'labels=com.x', 'busybox', 'sh', '-c', 'for i in 1 2 3; do echo line $i; done');
    assert.equal(ok('logs', '-n', '2', name), 'line 2\nline 3\n');
    assert.match(ok('logs', '-t', '--tail', '1', name), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line 3\n$/);
    assert.match(ok('logs', '--details', name), /^com\.x=1 line 1\n/);
    assert.equal(ok('logs', '--since', '10m', name), 'line 1\nline 2\nline 3\n');
    assert.equal(ok('logs', '--until', '10m', name), '');
    ok('run', '-d', '--name', `${name}2`, 'busybox', 'sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done');
    assert.equal(ok('logs', '-f', `${name}2`), '1\n2\n3\n');
  });

  story('cp, export, import, commit, history', ({ name, ok, fails }) => {
    const here = join(s.scratch, name);
    mkdirSync(here);
    writeFileSync(join(here, 'f'), 'from here\n');
    symlinkSync('f', join(here, 'link'));
    ok('create', '--name', name, 'busybox', 'cat', '/in/f');
    assert.match(ok('cp', join(here, 'f'), `${name}:/f`) + '', /^$/);
    ok('cp', '-q', '-L', join(here, 'link'), `${name}:/tmp/followed`);
    ok('cp', '-a', here, `${name}:/in`);
    ok('cp', `${name}:/tmp/followed`, join(here, 'back'));
    assert.equal(readFileSync(join(here, 'back'), 'utf8'), 'from here\n');
    assert.equal(ok('start', '-a', name), 'from here\n');
    assert.match(fails(1, 'cp', `${name}:/nonesuch`, here), /Could not find the file \/nonesuch in container/);
    ok('export', '-o', join(here, 'e.tar'), name);
    assert.match(run('tar', ['-tf', join(here, 'e.tar')]).out, /^in\/f$/m);
    const id = ok('import', '-c', 'CMD ["cat","/in/f"]', '-m', 'brought', '--platform', process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64', join(here, 'e.tar'), `${name}:v1`).trim();
    assert.equal(ok('run', '--rm', `${name}:v1`), 'from here\n');
    assert.match(ok('history', '--no-trunc', '--format', '{{.ID}} {{.Comment}}', `${name}:v1`), new RegExp(`^${id} brought\n$`));
    assert.equal(ok('commit', '-a', 'Ann', '-m', 'note', '-c', 'ENV X=1', '-p=false', name, `${name}:v2`).length, 72);
    assert.equal(ok('inspect', '-f', '{{.Author}} {{.Comment}} {{index .Config.Env 1}}', `${name}:v2`), 'Ann note X=1\n');
    assert.match(ok('history', '-H=false', `${name}:v2`), /\d{4}-\d\d-\d\dT/);
    assert.match(ok('history', '-q', '--platform', process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64', `${name}:v2`), /^[0-9a-f]{12}\n/);
    ok('rm', name);
    ok('rmi', '-f', '--no-prune', `${name}:v1`, `${name}:v2`);
  });

  story('update', ({ name, ok, fails }) => {
    ok('run', '-d', '--name', name, '-m', '64m', 'busybox', 'sleep', '60');
    assert.equal(ok('update', '-m', '96m', '--memory-swap', '128m', '--memory-reservation', '32m', '--pids-limit', '33', '-c', '256', '--cpuset-cpus', '0', '--cpuset-mems', '0', '--restart', 'unless-stopped', name), `${name}\n`);
    assert.equal(ok('inspect', '-f', '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}', name), '100663296 134217728 33 256 unless-stopped\n');
    ok('update', '--cpu-period', '50000', '--cpu-quota', '20000', name);
    assert.match(fails(1, 'update', '--cpus', '1', name), /CPU Period|cannot be updated as NanoCPUs has already been set|Conflicting options/i);
    ok('update', '--blkio-weight', '300', name);
    ok('create', '--name', `${name}2`, 'busybox');
    ok('update', '--cpus', '0.5', `${name}2`);
    ok('create', '--name', `${name}3`, 'busybox');
    ok('update', '--cpu-rt-period', '1000000', '--cpu-rt-runtime', '950', `${name}3`);
    assert.match(fails(1, 'update', '-m', '1m', name), /Minimum memory limit allowed is 6MB/);
  });

  story('container prune', ({ name, ok }) => {
    ok('run', '--name', name, '--label', 'mine', 'busybox', 'true');
    assert.match(ok('container', 'prune', '-f', '--filter', 'label=other'), /Total reclaimed space: 0B/);
    assert.match(ok('container', 'prune', '-f', '--filter', 'label=mine'), /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: /);
  });
});

describe('images', () => {
  const platform = process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64';
  story('load, save, tag, images, inspect, rmi, prune', ({ name, ok, fails }) => {
    assert.equal(ok('load', '-q', '-i', fixture('busybox.tar')), 'Loaded image: busybox:latest\n');
    assert.match(ok('load', '--platform', platform, '-i', fixture('busybox.tar')), /Loaded image: busybox:latest/);
    assert.match(fails(1, 'load', '--platform', 'linux/s390x', '-i', fixture('busybox.tar')), /platform|s390x/);
    ok('tag', 'busybox', `${name}/repo:v1`);
    assert.match(ok('images', `${name}/repo`), /^REPOSITORY\s+TAG\s+IMAGE ID\s+CREATED\s+SIZE\n\S+\/repo\s+v1\s+[0-9a-f]{12}/);
    assert.match(ok('images', '-a', '-q', '--no-trunc', '-f', `reference=${name}/*`), /^sha256:[0-9a-f]{64}\n$/);
    assert.match(ok('images', '--digests', '--format', '{{.Tag}} {{.Digest}}', `${name}/repo`), /^v1 <none>\n$/);
    assert.match(ok('image', 'inspect', '-f', '{{.Os}}/{{.Architecture}}', '--platform', platform, `${name}/repo:v1`), new RegExp(`^${platform}\n$`));
    const file = join(s.scratch, `${name}-save.tar`);
    ok('save', '-o', file, '--platform', platform, `${name}/repo:v1`);
    assert.match(ok('rmi', `${name}/repo:v1`), new RegExp(`^Untagged: ${name}/repo:v1\n$`));
    assert.match(ok('load', '-i', file), new RegExp(`Loaded image: ${name}/repo:v1`));
    assert.match(fails(1, 'save', '-o', file, '--platform', 'linux/s390x', 'busybox'), /platform|s390x/);
    assert.match(fails(1, 'image', 'inspect', '--platform', 'linux/s390x', 'busybox'), /platform|s390x/);
    assert.match(fails(1, 'rmi', '--platform', 'linux/s390x', `${name}/repo:v1`), /platform|s390x/);
    assert.match(ok('rmi', '-f', '--no-prune', `${name}/repo:v1`), /Untagged/);
    rmSync(file);
    const dangling = ok('import', fixture('busybox.tar')).trim();
    assert.match(ok('image', 'prune', '-f', '--filter', 'until=10m'), /Total reclaimed space: 0B/);
    assert.match(ok('image', 'prune', '-f'), new RegExp(`deleted: ${dangling}`));
    ok('image', 'prune', '-a', '-f', '--filter', 'label=nonesuch');
    assert.match(fails(1, 'rmi', 'nonesuch'), /No such image: nonesuch:latest/);
    assert.match(fails(1, 'tag', 'nonesuch', 'x'), /No such image: nonesuch:latest/);
  });

  story('login, push, pull, logout, search', ({ cli, name, ok, call, fails, pipe }) => {
    const remote = `${registry.host}/${name}`;
    ok('tag', 'busybox', `${remote}:v1`);
    ok('tag', 'busybox', `${remote}:v2`);
    assert.match(fails(1, 'push', `${remote}:v1`), /no basic auth credentials|unauthorized|authentication required/);
    assert.match(fails(1, 'login', '-u', 'ann', '-p', 'wrong', registry.host), /unauthorized|401/i);
    assert.match(ok('login', '-u', 'ann', '-p', 'secret', registry.host), /Login Succeeded/);
    ok('push', '-q', '--disable-content-trust', `${remote}:v1`);
    ok('push', '-a', remote);
    ok('rmi', `${remote}:v1`, `${remote}:v2`);
    assert.match(ok('pull', '-q', '--platform', platform, '--disable-content-trust', `${remote}:v1`), new RegExp(`^${remote}:v1\n$`));
    assert.match(ok('pull', '-a', remote), /Status: .*(newer image|up to date)/);
    ok('push', '--platform', platform, `${remote}:v1`);
    assert.match(fails(1, 'pull', `${remote}:nonesuch`), /manifest unknown|not found/);
    ok('rmi', `${remote}:v1`, `${remote}:v2`);
    assert.match(ok('logout', registry.host), /Removing login credentials for/);
    assert.notEqual(call('pull', `${remote}:v1`).code, 0);
    note(cli, ['login', '--password-stdin']);
    const piped = s.d.pipe(cli, 'secret', '--config', config[cli], 'login', '-u', 'ann', '--password-stdin', registry.host);
    assert.match(piped.out, /Login Succeeded/, piped.err);
    ok('logout', registry.host);
    void pipe;
    assert.match(fails(1, 'search', '--limit', '5', '-f', 'is-official=true', '--no-trunc', '--format', '{{.Name}}', 'busybox'), /index\.docker\.io|registry/);
  });
});

describe('volumes and networks', () => {
  story('volume create, ls, inspect, rm, prune', ({ name, ok, fails }) => {
    assert.equal(ok('volume', 'create', '-d', 'local', '--label', 'a=b', '-o', 'type=tmpfs', '-o', 'device=tmpfs', name), `${name}\n`);
    assert.equal(ok('volume', 'inspect', '-f', '{{.Labels.a}} {{.Options.type}} {{.Driver}}', name), 'b tmpfs local\n');
    assert.equal(ok('volume', 'ls', '-q', '-f', 'label=a=b'), `${name}\n`);
    assert.match(ok('volume', 'ls'), /^DRIVER\s+VOLUME NAME\nlocal\s+/);
    assert.equal(ok('volume', 'ls', '--format', '{{.Driver}}', '-f', `name=${name}`), 'local\n');
    assert.match(fails(1, 'volume', 'create', '-d', 'nonesuch', 'v2'), /plugin "nonesuch" not found/);
    assert.equal(ok('volume', 'rm', '-f', name, 'nonesuch'), `${name}\nnonesuch\n`);
    assert.match(fails(1, 'volume', 'rm', 'nonesuch'), /get nonesuch: no such volume/);
    ok('volume', 'create', '--label', 'mine', name);
    assert.match(ok('volume', 'prune', '-a', '-f', '--filter', 'label=mine'), new RegExp(`^Deleted Volumes:\n${name}\n\nTotal reclaimed space: 0B`));
  });

  story('network create, connect, disconnect, ls, inspect, rm, prune', ({ cli, name, ok }) => {
    const third = cli === 'docker' ? 121 : 122;
    assert.match(ok('network', 'create', '-d', 'bridge', '--subnet', `10.${third}.7.0/24`, '--gateway', `10.${third}.7.1`, '--ip-range', `10.${third}.7.128/25`, '--aux-address', `x=10.${third}.7.5`, '--ipam-driver', 'default', '--ipam-opt', 'a=b', '--label', 'mine', '-o', 'com.docker.network.driver.mtu=1300', '--attachable', '--internal', '--ipv4', '--ipv6', '--subnet', `fd00:${third}::/64`, '--scope', 'local', name), /^[0-9a-f]{64}\n$/);
    ok('network', 'create', '--config-only', '--subnet', `10.${third}.8.0/24`, `${name}-conf`);
    ok('network', 'create', '--config-from', `${name}-conf`, `${name}-from`);
    ok('run', '-d', '--name', name, 'busybox', 'sleep', '60');
    ok('network', 'connect', '--alias', 'al', '--ip', `10.${third}.7.9`, '--ip6', `fd00:${third}::9`, '--link-local-ip', '169.254.9.9', '--driver-opt', 'com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1', '--gw-priority', '0', name, name);
    assert.match(ok('exec', name, 'ip', 'addr', 'show', 'eth1'), new RegExp(`10\\.${third}\\.7\\.9/24[\\s\\S]*169\\.254\\.9\\.9/16`));
    assert.match(ok('network', 'inspect', '-v', '-f', '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}', name), new RegExp(`^${name} 10\\.${third}\\.7\\.9/24\n$`));
    assert.equal(ok('network', 'ls', '-q', '--no-trunc', '-f', `name=${name}$`).length, 65);
    assert.match(ok('network', 'ls', '--format', '{{.Name}} {{.Driver}}', '-f', 'label=mine'), new RegExp(`^${name} bridge\n$`));
    ok('network', 'disconnect', '-f', name, name);
    ok('run', '-d', '--name', 'db', 'busybox', 'sleep', '60');
    ok('network', 'connect', name, 'db');
    ok('network', 'connect', '--link', 'db:store', name, name);
    ok('rm', '-f', name, 'db');
    assert.match(ok('network', 'prune', '-f', '--filter', 'label=mine'), new RegExp(`^Deleted Networks:\n${name}\n`));
    ok('network', 'rm', '-f', `${name}-from`, 'nonesuch');
    ok('network', 'rm', `${name}-conf`);
  });
});

describe('the system', () => {
  story('version, info, df, events, prune', async ({ cli, name, ok }) => {
    assert.equal(ok('version', '-f', '{{.Server.APIVersion}} {{.Server.Os}}'), '1.51 linux\n');
    assert.match(ok('version'), /^Client/);
    assert.match(ok('info'), /^ Cgroup Driver: cgroupfs$/m);
    assert.equal(ok('system', 'info', '-f', '{{.OSType}} {{.DockerRootDir}}'), `linux ${s.d.scope.dataRoot}\n`);
    const since = String(Math.floor(Date.now() / 1000));
    ok('run', '--name', name, '--label', 'mine', 'busybox', 'true');
    const until_ = String(Math.ceil(Date.now() / 1000) + 1);
    assert.match(ok('events', '--since', since, '--until', until_, '-f', `container=${name}`, '-f', 'event=die', '--format', '{{.Action}} {{.Actor.Attributes.exitCode}}'), /^die 0\n$/);
    assert.match(ok('system', 'df'), /^TYPE\s+TOTAL\s+ACTIVE\s+SIZE\s+RECLAIMABLE\nImages\s+\d/);
    assert.match(ok('system', 'df', '-v'), new RegExp(`^Images space usage:[\\s\\S]*Containers space usage:[\\s\\S]*${name}[\\s\\S]*Local Volumes space usage:`));
    assert.match(ok('system', 'df', '--format', '{{.Type}} {{.TotalCount}}'), /^Images \d+\nContainers 1\n/);
    assert.match(ok('system', 'prune', '-f', '--filter', 'label=mine'), /^Deleted Containers:\n[0-9a-f]{64}\n/);
    ok('system', 'prune', '-a', '-f', '--volumes', '--filter', 'label=nonesuch');
    void cli;
    await sleep(0);
  });
});

/** Verbs of other issues, or of what this engine has not. */
const ELSEWHERE = new Set(['build', 'image build', 'builder', 'buildx', 'compose', 'checkpoint', 'context', 'manifest', 'plugin', 'trust', 'config', 'node', 'secret', 'service', 'stack', 'swarm', 'image tree', 'volume update', 'dial-stdio', 'help', ...GROUPS]);
/** Only a swarm has them, or (--tree) Docker calls them an experiment. */
const NOT_HERE = new Set([
  ...['availability', 'group', 'limit-bytes', 'required-bytes', 'scope', 'secret', 'sharing', 'topology-preferred', 'topology-required', 'type'].map((flag) => `volume create --${flag}`), 'volume ls --cluster',
  'network create --ingress', 'images --tree', 'start --checkpoint', 'start --checkpoint-dir',
]);

test('no verb of Docker’s and no flag of a verb is left out, with either command line', () => {
  const verbs = new Set<string>();
  for (const verb of dockerVerbs('')) if (!ELSEWHERE.has(verb)) verbs.add(verb);
  for (const group of GROUPS) for (const word of dockerVerbs(group)) if (!ELSEWHERE.has(`${group} ${word}`)) verbs.add(canonical([group, word])[0]);
  verbs.delete('build');
  assert.ok(verbs.size > 55, `docker --help was not understood: ${[...verbs].join()}`);
  const wanted = [...verbs].flatMap((verb) => [verb, ...(/^(run|create)$/.test(verb) ? [] : [...flagsOf(verb).keys()].map((flag) => `${verb} --${flag}`))]).filter((each) => !NOT_HERE.has(each) && !each.endsWith(' --help'));
  for (const cli of CLIS) assert.deepEqual(wanted.filter((each) => !called[cli].has(each)), [], cli);
});

test('every verb of a group is there by its long name', () => {
  for (const group of GROUPS) {
    for (const verb of dockerVerbs(group)) {
      if (ELSEWHERE.has(`${group} ${verb}`)) continue;
      const ran = s.d.naru(group, verb, '--help');
      assert.equal(ran.code, 0, `${group} ${verb}`);
      assert.match(ran.out, new RegExp(`^Usage: {2}naru ${group} ${verb}`, 'm'));
    }
  }
  assert.equal(existsSync(join(config.naru, 'config.json')), true, 'naru login wrote where it was told to');
});
