import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { describe, test } from 'node:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran } from '../support/daemon.ts';
import { suite, type Cli } from '../support/two-clients.ts';

/** `run` and its flags, by the real Docker CLI and by ours: the same words, the same output, the same exit codes. */
const { d, scratch, both } = suite();
/** Host ports of this run's own: another run may be under way on the machine. */
const PORT = 20_000 + (process.pid % 3900) * 3;

const sh = (call: (...a: string[]) => Ran, flags: string[], script: string): Ran => call('run', '--rm', ...flags, 'busybox', 'sh', '-c', script);

describe('exit codes', () => {
  both('the program’s own', (call) => assert.equal(sh(call, [], 'exit 7').code, 7));
  both('a signal is 128 + n', (call) => assert.equal(sh(call, ['--init'], 'kill -9 $$').code, 137));
  both('127 for a missing program', (call) => {
    const ran = call('run', '--rm', 'busybox', 'nonesuch');
    assert.equal(ran.code, 127);
    assert.match(ran.err, /exec: "nonesuch": executable file not found in \$PATH/);
  });
  both('126 for one that cannot be executed', (call) => {
    const ran = call('run', '--rm', 'busybox', '/etc/passwd');
    assert.equal(ran.code, 126);
    assert.match(ran.err, /permission denied/);
  });
  both('125 for a flag that does not exist', (call) => {
    const ran = call('run', '--nonesuch', 'busybox');
    assert.equal(ran.code, 125);
    assert.match(ran.err, /unknown flag: --nonesuch/);
  });
  both('125 for an image that is nowhere', (call, cli) => {
    // Asking a registry that does not answer takes its time: one of them does.
    const ran = call('run', '--rm', ...(cli === 'docker' ? [] : ['--pull', 'never']), 'nonesuch:v1', 'true');
    assert.equal(ran.code, 125);
    assert.match(ran.err, /nonesuch/);
  });
});

describe('streams', () => {
  both('stdout and stderr are apart', (call) => {
    const ran = sh(call, [], 'echo out; echo err >&2');
    assert.equal(ran.out, 'out\n');
    assert.equal(ran.err, 'err\n');
  });
  test('stdin reaches the program and its end ends it', () => {
    for (const cli of ['docker', 'naru'] as Cli[]) {
      const ran = d.pipe(cli, 'one\ntwo\n', 'run', '--rm', '-i', 'busybox', 'cat');
      assert.equal(ran.out, 'one\ntwo\n', cli);
      assert.equal(ran.code, 0);
    }
  });
  test('a megabyte through stdin and back', () => {
    const text = 'x'.repeat(1 << 20);
    for (const cli of ['docker', 'naru'] as Cli[]) assert.equal(d.pipe(cli, text, 'run', '--rm', '-i', 'busybox', 'cat').out.length, text.length, cli);
  });
  both('-t gives a terminal', (call) => assert.match(sh(call, ['-t'], 'tty').out, /^\/dev\/pts\/0\r?\n$/));
  both('-d prints the id', (call) => {
    const ran = call('run', '-d', 'busybox', 'sleep', '30');
    assert.match(ran.out, /^[0-9a-f]{64}\n$/);
  });
});

describe('identity', () => {
  both('--hostname and --domainname', (call) => assert.equal(sh(call, ['-h', 'ferry', '--domainname', 'river'], 'hostname; cat /proc/sys/kernel/domainname; grep -c ferry /etc/hosts').out, 'ferry\nriver\n1\n'));
  both('--user by name, with its groups', (call) => assert.equal(sh(call, ['-u', 'alice'], 'id -u; id -g; id -G').out, '1000\n1000\n1000 50\n'));
  both('--user numeric', (call) => assert.equal(sh(call, ['-u', '42:43'], 'id -u; id -g').out, '42\n43\n'));
  both('--group-add', (call) => assert.match(sh(call, ['--group-add', 'staff', '--group-add', '777'], 'id -G').out, /\b50 777\b/));
  both('an unknown user', (call) => {
    const ran = sh(call, ['-u', 'nobodyhere'], 'true');
    assert.equal(ran.code, 125);
    assert.match(ran.err, /unable to find user nobodyhere: no matching entries in passwd file/);
  });
  both('--workdir is made', (call) => assert.equal(sh(call, ['-w', '/a/b'], 'pwd').out, '/a/b\n'));
  both('-e, --env-file and the image’s', (call) => {
    writeFileSync(join(scratch, 'env'), '# comment\nFROM_FILE=1\n');
    assert.equal(sh(call, ['-e', 'A=b c', '--env-file', join(scratch, 'env')], 'echo $A $FROM_FILE; echo $PATH').out, 'b c 1\n/bin:/sbin:/usr/bin:/usr/sbin\n');
  });
  both('--entrypoint', (call) => assert.equal(call('run', '--rm', '--entrypoint', 'echo', 'busybox', 'x', 'y').out, 'x y\n'));
  both('--label and --name', (call) => {
    call('create', '--name', 'labelled', '--label', 'a=b', 'busybox');
    assert.equal(call('inspect', '-f', '{{.Name}} {{index .Config.Labels "a"}}', 'labelled').out, '/labelled b\n');
  });
  both('--cidfile', (call) => {
    const file = join(scratch, `cid-${Math.random()}`);
    const id = call('run', '-d', '--cidfile', file, 'busybox', 'true').out.trim();
    assert.equal(readFileSync(file, 'utf8').trim(), id);
  });
});

describe('isolation', () => {
  both('pid 1, and only one’s own processes', (call) => assert.equal(sh(call, [], 'echo $$; ls /proc | grep -c "^[0-9]*$"').out.split('\n')[0], '1'));
  both('the 14 capabilities, none inheritable', (call) => {
    const out = sh(call, [], 'grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status').out;
    assert.deepEqual(out.match(/[0-9a-f]{16}/g), ['0000000000000000', '00000000a80425fb', '00000000a80425fb', '00000000a80425fb', '0000000000000000']);
  });
  both('--cap-drop ALL --cap-add', (call) => assert.match(sh(call, ['--cap-drop', 'ALL', '--cap-add', 'CHOWN'], 'grep CapEff /proc/self/status').out, /0000000000000001/));
  both('--privileged has what the daemon has, and the devices', (call) => {
    const mine = /CapBnd:\s+([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    assert.match(sh(call, ['--privileged'], 'grep CapEff /proc/self/status; test -e /dev/kmsg && echo kmsg').out, new RegExp(`${mine}\nkmsg`));
  });
  both('seccomp is on, and off when unconfined', (call) => {
    assert.match(sh(call, [], 'grep Seccomp: /proc/self/status').out, /Seccomp:\s+2/);
    assert.match(sh(call, ['--security-opt', 'seccomp=unconfined'], 'grep Seccomp: /proc/self/status').out, /Seccomp:\s+0/);
  });
  both('no-new-privileges', (call) => assert.match(sh(call, ['--security-opt', 'no-new-privileges'], 'grep NoNewPrivs /proc/self/status').out, /1/));
  both('masked and read-only paths', (call) => {
    const out = sh(call, [], 'wc -c < /proc/timer_list; ls /proc/acpi | wc -l; echo 1 > /proc/sysrq-trigger; echo $?').out;
    assert.match(out, /^0\n0\n1\n$/);
  });
  both('systempaths=unconfined shows them', (call) => assert.notEqual(sh(call, ['--security-opt', 'systempaths=unconfined'], 'head -c 4 /proc/timer_list | wc -c').out, '0\n'));
  both('--read-only', (call) => assert.match(sh(call, ['--read-only'], 'touch /x; echo $?').out, /^1\n$/));
  both('/dev is small and complete', (call) => assert.equal(sh(call, [], 'ls /dev').out.split('\n').filter((l) => l !== '').join(' '), 'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero'));
  both('a device that was not given does not open', (call) => assert.match(sh(call, [], 'mknod /tmp/d b 254 0; head -c1 /tmp/d').err, /not permitted/));
  both('--device', (call) => assert.equal(sh(call, ['--device', '/dev/kmsg:/dev/k'], 'test -c /dev/k && echo yes').out, 'yes\n'));
  both('--pid host, --uts host, --ipc host', (call) => {
    const host = readFileSync('/proc/sys/kernel/hostname', 'utf8');
    assert.equal(sh(call, ['--uts', 'host'], 'hostname').out, host);
    assert.notEqual(sh(call, ['--pid', 'host'], 'echo $$').out, '1\n');
  });
  both('--pid container:x and --network container:x', (call) => {
    call('run', '-d', '--name', 'base', 'busybox', 'sleep', '100');
    assert.match(sh(call, ['--pid', 'container:base'], 'ps').out, /sleep 100/);
    const address = call('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'base').out.trim();
    assert.match(sh(call, ['--network', 'container:base'], 'ip -4 addr show eth0').out, new RegExp(address.replaceAll('.', '\\.')));
  });
  both('--init reaps', (call) => assert.equal(sh(call, ['--init'], 'echo $$; (sleep 0.05 &) ; sleep 0.2; ps | grep -c "Z"').out.split('\n')[0] !== '1', true));
});

describe('limits', () => {
  both('--memory, --pids-limit, --cpus, --cpu-shares, --cpuset-cpus', (call) => {
    const out = sh(call, ['-m', '64m', '--pids-limit', '50', '--cpus', '0.5', '--cpu-shares', '512', '--cpuset-cpus', '0'],
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpuset/cpuset.cpus').out;
    assert.equal(out, '67108864\n50\n50000\n512\n0\n');
  });
  both('too much memory is an OOM kill', (call) => {
    const ran = call('run', '--name', 'oom', '-m', '16m', 'busybox', 'sh', '-c', 'x=a; while :; do x=$x$x; done');
    assert.equal(ran.code, 137);
    assert.equal(call('inspect', '-f', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'oom').out, 'true 137\n');
  });
  both('--ulimit', (call) => assert.equal(sh(call, ['--ulimit', 'nofile=123:456'], 'ulimit -n; ulimit -Hn').out, '123\n456\n'));
  both('--shm-size', (call) => assert.match(sh(call, ['--shm-size', '32m'], 'df -k /dev/shm').out, /32768/));
  both('--sysctl', (call) => assert.equal(sh(call, ['--sysctl', 'net.ipv4.ip_forward=1'], 'cat /proc/sys/net/ipv4/ip_forward').out, '1\n'));
  both('a sysctl of the host is refused', (call) => assert.match(sh(call, ['--sysctl', 'kernel.panic=1'], 'true').err, /sysctl/));
  both('--oom-score-adj', (call) => assert.equal(sh(call, ['--oom-score-adj', '500'], 'cat /proc/self/oom_score_adj').out, '500\n'));
  both('memory below the minimum', (call) => assert.match(sh(call, ['-m', '1m'], 'true').err, /Minimum memory limit allowed is 6MB/));
  both('--gpus says that there are none', (call) => assert.match(sh(call, ['--gpus', 'all'], 'true').err, /could not select device driver/));
});

describe('mounts', () => {
  both('-v bind, read-write and read-only', (call) => {
    writeFileSync(join(scratch, 'f'), 'data\n');
    assert.equal(sh(call, ['-v', `${scratch}:/m`], 'cat /m/f; echo new > /m/g').out, 'data\n');
    assert.equal(readFileSync(join(scratch, 'g'), 'utf8'), 'new\n');
    assert.match(sh(call, ['-v', `${scratch}:/m:ro`], 'touch /m/x').err, /Read-only file system/);
  });
  both('-v of a single file', (call) => assert.equal(sh(call, ['-v', `${scratch}/f:/etc/one`], 'cat /etc/one').out, 'data\n'));
  both('named volume keeps its content and is populated from the image', (call) => {
    const name = `vol${Math.floor(Math.random() * 1e9)}`;
    assert.match(sh(call, ['-v', `${name}:/etc`], 'echo kept > /etc/kept; cat /etc/passwd').out, /root/);
    assert.match(sh(call, ['-v', `${name}:/data`], 'cat /data/kept /data/group').out, /^kept\nroot/);
    assert.equal(call('volume', 'rm', name).out, `${name}\n`);
  });
  both('--mount bind, volume with subpath, tmpfs', (call) => {
    const name = `sub${Math.floor(Math.random() * 1e9)}`;
    sh(call, ['-v', `${name}:/v`], 'mkdir /v/in; echo deep > /v/in/f');
    const out = sh(call, ['--mount', `type=bind,src=${scratch},dst=/b,readonly`, '--mount', `type=volume,src=${name},dst=/s,volume-subpath=in`, '--mount', 'type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777'], 'cat /b/f /s/f; df -k /t | tail -1; stat -c %a /t').out;
    assert.match(out, /^data\ndeep\n.*1024.*\n1777\n$/s);
    call('volume', 'rm', name);
  });
  both('--tmpfs', (call) => assert.match(sh(call, ['--tmpfs', '/run:size=64k,mode=700'], 'grep " /run " /proc/mounts').out, /tmpfs.*size=64k,mode=700/));
  both('--volumes-from', (call) => {
    call('create', '--name', 'with', '-v', '/shared', 'busybox');
    assert.equal(sh(call, ['--volumes-from', 'with'], 'test -d /shared && grep -c " /shared " /proc/mounts').out, '1\n');
  });
  both('a bind source that does not exist', (call) => assert.match(sh(call, ['--mount', 'type=bind,src=/nonesuch/x,dst=/x'], 'true').err, /bind source path does not exist: \/nonesuch\/x/));
});

describe('network', () => {
  both('an address on the bridge, a route, a resolver, a name', (call) => {
    const out = sh(call, [], 'ip -4 -o addr show eth0; ip route; cat /etc/hosts; test -s /etc/resolv.conf && echo resolv').out;
    assert.match(out, /inet \d+\.\d+\.\d+\.\d+\/(16|20) /);
    assert.match(out, /default via/);
    assert.match(out, /resolv/);
  });
  both('none and host', (call) => {
    assert.equal(sh(call, ['--network', 'none'], 'ls /sys/class/net').out.trim(), 'lo');
    assert.match(sh(call, ['--network', 'host'], 'cat /proc/net/dev').out, new RegExp(d.scope.bridge));
  });
  both('--add-host and --dns', (call) => {
    const out = sh(call, ['--add-host', 'db:10.1.2.3', '--dns', '9.9.9.9', '--dns-search', 'corp'], 'cat /etc/hosts /etc/resolv.conf').out;
    assert.match(out, /10\.1\.2\.3\s+db/);
    assert.match(out, /nameserver 9\.9\.9\.9/);
    assert.match(out, /search corp/);
  });
  both('-p publishes tcp on localhost and on the bridge’s address', async (call) => {
    call('run', '-d', '--name', 'web', '-p', `127.0.0.1:${PORT}:80`, '-p', `${PORT + 1}:80`, 'busybox', 'sh', '-c', 'mkdir -p /w; echo served > /w/index.html; httpd -f -h /w -p 80');
    const { run } = await import('../support/daemon.ts');
    let got = '';
    for (let i = 0; i < 50 && got !== 'served\n'; i++) got = run('curl', ['-s', '--retry', '3', '--retry-connrefused', '--max-time', '2', `http://127.0.0.1:${PORT}/`]).out;
    assert.equal(got, 'served\n');
    assert.equal(run('curl', ['-s', '--max-time', '2', `http://127.0.0.1:${PORT + 1}/`]).out, 'served\n');
    assert.match(call('port', 'web').out, new RegExp(`80/tcp -> 127\\.0\\.0\\.1:${PORT}`));
    const gateway = call('inspect', '-f', '{{.NetworkSettings.Gateway}}', 'web').out.trim();
    assert.equal(sh(call, [], `wget -qO- http://${gateway}:${PORT + 1}/`).out, 'served\n', 'from another container through the host');
    assert.match(call('run', '--rm', '-p', `${PORT + 1}:80`, 'busybox', 'true').err, /port is already allocated/);
  });
  both('-p udp, there and back', async (call) => {
    writeFileSync(join(scratch, 'echo.c'), `#include <arpa/inet.h>
#include <sys/socket.h>
int main(void) {
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
  char text[512];
  if (bind(s, (void *)&a, sizeof a)) return 1;
  for (;;) {
    socklen_t n = sizeof from;
    long got = recvfrom(s, text, sizeof text, 0, (void *)&from, &n);
    if (got > 0) sendto(s, text, got, 0, (void *)&from, n);
  }
}`);
    assert.equal(spawnSync('cc', ['-static', '-o', join(scratch, 'echo'), join(scratch, 'echo.c')]).status, 0);
    call('run', '-d', '--name', 'udp', '-v', `${join(scratch, 'echo')}:/echo:ro`, '-p', `127.0.0.1:${PORT + 2}:53/udp`, 'busybox', '/echo');
    const socket = createSocket('udp4');
    try {
      const answer = new Promise<string>((resolve) => socket.once('message', (message) => resolve(message.toString())));
      const again = setInterval(() => socket.send('ping', PORT + 2, '127.0.0.1'), 50);
      const late = new Promise<string>((resolve) => setTimeout(() => resolve('no datagram came back'), 4000).unref());
      assert.equal(await Promise.race([answer, late]), 'ping');
      clearInterval(again);
    } finally {
      socket.close();
    }
  });
});

describe('a throw-away copy of this machine', () => {
  test('naru run --rootfs /', () => {
    const ran = d.naru('run', '--rm', '--rootfs', '/', 'sh', '-c', 'cat /etc/os-release; echo gone > /etc/naru-was-here; cat /etc/naru-was-here');
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out, /PRETTY_NAME[\s\S]*gone/);
    assert.throws(() => readFileSync('/etc/naru-was-here'));
  });
  both('run hello tells the chain, each link with its time; by another name too', (call, cli) => {
    call('tag', 'hello', 'greeting');
    const ran = call('run', '--rm', 'greeting');
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out, /pid\s+1,/);
    const links = [...ran.out.slice(ran.out.indexOf('The chain')).matchAll(/^ {2}(\w+) (.+?) +at (\d+\.\d+) ms {2}took \d+\.\d+ ms$/gm)].map(([, link, name]) => `${link} ${name}`);
    assert.deepEqual(links, [
      ...(cli === 'naru' ? ['cli start, words, first request'] : []), 'api POST /containers/create', 'api POST /containers/{name}/attach',
      'api POST /containers/{name}/wait', 'net reserve', 'engine write state', 'runtime start',
    ]);
    call('rmi', 'greeting');
  });
  test('naru plan run: each operation names the flag, the default or the image that caused it', () => {
    d.ok('network', 'create', 'planned');
    const causes: readonly (readonly [flag: string, cause: RegExp])[] = [
      ['--memory 64m', /memory.limit.*\(--memory 67108864\)|memory.max.*\(--memory 67108864\)/], ['--memory-reservation 32m', /\(--memory-reservation 33554432\)/], ['--cpu-shares 300', /\(--cpu-shares 300\)/],
      ['--cpus 0.5', /\(--cpus 0\.5\)/], ['--cpuset-cpus 0', /\(--cpuset-cpus 0\)/], ['--pids-limit 77', /\(--pids-limit 77\)/], ['--oom-score-adj 99', /oom_score_adj.*\(--oom-score-adj 99\)/],
      ['--device-cgroup-rule=c_42:*_rwm', /devices.*\(--device-cgroup-rule 'c 42:\* rwm'\)/], ['--device /dev/full:/dev/more', /more.*\(--device \/dev\/full:\/dev\/more(:rwm)?\)/],
      ['--cap-add NET_ADMIN', /capset.*--cap-add CAP_NET_ADMIN/], ['--cap-drop CHOWN', /capset.*--cap-drop CAP_CHOWN/], ['--security-opt no-new-privileges', /prctl.*\(--security-opt no-new-privileges\)/],
      [`--volume ${scratch}:/bound`, /on \/bound \(--volume .*:\/bound\)/], ['--mount type=tmpfs,dst=/scratch', /on \/scratch \(--mount /], ['--tmpfs /tmp:size=1m', /on \/tmp \(--tmpfs \/tmp/], ['--shm-size 1m', /on \/dev\/shm \(--shm-size 1048576\)/],
      ['--read-only', /\(--read-only\)/], ['--init', /init\(\["\/sbin\/docker-init", "--", "echo", "word"\]\).*\(--init\)/], ['--tty', /pty.*\(.*--tty\)/], ['--interactive', /stdio.*\(--interactive --tty\)/],
      ['--user 33:44', /setresuid.*\(--user 33:44\)/], ['--group-add 55', /setgroups.*--group-add 55/], ['--workdir /work', /chdir\("\/work".*\(--workdir \/work\)/], ['--hostname ferry', /sethostname.*\(--hostname ferry\)/],
      ['--domainname land', /setdomainname.*\(--domainname land\)/], ['--sysctl net.ipv4.ip_forward=1', /write_at.*\(--sysctl net.ipv4.ip_forward=1\)/], ['--ulimit nofile=99', /rlimit.*\(--ulimit nofile=99:99\)/],
      ['--dns 9.9.9.9', /on \/etc\/resolv.conf \(--dns 9.9.9.9\)/], ['--add-host far:10.9.9.9', /on \/etc\/hosts \(--add-host far:10.9.9.9 --hostname ferry\)/], ['--network planned', /netlink.*\(--network planned\)/],
      ['--log-opt max-size=1m', /log\(.*\(--log-opt max-size=1m\)/], ['--rm', /exit_file.*\(--rm\)/], ['--env A=1', /exec\(.*COMMAND --env A\)/],
      [`--publish 127.0.0.1:${PORT}:80`, new RegExp(`daemon +publish\\("127\\.0\\.0\\.1:${PORT}/tcp", "[0-9.]+:80"\\).*\\(--publish 80/tcp\\)`)], ['--cgroup-parent /naru-planned', /mkdir.*\(--cgroup-parent \/naru-planned\)/],
    ];
    const plan = (...words: string[]): string[] => {
      const ran = d.naru('plan', 'run', ...words);
      assert.equal(ran.code, 0, ran.err);
      const lines = ran.out.trimEnd().split('\n');
      // A cause is a flag, what the image says, the user's words, or a default of ours: never a place in some file.
      for (const line of lines) assert.match(line, /^ *(\d+|-) (prepare|parent|child|cleanup|daemon) +\w+\(.*  # .* \((always|default|the image.*|COMMAND.*|--.*)\)$/);
      return lines;
    };
    const plain = plan('busybox');
    assert.ok(plain.some((line) => /exec\(.*\(the image\)$/.test(line)));
    assert.ok(!plain.some((line) => /\(--(?!network)/.test(line)), 'nothing was asked for');
    const lines = plan(...causes.flatMap(([flag]) => flag.split(' ').map((word) => word.replaceAll('_', flag.startsWith('--device-cgroup') ? ' ' : '_'))), 'busybox', 'echo', 'word');
    for (const [flag, cause] of causes) assert.ok(lines.some((line) => cause.test(line)), `${flag} caused nothing: ${cause}\n${lines.join('\n')}`);
    // Where another's PID 1 is, no init goes in front.
    const shared = plan('--pid', 'host', '--init', 'busybox');
    assert.ok(shared.some((line) => /clone.*--pid host/.test(line)) && !shared.some((line) => /docker-init/.test(line)), shared.join('\n'));
    assert.equal(d.ok('ps', '-aq'), '', 'nothing was made');
    d.ok('network', 'rm', 'planned');
  });
  test('naru run --trace: the Trace Event format, from every link, spans within one another', () => {
    const file = join(scratch, 'trace.json');
    const ran = d.naru('run', '--rm', '-v', 'traced:/v', `--trace=${file}`, 'busybox', 'true');
    assert.equal(ran.code, 0, ran.err);
    d.ok('volume', 'rm', 'traced');
    interface Event { readonly name: string; readonly ph: string; readonly ts: number; readonly dur: number; readonly pid: number; readonly tid: number; readonly cat: string; readonly args?: { readonly name?: string; readonly detail?: string } }
    const { traceEvents: events } = JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: Event[] };
    const complete = events.filter(({ ph }) => ph === 'X');
    const names = new Map(events.filter(({ ph, name }) => ph === 'M' && name === 'thread_name').map(({ tid, args }) => [tid, args?.name]));
    assert.ok(events.every(({ ph }) => ph === 'X' || ph === 'M'));
    assert.deepEqual([...new Set(complete.map(({ cat }) => cat))].sort(), ['api', 'cli', 'engine', 'native', 'net', 'runtime']);
    assert.ok(complete.some(({ cat, args }) => cat === 'native' && /on \/v \(--volume traced:\/v\)$/.test(args?.detail ?? '')));
    for (const event of complete) {
      assert.ok(event.ts >= 0 && event.dur >= 0 && Number.isInteger(event.pid) && Number.isInteger(event.tid), JSON.stringify(event));
      assert.equal(names.get(event.tid), event.cat, 'a track is one link\'s');
    }
    for (const tid of names.keys()) {
      const open: Event[] = [];
      for (const event of complete.filter((each) => each.tid === tid).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
        while (open.length > 0 && open.at(-1)!.ts + open.at(-1)!.dur <= event.ts + 1e-6) open.pop();
        const around = open.at(-1);
        assert.ok(around === undefined || event.ts + event.dur <= around.ts + around.dur + 1e-6, `${JSON.stringify(event)} crosses ${JSON.stringify(around)}`);
        open.push(event);
      }
    }
  });
});

both('--security-opt writable-cgroups: its own group can be written from inside, and only then', (call) => {
  const make = (...flags: string[]): Ran => call('run', '--rm', ...flags, 'busybox', 'sh', '-c', 'd=/sys/fs/cgroup; [ -d $d/pids ] && d=$d/pids; mkdir $d/inner && rmdir $d/inner && echo made');
  for (const flags of [[], ['--security-opt', 'writable-cgroups=false']]) {
    const refused = make(...flags);
    assert.match(refused.err, /Read-only file system/, flags.join());
    assert.equal(refused.out, '');
  }
  assert.equal(make('--security-opt', 'writable-cgroups=true').out, 'made\n');
  assert.equal(make('--security-opt', 'writable-cgroups=perhaps').code, 125);
});
