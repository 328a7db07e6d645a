import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTerminal } from '../support/in-terminal.ts';
import { CLIS, dockerFlags, suite, until, type Call, type Cli } from '../support/two-clients.ts';
import { run } from '../support/daemon.ts';

/**
 * Every flag of `docker run`, by the real Docker CLI and by ours, each with an effect that can be seen. The list of flags is the one
 * in the help of the Docker CLI that is installed: a flag without a row here fails.
 */
const s = suite();
const V2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
const PORT = 21_000 + (process.pid % 3900) * 3;

/** `run --rm FLAGS busybox sh -c SCRIPT` prints this (a text or a pattern). */
interface Seen { readonly flags: readonly string[]; readonly script?: string; readonly out?: string | RegExp }
/** … fails with this exit status and says this. */
interface Refused { readonly flags: readonly string[]; readonly code: number; readonly err: RegExp }
type Row = Seen | Refused | ((call: Call, cli: Cli) => void | Promise<void>);

const sh = (flags: readonly string[], script: string, out: string | RegExp): Seen => ({ flags, script, out });
const refused = (flags: readonly string[], err: RegExp, code = 125): Refused => ({ flags, code, err });
/** What stands in the container's own cgroup, as it sees it: v1's path or v2's. */
const cgroup = (flags: readonly string[], [v1, v2]: [string, string], out: string | RegExp, out2 = out): Seen => sh(flags, `cat /sys/fs/cgroup/${V2 ? v2 : v1}`, V2 ? out2 : out);
/** `create FLAGS busybox`, then inspect shows this. */
const shown = (flags: readonly string[], format: string, out: string): Row => (call) => {
  const made = call('create', ...flags, 'busybox', 'true');
  assert.equal(made.code, 0, made.err);
  assert.equal(call('inspect', '-f', format, made.out.trim()).out, `${out}\n`);
};
const must = (call: Call, ...args: string[]): string => {
  const ran = call(...args);
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}`);
  return ran.out;
};

const disk = readdirSync('/dev').find((name) => /^(vd|sd|nvme\dn)[a1]$/.test(name) && statSync(join('/dev', name)).isBlockDevice());
const throttle = (flag: string, value: string, [v1, v2]: [string, RegExp]): Row => (call) => {
  assert.ok(disk !== undefined, 'a disk to limit');
  must(call, 'run', '-d', '--name', 'cc', `--${flag}`, `/dev/${disk}:${value}`, 'busybox', 'sleep', '60');
  const id = s.inspect('cc', '{{.Id}}');
  const file = V2 ? join('/sys/fs/cgroup', s.d.scope.cgroupParent, id, 'io.max') : join('/sys/fs/cgroup/blkio', s.d.scope.cgroupParent, id, `blkio.throttle.${v1}_device`);
  assert.match(readFileSync(file, 'utf8'), V2 ? v2 : new RegExp(` ${value === '1mb' ? 1048576 : value}$`, 'm'));
};
const onlyOnWindows = (flag: string): Row => (call, cli) => {
  const ran = call('run', '--rm', `--${flag}`, '1', 'busybox', 'true');
  assert.equal(ran.code, cli === 'docker' ? 1 : 125);
  assert.match(ran.err, new RegExp(`"--${flag}" is only supported on a Docker daemon running on windows`));
};
const health = (...flags: string[]): readonly string[] => ['-d', '--name', 'hh', '--health-cmd', 'echo seen; test -e /ok', '--health-interval', '100ms', ...flags];
const healthOf = (): string => s.inspect('hh', '{{.State.Health.Status}}');
const onNetwork = (flags: readonly string[], script: string, out: RegExp): Row => (call) => {
  const name = `n${Math.random().toString(36).slice(2, 8)}`;
  must(call, 'network', 'create', '--ipv6', '--subnet', `10.${60 + Math.floor(Math.random() * 60)}.${Math.floor(Math.random() * 250)}.0/24`, '--subnet', 'fd77:1::/64', name);
  try {
    const [subnet] = call('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', name).out.split('.0/24');
    const ran = call('run', '--rm', '--network', name, ...flags.map((flag) => flag.replace('SUBNET', subnet!)), 'busybox', 'sh', '-c', script);
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out.replaceAll(subnet!, 'SUBNET'), out);
  } finally {
    must(call, 'network', 'rm', name);
  }
};

const ROWS: Readonly<Record<string, Row | readonly Row[]>> = {
  'add-host': sh(['--add-host', 'db:10.1.2.3'], 'grep -w db /etc/hosts', '10.1.2.3\tdb\n'),
  'annotation': shown(['--annotation', 'org.x=y'], '{{index .HostConfig.Annotations "org.x"}}', 'y'),
  'attach': (call) => {
    const ran = call('run', '--rm', '-a', 'stderr', 'busybox', 'sh', '-c', 'echo out; echo err >&2');
    assert.deepEqual([ran.out, ran.err], ['', 'err\n']);
  },
  'blkio-weight': [refused(['--blkio-weight', '5'], /Range of blkio weight is from 10 to 1000/), shown(['--blkio-weight', '300'], '{{.HostConfig.BlkioWeight}}', '300')],
  'blkio-weight-device': (call) => {
    const ran = call('run', '--rm', '--blkio-weight-device', `/dev/${disk}:300`, 'busybox', 'echo', 'ran');
    assert.equal(ran.out, 'ran\n', ran.err);
    const bfq = readFileSync(`/sys/block/${disk}/queue/scheduler`, 'utf8').includes('[bfq]');
    assert.equal(/WARNING: .*weight/i.test(ran.err), !bfq, 'a scheduler that knows no weights is said so');
  },
  'cap-add': sh(['--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN'], 'grep CapEff /proc/self/status', /0000000000001000/),
  'cap-drop': sh(['--cap-drop', 'CHOWN', '--cap-drop', 'CAP_MKNOD'], 'grep CapEff /proc/self/status', /00000000a00425fa/),
  'cgroup-parent': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--cgroup-parent', `${s.d.scope.cgroupParent}/inner`, 'busybox', 'sleep', '60');
    assert.match(readFileSync(`/proc/${s.inspect('cc', '{{.State.Pid}}')}/cgroup`, 'utf8'), new RegExp(`${s.d.scope.cgroupParent}/inner/`));
    must(call, 'rm', '-f', 'cc');
    const tops = V2 ? ['/sys/fs/cgroup'] : readdirSync('/sys/fs/cgroup').map((each) => join('/sys/fs/cgroup', each));
    run('rmdir', tops.map((top) => join(top, s.d.scope.cgroupParent, 'inner')).filter((path) => existsSync(path)));
  },
  'cgroupns': [sh(['--cgroupns', 'host'], 'head -1 /proc/self/cgroup', /:\/.+/), sh(['--cgroupns', 'private'], 'head -1 /proc/self/cgroup', /:\/\n/)],
  'cidfile': (call, cli) => {
    const file = join(s.scratch, `cid-${cli}`);
    const id = must(call, 'run', '-d', '--cidfile', file, 'busybox', 'true').trim();
    assert.equal(readFileSync(file, 'utf8').trim(), id);
    assert.match(call('run', '--rm', '--cidfile', file, 'busybox', 'true').err, /container ID file found/i);
  },
  'cpu-count': onlyOnWindows('cpu-count'),
  'cpu-percent': onlyOnWindows('cpu-percent'),
  'cpu-period': cgroup(['--cpu-period', '50000', '--cpu-quota', '25000'], ['cpu/cpu.cfs_period_us', 'cpu.max'], '50000\n', '25000 50000\n'),
  'cpu-quota': cgroup(['--cpu-quota', '40000'], ['cpu/cpu.cfs_quota_us', 'cpu.max'], '40000\n', '40000 100000\n'),
  'cpu-rt-period': shown(['--cpu-rt-period', '1000000'], '{{.HostConfig.CpuRealtimePeriod}}', '1000000'),
  'cpu-rt-runtime': shown(['--cpu-rt-runtime', '1000', '--cpu-rt-period', '1000000'], '{{.HostConfig.CpuRealtimeRuntime}}', '1000'),
  'cpu-shares': cgroup(['-c', '512'], ['cpu/cpu.shares', 'cpu.weight'], '512\n', '59\n'),
  'cpus': [cgroup(['--cpus', '0.5'], ['cpu/cpu.cfs_quota_us', 'cpu.max'], '50000\n', '50000 100000\n'), refused(['--cpus', '9999'], /range of CPUs is from 0.01 to \d+.00/)],
  'cpuset-cpus': [cgroup(['--cpuset-cpus', '0'], ['cpuset/cpuset.cpus', 'cpuset.cpus'], '0\n'), refused(['--cpuset-cpus', '4000'], /Requested CPUs are not available/)],
  'cpuset-mems': [cgroup(['--cpuset-mems', '0'], ['cpuset/cpuset.mems', 'cpuset.mems'], '0\n'), refused(['--cpuset-mems', '77'], /Requested memory nodes are not available/)],
  'detach': (call) => assert.match(must(call, 'run', '-d', 'busybox', 'sleep', '60'), /^[0-9a-f]{64}\n$/),
  'detach-keys': async (_call, cli) => {
    const ran = await inTerminal(cli, s.d, ['run', '-it', '--name', 'cc', '--detach-keys', 'ctrl-x,q', 'busybox', 'cat'], { after: '', keys: '\x18q' });
    assert.equal(ran.code, 0, ran.out);
    assert.equal(s.inspect('cc', '{{.State.Status}}'), 'running');
  },
  'device': [sh(['--device', '/dev/kmsg:/dev/k:r'], 'test -c /dev/k && echo yes', 'yes\n'), refused(['--device', '/dev/nonesuch'], /error gathering device information while adding custom device "\/dev\/nonesuch": no such file or directory/, 127)],
  'device-cgroup-rule': [
    sh(['--device-cgroup-rule', 'c 1:11 rwm', '--cap-add', 'SYSLOG'], 'mknod /tmp/p c 1 11 && exec 3</tmp/p && echo opened', 'opened\n'), sh(['--cap-add', 'SYSLOG'], 'mknod /tmp/p c 1 11; (exec 3</tmp/p) 2>&1; true', /not permitted/),
    refused(['--device-cgroup-rule', 'x 1:4 rwm'], /invalid device cgroup format/),
  ],
  'device-read-bps': throttle('device-read-bps', '1mb', ['read_bps', /rbps=1048576/]),
  'device-read-iops': throttle('device-read-iops', '120', ['read_iops', /riops=120/]),
  'device-write-bps': throttle('device-write-bps', '1mb', ['write_bps', /wbps=1048576/]),
  'device-write-iops': throttle('device-write-iops', '90', ['write_iops', /wiops=90/]),
  'disable-content-trust': sh(['--disable-content-trust'], 'echo ran', 'ran\n'),
  'dns': sh(['--dns', '9.9.9.9'], 'grep nameserver /etc/resolv.conf', 'nameserver 9.9.9.9\n'),
  'dns-option': sh(['--dns-option', 'ndots:3'], 'grep options /etc/resolv.conf', 'options ndots:3\n'),
  'dns-search': sh(['--dns-search', 'corp.example'], 'grep search /etc/resolv.conf', 'search corp.example\n'),
  'domainname': sh(['-h', 'ferry', '--domainname', 'river'], 'cat /proc/sys/kernel/domainname; hostname -f', 'river\nferry.river\n'),
  'entrypoint': (call) => assert.equal(must(call, 'run', '--rm', '--entrypoint', 'echo', 'busybox', 'x'), 'x\n'),
  'env': sh(['-e', 'A=b c'], 'echo "$A"', 'b c\n'),
  'env-file': (call) => {
    writeFileSync(join(s.scratch, 'env'), '# comment\nFROM_FILE=1\n');
    assert.equal(must(call, 'run', '--rm', '--env-file', join(s.scratch, 'env'), 'busybox', 'sh', '-c', 'echo $FROM_FILE'), '1\n');
  },
  'expose': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--expose', '8080-8081', '-P', 'busybox', 'sleep', '60');
    assert.match(must(call, 'port', 'cc'), /^8080\/tcp -> 0\.0\.0\.0:\d+$[\s\S]*^8081\/tcp -> 0\.0\.0\.0:\d+$/m);
  },
  'gpus': refused(['--gpus', 'all'], /could not select device driver "" with capabilities: \[\[gpu\]\]/),
  'group-add': sh(['--group-add', 'staff', '--group-add', '777'], 'id -G', /\b50 777\b/),
  'health-cmd': async (call) => {
    must(call, 'run', ...health(), 'busybox', 'sh', '-c', 'touch /ok; sleep 60');
    await until('healthy', () => healthOf() === 'healthy');
    assert.match(s.inspect('hh', '{{(index .State.Health.Log 0).Output}}'), /seen/);
  },
  'health-interval': async (call) => {
    must(call, 'run', ...health(), 'busybox', 'sleep', '60');
    await until('several probes', () => Number(s.inspect('hh', '{{len .State.Health.Log}}')) >= 2, 3);
  },
  'health-retries': async (call) => {
    must(call, 'run', ...health('--health-retries', '4'), 'busybox', 'sleep', '60');
    await until('unhealthy', () => healthOf() === 'unhealthy');
    assert.ok(Number(s.inspect('hh', '{{.State.Health.FailingStreak}}')) >= 4);
  },
  'health-start-interval': async (call) => {
    must(call, 'run', '-d', '--name', 'hh', '--health-cmd', 'true', '--health-interval', '1m', '--health-start-period', '30s', '--health-start-interval', '100ms', 'busybox', 'sleep', '60');
    await until('healthy', () => healthOf() === 'healthy', 5);
  },
  'health-start-period': async (call) => {
    must(call, 'run', ...health('--health-start-period', '1m', '--health-start-interval', '50ms', '--health-retries', '1'), 'busybox', 'sleep', '60');
    await until('several failures', () => Number(s.inspect('hh', '{{len .State.Health.Log}}')) >= 3);
    assert.equal(healthOf(), 'starting');
  },
  'health-timeout': async (call) => {
    must(call, 'run', '-d', '--name', 'hh', '--health-cmd', 'sleep 30', '--health-interval', '50ms', '--health-timeout', '100ms', '--health-retries', '1', 'busybox', 'sleep', '60');
    await until('unhealthy', () => healthOf() === 'unhealthy');
    assert.match(s.inspect('hh', '{{(index .State.Health.Log 0).Output}}'), /Health check exceeded timeout \(100ms\)/);
  },
  'help': (call, cli) => assert.match(must(call, 'run', '--help'), new RegExp(`^Usage: {2}${cli} run`, 'm')),
  'hostname': sh(['-h', 'ferry'], 'hostname', 'ferry\n'),
  'init': sh(['--init'], 'test $$ != 1 && cat /proc/1/comm && ps -o pid,args | grep "^ *1 "', /^docker-init\n +1 \/sbin\/docker-init -- sh -c test/),
  'interactive': (_call, cli) => assert.equal(s.d.pipe(cli, 'text', 'run', '--rm', '-i', 'busybox', 'cat').out, 'text'),
  'io-maxbandwidth': onlyOnWindows('io-maxbandwidth'),
  'io-maxiops': onlyOnWindows('io-maxiops'),
  'ip': onNetwork(['--ip', 'SUBNET.9'], 'ip -4 addr show eth0', /inet SUBNET\.9\/24/),
  'ip6': onNetwork(['--ip6', 'fd77:1::9'], 'ip -6 addr show eth0', /inet6 fd77:1::9\/64/),
  'ipc': [
    sh(['--ipc', 'none'], 'test -e /dev/shm; echo $?', '1\n'), refused(['--ipc', 'x'], /--ipc: invalid IPC mode|invalid IPC mode/),
    (call) => {
      must(call, 'run', '-d', '--name', 'base', '--ipc', 'shareable', '--shm-size', '8m', 'busybox', 'sh', '-c', 'echo shared > /dev/shm/f; sleep 60');
      assert.match(must(call, 'run', '--rm', '--ipc', 'container:base', 'busybox', 'sh', '-c', 'cat /dev/shm/f; df -k /dev/shm | tail -1'), /^shared\n\S+\s+8192 /);
      assert.match(call('run', '--rm', '--ipc', 'container:nonesuch', 'busybox', 'true').err, /No such container: nonesuch/);
    },
  ],
  'isolation': [sh(['--isolation', 'default'], 'echo ran', 'ran\n'), refused(['--isolation', 'hyperv'], /invalid isolation 'hyperv' on linux/)],
  'kernel-memory': sh(['--kernel-memory', '10m'], 'echo ran', 'ran\n'),
  'label': shown(['-l', 'a=b', '--label', 'c'], '{{index .Config.Labels "a"}}{{index .Config.Labels "c"}}', 'b'),
  'label-file': (call) => {
    writeFileSync(join(s.scratch, 'labels'), 'from=file\n# no\n');
    must(call, 'create', '--name', 'cc', '--label-file', join(s.scratch, 'labels'), 'busybox');
    assert.equal(s.inspect('cc', '{{json .Config.Labels}}'), '{"from":"file"}');
  },
  'link': (call) => {
    must(call, 'run', '-d', '--name', 'db', 'busybox', 'sleep', '60');
    assert.match(must(call, 'run', '--rm', '--link', 'db:store', 'busybox', 'cat', '/etc/hosts'), new RegExp(`^${s.inspect('db', '{{.NetworkSettings.IPAddress}}')}\tstore`, 'm'));
  },
  'link-local-ip': onNetwork(['--link-local-ip', '169.254.8.8'], 'ip -4 addr show eth0', /inet 169\.254\.8\.8\/16/),
  'log-driver': [
    (call) => {
      must(call, 'run', '--name', 'cc', '--log-driver', 'none', 'busybox', 'echo', 'said');
      assert.match(call('logs', 'cc').err, /configured logging driver does not support reading/);
    },
    refused(['--log-driver', 'nonesuch'], /logger: no log driver named 'nonesuch' is registered/),
  ],
  'log-opt': [
    (call) => {
      must(call, 'run', '--name', 'cc', '--log-opt', 'max-size=4k', '--log-opt', 'max-file=2', 'busybox', 'sh', '-c', 'i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done');
      const said = must(call, 'logs', 'cc');
      assert.ok(said.length < 20_000 && said.endsWith('line 1999\n'), `${said.length} bytes were kept`);
    },
    refused(['--log-opt', 'nonesuch=1'], /unknown log opt 'nonesuch' for json-file log driver/),
  ],
  'mac-address': sh(['--mac-address', '02:42:ac:11:00:99'], 'cat /sys/class/net/eth0/address', '02:42:ac:11:00:99\n'),
  'memory': [cgroup(['-m', '64m'], ['memory/memory.limit_in_bytes', 'memory.max'], '67108864\n'), refused(['-m', '1m'], /Minimum memory limit allowed is 6MB/)],
  'memory-reservation': [cgroup(['--memory-reservation', '32m'], ['memory/memory.soft_limit_in_bytes', 'memory.low'], '33554432\n'), refused(['-m', '32m', '--memory-reservation', '64m'], /Minimum memory limit can not be less than memory reservation limit/)],
  'memory-swap': [cgroup(['-m', '64m', '--memory-swap', '96m'], ['memory/memory.memsw.limit_in_bytes', 'memory.swap.max'], '100663296\n', '33554432\n'), refused(['-m', '64m', '--memory-swap', '32m'], /Minimum memoryswap limit should be larger than memory limit/)],
  'memory-swappiness': V2 ? sh(['--memory-swappiness', '10'], 'echo ran', 'ran\n') : cgroup(['--memory-swappiness', '10'], ['memory/memory.swappiness', ''], '10\n'),
  'mount': (call) => {
    writeFileSync(join(s.scratch, 'f'), 'data\n');
    const out = must(call, 'run', '--rm', '--mount', `type=bind,src=${s.scratch},dst=/b,readonly`, '--mount', 'type=tmpfs,dst=/t,tmpfs-size=1m', '--mount', 'type=volume,dst=/v', '--mount', 'type=image,src=busybox,dst=/i', 'busybox', 'sh', '-c', 'cat /b/f; touch /b/x; df -k /t | tail -1; ls /i/bin/sh; touch /v/x && echo written');
    assert.match(out, /^data\n.* 1024 .*\n\/i\/bin\/sh\nwritten\n$/);
  },
  'name': (call) => {
    must(call, 'create', '--name', 'once', 'busybox');
    assert.match(call('create', '--name', 'once', 'busybox').err, /Conflict\. The container name "\/once" is already in use by container "[0-9a-f]{64}"/);
  },
  'network': [sh(['--network', 'none'], 'ls /sys/class/net', 'lo\n'), refused(['--network', 'nonesuch'], /network nonesuch not found/)],
  'network-alias': (call) => {
    const name = `al${Math.random().toString(36).slice(2, 8)}`;
    must(call, 'network', 'create', name);
    try {
      must(call, 'create', '--name', 'cc', '--network', name, '--network-alias', 'one', '--network-alias', 'two', 'busybox');
      assert.match(s.inspect('cc', `{{json (index .NetworkSettings.Networks "${name}").Aliases}}`), /"one","two"/);
    } finally {
      must(call, 'rm', '-f', 'cc');
      must(call, 'network', 'rm', name);
    }
  },
  'no-healthcheck': shown(['--no-healthcheck'], '{{json .Config.Healthcheck.Test}}', '["NONE"]'),
  'oom-kill-disable': V2 ? sh(['--oom-kill-disable'], 'echo ran', 'ran\n') : cgroup(['--oom-kill-disable', '-m', '20m'], ['memory/memory.oom_control', ''], /oom_kill_disable 1/),
  'oom-score-adj': [sh(['--oom-score-adj', '500'], 'cat /proc/self/oom_score_adj', '500\n'), refused(['--oom-score-adj', '2000'], /Invalid value 2000, range for oom score adj is \[-1000, 1000\]/)],
  'pid': [sh(['--pid', 'host'], 'test -d /proc/$$ && test $$ != 1 && echo host', 'host\n'), refused(['--pid', 'x'], /--pid: invalid PID mode/)],
  'pids-limit': cgroup(['--pids-limit', '50'], ['pids/pids.max', 'pids.max'], '50\n'),
  'platform': [sh(['--platform', process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64'], 'echo ran', 'ran\n'), refused(['--platform', 'linux/s390x', '--pull', 'never'], /was found but its platform \(linux\/\w+\) does not match the specified platform \(linux\/s390x\)/)],
  'privileged': sh(['--privileged'], 'test -e /dev/kmsg && grep Seccomp: /proc/self/status', /Seccomp:\s+0/),
  'publish': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '-p', `127.0.0.1:${PORT}:80/tcp`, '-p', `${PORT + 1}:53/udp`, 'busybox', 'httpd', '-f', '-p', '80');
    assert.match(must(call, 'port', 'cc'), new RegExp(`53/udp -> 0\\.0\\.0\\.0:${PORT + 1}[\\s\\S]*80/tcp -> 127\\.0\\.0\\.1:${PORT}`));
    assert.equal(run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--retry', '3', '--retry-connrefused', `http://127.0.0.1:${PORT}/`]).out, '404');
  },
  'publish-all': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--expose', '80', '-P', 'busybox', 'sleep', '60');
    assert.match(must(call, 'port', 'cc', '80'), /^0\.0\.0\.0:\d+$/m);
  },
  'pull': [(call) => {
    const ran = call('run', '--rm', '--pull', 'never', 'nonesuch:v1');
    assert.equal(ran.code, 125);
    assert.match(ran.err, /No such image: nonesuch:v1/);
  }, refused(['--pull', 'sometimes'], /invalid pull option: 'sometimes': must be one of "always", "missing" or "never"/)],
  'quiet': (call, cli) => {
    // A registry that does not answer takes its time: one of them asks it.
    const ran = cli === 'docker' ? call('run', '--rm', '-q', 'busybox', 'echo', 'ran') : call('run', '-q', '--pull', 'always', 'busybox', 'true');
    assert.deepEqual([ran.code, ran.out], cli === 'docker' ? [0, 'ran\n'] : [125, '']);
  },
  'read-only': sh(['--read-only'], 'touch /x 2>&1; true', /Read-only file system/),
  'restart': async (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--restart', 'on-failure:2', 'busybox', 'false');
    await until('two restarts', () => s.inspect('cc', '{{.RestartCount}} {{.State.Status}}') === '2 exited');
    assert.match(call('run', '--restart', 'sometimes', 'busybox').err, /invalid restart policy: unknown policy 'sometimes'/);
  },
  'rm': (call) => {
    must(call, 'run', '--rm', '--name', 'cc', '-v', '/anon', 'busybox', 'true');
    assert.notEqual(call('inspect', 'cc').code, 0);
    assert.equal(must(call, 'volume', 'ls', '-q'), '');
  },
  'runtime': [sh(['--runtime', 'naru'], 'echo ran', 'ran\n'), sh(['--runtime', 'runc'], 'echo ran', 'ran\n'), refused(['--runtime', 'nonesuch'], /unknown or invalid runtime name: nonesuch/)],
  'security-opt': [
    sh(['--security-opt', 'seccomp=unconfined', '--security-opt', 'no-new-privileges'], 'grep -E "Seccomp:|NoNewPrivs" /proc/self/status', /NoNewPrivs:\s+1\nSeccomp:\s+0/),
    sh(['--security-opt', 'systempaths=unconfined'], 'head -c 4 /proc/timer_list | wc -c', '4\n'), refused(['--security-opt', 'nonesuch=1'], /invalid --security-opt/),
  ],
  'shm-size': sh(['--shm-size', '32m'], 'df -k /dev/shm | tail -1', / 32768 /),
  'sig-proxy': async (_call, cli) => {
    const trap = 'trap "exit 42" TERM; echo ready; while :; do sleep 0.05; done';
    const ran = await s.d.signalled(cli, ['run', '--rm', '--sig-proxy=true', 'busybox', 'sh', '-c', trap], { after: 'ready', signal: 'SIGTERM' });
    assert.equal(ran.code, 42);
  },
  'stop-signal': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--stop-signal', 'USR1', 'busybox', 'sh', '-c', 'trap "exit 9" USR1; echo ready; while :; do sleep 0.05; done');
    return until('ready', () => s.d.ok('logs', 'cc') === 'ready').then(() => {
      must(call, 'stop', 'cc');
      assert.equal(s.inspect('cc', '{{.State.ExitCode}}'), '9');
    });
  },
  'stop-timeout': (call) => {
    must(call, 'run', '-d', '--name', 'cc', '--stop-timeout', '1', 'busybox', 'sh', '-c', 'trap "" TERM; sleep 60');
    const began = Date.now();
    must(call, 'stop', 'cc');
    assert.ok(Date.now() - began < 6000);
    assert.equal(s.inspect('cc', '{{.State.ExitCode}}'), '137');
  },
  'storage-opt': [refused(['--storage-opt', 'size=1G'], /--storage-opt is supported only for overlay over xfs with 'pquota' mount option/), refused(['--storage-opt', 'nonesuch=1'], /Unknown option nonesuch/)],
  'sysctl': [sh(['--sysctl', 'net.ipv4.ip_forward=0'], 'cat /proc/sys/net/ipv4/ip_forward', '0\n'), refused(['--sysctl', 'kernel.panic=1'], /sysctl.*kernel\.panic/)],
  'tmpfs': sh(['--tmpfs', '/run:size=64k,mode=700'], 'grep " /run " /proc/mounts', /tmpfs.*size=64k,mode=700/),
  'tty': sh(['-t'], 'tty', /^\/dev\/pts\/0\r?\n$/),
  'ulimit': [sh(['--ulimit', 'nofile=123:456'], 'ulimit -n; ulimit -Hn', '123\n456\n'), refused(['--ulimit', 'x=1'], /invalid (ulimit type|argument)/)],
  'use-api-socket': sh(['--use-api-socket', '--network', 'none'], 'test -S /var/run/docker.sock && echo there', 'there\n'),
  'user': [sh(['-u', 'alice'], 'id -u; id -g', '1000\n1000\n'), refused(['-u', 'nobodyhere'], /unable to find user nobodyhere: no matching entries in passwd file/)],
  'userns': [sh(['--userns', 'host'], 'cat /proc/self/uid_map', /^\s+0\s+0\s+4294967295\n$/), refused(['--userns', 'x'], /--userns: invalid USER mode/)],
  'uts': sh(['--uts', 'host'], 'hostname', readFileSync('/proc/sys/kernel/hostname', 'utf8')),
  'volume': (call) => {
    const name = `vol${Math.random().toString(36).slice(2, 10)}`;
    must(call, 'run', '--rm', '-v', `${name}:/etc`, 'busybox', 'sh', '-c', 'echo kept > /etc/kept');
    assert.match(must(call, 'run', '--rm', '-v', `${name}:/data:ro`, 'busybox', 'cat', '/data/kept', '/data/group'), /^kept\nroot/);
    must(call, 'volume', 'rm', name);
  },
  'volume-driver': [
    (call) => {
      const name = `vd${Math.random().toString(36).slice(2, 10)}`;
      must(call, 'run', '--rm', '--volume-driver', 'local', '-v', `${name}:/v`, 'busybox', 'true');
      assert.equal(must(call, 'volume', 'inspect', '-f', '{{.Driver}}', name), 'local\n');
      must(call, 'volume', 'rm', name);
    },
    refused(['--volume-driver', 'nonesuch', '-v', 'vvv:/x'], /error looking up volume plugin nonesuch: plugin "nonesuch" not found/),
  ],
  'volumes-from': (call) => {
    must(call, 'run', '--name', 'with', '-v', '/shared', 'busybox', 'touch', '/shared/f');
    assert.equal(must(call, 'run', '--rm', '--volumes-from', 'with:ro', 'busybox', 'sh', '-c', 'ls /shared; touch /shared/g 2>/dev/null || echo ro'), 'f\nro\n');
  },
  'workdir': sh(['-w', '/a/b'], 'pwd', '/a/b\n'),
};

describe('each flag of run', () => {
  for (const [flag, rows] of Object.entries(ROWS)) {
    test(`--${flag}`, async () => {
      for (const cli of CLIS) {
        for (const row of Array.isArray(rows) ? rows as Row[] : [rows as Row]) await check(row, cli);
        await s.d.removeAll();
      }
    });
  }
});

async function check(row: Row, cli: Cli): Promise<void> {
  const call: Call = (...args) => s.d[cli](...args);
  if (typeof row === 'function') return row(call, cli);
  const line = [cli, 'run', ...row.flags].join(' ');
  const ran = call('run', '--rm', ...row.flags, 'busybox', 'sh', '-c', 'script' in row ? row.script! : 'true');
  assert.equal(ran.code, 'code' in row ? row.code : 0, `${line}: ${ran.err}${ran.out}`);
  if ('code' in row) assert.match(ran.err, row.err, line);
  else if (typeof row.out === 'string') assert.equal(ran.out, row.out, line);
  else if (row.out !== undefined) assert.match(ran.out, row.out, line);
}

test('no flag of Docker’s run and create is left out', () => {
  const rows = new Set(Object.keys(ROWS));
  for (const verb of ['run', 'create']) {
    const flags = [...dockerFlags(verb).keys()];
    assert.ok(flags.length > 95, `docker ${verb} --help was not understood: ${flags.length} flags`);
    assert.deepEqual(flags.filter((flag) => !rows.has(flag)), [], verb);
    const ours = s.d.naru(verb, '--help').out;
    assert.deepEqual(flags.filter((flag) => !new RegExp(`--${flag}\\b`).test(ours) && !HIDDEN.has(flag)), [], `naru ${verb} --help`);
  }
});
/** What ours takes and does not advertise. */
const HIDDEN = new Set(['help', 'kernel-memory', 'cpu-count', 'cpu-percent', 'io-maxbandwidth', 'io-maxiops', 'disable-content-trust', 'isolation']);
