import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import type { OciMount, OciSpec } from '#spec/oci-runtime.ts';
import { NARU, RuntimeBundles, type Said, type Bundle, until } from '../support/runtime-bundles.ts';

/**
 * The attacks on the setting-up of containers, by their numbers in README.md, made for real on `naru runtime`. NARU_ATTACKED:
 * another executable (one with a defence taken out), to see that each attack is one.
 */
const attacked = process.env['NARU_ATTACKED'] ?? NARU;
const bundles = new RuntimeBundles([attacked, 'runtime']);
after(() => bundles.destroy());

const victim = (name: string): string => {
  const path = join(bundles.top, `victim-${name}`);
  mkdirSync(path);
  return path;
};
const run = ({ id, path }: Bundle): Said => bundles.run(['run', '-b', path, id]);
const withoutDev = (spec: OciSpec): void => { spec.mounts = spec.mounts!.filter(({ destination }) => !destination.startsWith('/dev')); };
const mount = (...mounts: OciMount[]) => (spec: OciSpec): void => void spec.mounts!.push(...mounts);
function compile(bundle: Bundle, name: string, source: string): void {
  const file = join(bundles.top, `${name}.c`);
  writeFileSync(file, source);
  const built = spawnSync('cc', ['-static', '-O1', '-w', '-o', join(bundle.rootfs, name), file], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
}
/** A container that sleeps, started. */
function sleeper(change?: (spec: OciSpec) => void): Bundle {
  const bundle = bundles.bundle(['sleep', '100'], change);
  assert.equal(bundles.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  return bundle;
}
const remove = ({ id }: Bundle): void => assert.equal(bundles.run(['delete', '--force', id]).status, 0);

test('attack 1 (CVE-2019-5736): the helper that a container sees cannot be written to, not even once it has ended', async () => {
  const bundle = bundles.bundle(['/attacker']);
  compile(bundle, 'attacker', `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <time.h>
int main(void) {
  int held[64], n = 0; char p[64], to[128];
  time_t end = time(0) + 6;
  while (time(0) < end) {
    for (int pid = 2; pid < 400 && n < 64; pid++) {
      sprintf(p, "/proc/%d/exe", pid);
      ssize_t l = readlink(p, to, sizeof to - 1);
      if (l < 0) continue;
      to[l] = 0;
      if (!strstr(to, "naru")) continue;
      int fd = open(p, O_PATH);
      if (fd >= 0) held[n++] = fd;
    }
    for (int i = 0; i < n; i++) {
      sprintf(p, "/proc/self/fd/%d", held[i]);
      int fd = open(p, O_WRONLY);
      if (fd < 0) continue;
      int seen = open("/seen", O_CREAT | O_WRONLY, 0666); close(seen);
      if (write(fd, "#!", 2) == 2) { int o = open("/written", O_CREAT | O_WRONLY, 0666); close(o); return 0; }
      close(fd);
    }
  }
  return 0;
}`);
  symlinkSync('/proc/self/exe', join(bundle.rootfs, 'self'));
  assert.equal(bundles.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  for (let i = 0; i < 15 && !existsSync(join(bundle.rootfs, 'written')); i++) bundles.run(['exec', bundle.id, i % 2 === 0 ? '/self' : '/proc/self/exe']);
  await until(() => bundles.state(bundle.id).status === 'stopped');
  assert.ok(!existsSync(join(bundle.rootfs, 'written')), 'the helper was written to');
  remove(bundle);
});

test('attack 2 (CVE-2024-21626): a working directory that is a descriptor of the host', () => {
  const container = sleeper();
  writeFileSync(join(bundles.top, 'host-only'), 'secret');
  const climb = `for up in . .. ../.. ../../.. ../../../..; do cat $up${bundles.top}/host-only 2>/dev/null; done; readlink /proc/self/fd/[3-9]`;
  for (let fd = 3; fd < 24; fd += 2) {
    const ran = run(bundles.bundle(climb, (s) => { s.process!.cwd = `/proc/self/fd/${fd}`; }));
    assert.doesNotMatch(ran.out, /secret/, `fd ${fd}`);
    const inside = bundles.run(['exec', '--cwd', `/proc/self/fd/${fd}`, container.id, 'sh', '-c', climb]);
    assert.doesNotMatch(inside.out, /secret/, `fd ${fd}, exec`);
  }
  remove(container);
});

test('attack 2, by descriptors that the caller leaked', () => {
  const leaky = (words: string): string => spawnSync('bash', ['-c', `exec 20</ 21<${bundles.top}; ${[attacked, 'runtime', '--root', bundles.root].join(' ')} ${words}`], { encoding: 'utf8' }).stdout;
  const one = bundles.bundle('ls /proc/self/fd | tr "\\n" " "');
  assert.equal(leaky(`run -b ${one.path} ${one.id}`).trim(), '0 1 2 3');
  const container = sleeper();
  assert.equal(leaky(`exec ${container.id} sh -c 'ls /proc/self/fd | tr "\\n" " "'`).trim(), '0 1 2 3');
  remove(container);
});

test('attack 3 (CVE-2025-31133): a /dev/null that is a link, while paths are masked', () => {
  const bundle = bundles.bundle('cat /masked; stat -c %t:%T /masked', (s) => {
    withoutDev(s);
    mount({ destination: '/masked', source: '/etc/hostname', options: ['bind'] })(s);
    s.linux!.maskedPaths = ['/masked'];
  });
  mkdirSync(join(bundle.rootfs, 'secret'));
  writeFileSync(join(bundle.rootfs, 'secret/file'), 'unmasked');
  symlinkSync('/secret/file', join(bundle.rootfs, 'dev/null'));
  assert.equal(run(bundle).out, '1:3\n');
});

test('attack 4 (CVE-2025-52565): a /dev/console that is a link', () => {
  const target = victim('console');
  const bundle = bundles.bundle('true', (s) => {
    withoutDev(s);
    mount({ destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['newinstance', 'ptmxmode=0666', 'mode=0620'] })(s);
    s.process!.terminal = true;
  });
  symlinkSync(join(target, 'made'), join(bundle.rootfs, 'dev/console'));
  spawnSync('script', ['-qec', `${attacked} runtime --root ${bundles.root} run -b ${bundle.path} ${bundle.id}`, '/dev/null'], { timeout: 20_000 });
  assert.deepEqual(readdirSync(target), [], 'a file was made on the host');
});

test('attack 5 (CVE-2025-52881): a sysctl into a procfs that is none', () => {
  const bundle = bundles.bundle(['sleep', '100'], (s) => {
    s.mounts = s.mounts!.filter(({ destination }) => destination !== '/proc');
    s.linux!.maskedPaths = s.linux!.readonlyPaths = [];
    s.linux!.sysctl = { 'net.ipv4.ip_default_ttl': '77' };
  });
  mkdirSync(join(bundle.rootfs, 'proc/sys/net/ipv4'), { recursive: true });
  writeFileSync(join(bundle.rootfs, 'proc/sys/net/ipv4/ip_default_ttl'), 'fake');
  assert.equal(bundles.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  const { pid } = bundles.state(bundle.id);
  assert.equal(readFileSync(join(bundle.rootfs, 'proc/sys/net/ipv4/ip_default_ttl'), 'utf8'), 'fake');
  assert.equal(spawnSync('nsenter', ['-t', String(pid), '-n', 'cat', '/proc/sys/net/ipv4/ip_default_ttl'], { encoding: 'utf8' }).stdout, '77\n');
  remove(bundle);
});

test('attack 6 (CVE-2026-41579): a rootfs whose /dev, /proc or /sys leads to the host', () => {
  for (const [name, change] of [['dev', withoutDev], ['dev', undefined], ['sys', undefined], ['proc', undefined]] as const) {
    const target = join(bundles.top, `linked-${name}-${change === undefined}`);
    mkdirSync(target);
    const bundle = bundles.bundle(`echo x > /${name}/written`, change);
    rmSync(join(bundle.rootfs, name), { recursive: true });
    symlinkSync(target, join(bundle.rootfs, name));
    const ran = run(bundle);
    assert.deepEqual(readdirSync(target), [], `${name}: ${ran.err}`);
  }
});

test('attack 7 (CVE-2021-30465, CVE-2024-45310): a mount point that is exchanged for a link while containers start', async () => {
  const target = victim('race');
  const shared = join(bundles.top, 'shared');
  mkdirSync(join(shared, 'd'), { recursive: true });
  symlinkSync(target, join(shared, 'l'));
  // As a container that shares the volume would: renameat2(RENAME_EXCHANGE) as fast as it goes.
  const source = join(bundles.top, 'exchange.c');
  writeFileSync(source, `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int c, char **v) { chdir(v[1]); for (;;) renameat2(AT_FDCWD, "d", AT_FDCWD, "l", 2); }`);
  assert.equal(spawnSync('cc', ['-O1', '-w', '-o', join(bundles.top, 'exchange'), source]).status, 0);
  const racer = spawn(join(bundles.top, 'exchange'), [shared], { stdio: 'ignore' });
  try {
    const mounts = Array.from({ length: 12 }, (_, i): OciMount => ({ destination: `/shared/d/sub${i}/deep`, source: '/etc', options: ['bind'] }));
    let started = 0;
    for (let i = 0; i < 15; i++) {
      const ran = run(bundles.bundle('echo done', (s) => {
        mount({ destination: '/shared', source: shared, options: ['rbind'] }, ...mounts)(s);
      }));
      started += ran.out === 'done\n' ? 1 : 0;
      assert.deepEqual(readdirSync(target), [], `start ${i} made something on the host`);
    }
    console.log(`${started} of 15 started`);
  } finally {
    racer.kill('SIGKILL');
  }
});

test('attack 8 (CVE-2019-16884, CVE-2019-19921): something else over /proc, said plainly or through a link', () => {
  for (const destination of ['/proc', '/proc/.', '//proc/self', '/proc/sys/net']) {
    const ran = run(bundles.bundle('echo started', mount({ destination, type: 'tmpfs', source: 'tmpfs' })));
    assert.deepEqual([ran.status, ran.out], [1, ''], destination);
  }
  const linked = bundles.bundle('echo started; ls /proc/self', mount({ destination: '/link', type: 'tmpfs', source: 'tmpfs' }));
  symlinkSync('proc', join(linked.rootfs, 'link'));
  assert.deepEqual([run(linked).status, run(linked).out], [1, '']);
  const deeper = bundles.bundle('echo started', mount({ destination: '/link/attr', source: '/tmp', options: ['bind'] }));
  symlinkSync('proc/self', join(deeper.rootfs, 'link'));
  assert.deepEqual([run(deeper).status, run(deeper).out], [1, '']);
});

test('attack 9 (CVE-2022-0492): the cgroups that a container sees are not its to change', () => {
  const { out } = run(bundles.bundle('for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/mine 2>/dev/null && echo made $d; for f in release_agent notify_on_release cgroup.procs memory.max; do [ -e $d/$f ] && (echo 1 > $d/$f) 2>/dev/null && echo wrote $d/$f; done; done; mkdir /tmp/c; mount -t cgroup -o memory none /tmp/c 2>/dev/null && echo mounted; echo done'));
  assert.equal(out, 'done\n');
});

test('attack 9 (CVE-2023-25809), rootless: groups that were given to a user, below the host\'s /sys that his container sees', () => {
  const uid = 12_347;
  const unified = detectCgroups().unifiedRoot!;
  const group = join(unified, `naru-attack-${process.pid}`);
  const home = join(bundles.top, 'home');
  mkdirSync(group);
  try {
    const { path, rootfs } = bundles.bundle(`for d in ${group} ${unified}; do mkdir $d/mine 2>/dev/null && echo made $d; (echo 1 > $d/cgroup.procs) 2>/dev/null && echo moved $d; done; [ -d ${group} ] && echo done`, (s) => {
      s.linux!.namespaces = [...s.linux!.namespaces!.filter(({ type }) => type !== 'network' && type !== 'cgroup'), { type: 'user' }];
      s.linux!.uidMappings = s.linux!.gidMappings = [{ containerID: 0, hostID: uid, size: 1 }];
      s.mounts = s.mounts!.filter(({ destination }) => !destination.startsWith('/sys')).map((m) => ({ ...m, options: m.options!.filter((o) => !o.startsWith('gid=')) }));
      mount({ destination: '/sys', source: '/sys', type: 'none', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] })(s);
      delete s.linux!.resources;
      delete s.linux!.cgroupsPath;
      s.linux!.maskedPaths = [];
    });
    mkdirSync(home);
    const program = join(home, 'naru');
    copyFileSync(attacked, program);
    for (const [owned, deep] of [[home, true], [rootfs, true], [path, false], [group, true]] as const) spawnSync('chown', [...(deep ? ['-R'] : []), `${uid}:${uid}`, owned]);
    spawnSync('chmod', ['711', bundles.top]);
    const ran = spawnSync('setpriv', ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', program, 'runtime', '--root', join(home, 'root'), 'run', '-b', path, 'attack'], { encoding: 'utf8' });
    assert.equal(ran.stdout, 'done\n', ran.stderr);
  } finally {
    spawnSync('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+']);
  }
});

test('attack 10 (CVE-2022-24769): no capability is inheritable or ambient that nobody asked for', () => {
  const sets = 'grep -E "Cap(Inh|Amb)" /proc/self/status';
  const none = 'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n';
  assert.equal(run(bundles.bundle(sets)).out, none);
  const container = sleeper();
  assert.equal(bundles.run(['exec', '--cap', 'CAP_NET_ADMIN', container.id, 'sh', '-c', sets]).out, none);
  assert.equal(bundles.run(['exec', '-u', '5', container.id, 'sh', '-c', sets]).out, none);
  remove(container);
});

test('attack 11 (CVE-2026-30892, CVE-2024-40635, CVE-2022-36109): exec -u is who it says, or nobody', () => {
  const container = sleeper();
  for (const user of ['0x0', '4294967296', '2147483648', '-1', '1000:-1', '1000:4294967296', ' 0', '1e3', '', ':0x1', '5:6x', '99999999999999999999']) {
    const ran = bundles.run(['exec', '-u', user, container.id, 'id', '-u']);
    assert.ok(ran.status !== 0 && !/^0$/m.test(ran.out), `${JSON.stringify(user)}: ${ran.out}`);
  }
  assert.equal(bundles.run(['exec', '-u', '1000:1000', container.id, 'id']).out, 'uid=1000 gid=1000\n');
  remove(container);
});

test('attack 12: an id or a cgroup path that climbs', () => {
  const outside = victim('id');
  const bundle = bundles.bundle('true');
  for (const id of ['../victim-id/x', '..', '.', 'a/../../victim-id/x', '/etc', 'x\ny', '']) {
    assert.equal(bundles.run(['create', '-b', bundle.path, id]).status, 1, id);
    for (const verb of ['state', 'delete', 'kill', 'start']) assert.notEqual(bundles.run([verb, id]).status, 0, `${verb} ${id}`);
  }
  writeFileSync(join(outside, 'state.json'), '{}');
  assert.notEqual(bundles.run(['delete', '--force', '../victim-id']).status, 0);
  assert.ok(existsSync(join(outside, 'state.json')), 'removed through an id');
  const climbing = bundles.bundle('true', (s) => { s.linux!.cgroupsPath = `${bundles.parent}/../../../naru-climbed`; });
  assert.match(run(climbing).err, /\/linux\/cgroupsPath: .* has a "\.\." in it/);
});

test('attack 13 (CVE-2021-43784): lengths that overflow', () => {
  const range = (n: number): object[] => Array.from({ length: n }, (_, i) => ({ containerID: i, hostID: 100_000 + i, size: 1 }));
  for (const change of [
    (s: OciSpec) => { s.process!.user.additionalGids = Array.from({ length: 70_000 }, (_, i) => i); },
    (s: OciSpec) => { s.linux!.namespaces!.push({ type: 'user' }); s.linux!.uidMappings = range(5000) as never; s.linux!.gidMappings = range(5000) as never; },
    (s: OciSpec) => { s.process!.env = ['A='.padEnd(5 * 1024 * 1024, 'x'), 'B='.padEnd(5 * 1024 * 1024, 'x'), 'C='.padEnd(5 * 1024 * 1024, 'x')]; },
  ]) {
    const ran = run(bundles.bundle('echo started', change));
    assert.deepEqual([ran.status, ran.out], [1, ''], ran.err.slice(0, 200));
  }
  // And what the helper itself makes of a plan whose lengths lie.
  const helper = join(import.meta.dirname, '../../dist/obj/naru-helper');
  const check = (bytes: Uint8Array): number | null => {
    const file = join(bundles.top, 'plan');
    writeFileSync(file, bytes);
    const fd = openSync(file, 'r');
    try {
      return spawnSync(process.env['NARU_ATTACKED_HELPER'] ?? helper, ['check'], { stdio: ['ignore', 'ignore', 'ignore', 'ignore', fd] }).status;
    } finally {
      closeSync(fd);
    }
  };
  const plan = (length: number): Uint8Array => {
    const bytes = encodePlan({ ops: [{ name: 'clone', section: 'prepare', why: '', args: { flags: 0, cgroup: -1 } }, { name: 'sethostname', section: 'child', why: '', args: { name: 'abcdefg' } }] as never });
    const argument = new DataView(bytes.buffer).getUint32(16 + 4, true) + 16 + 16;
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(argument + 4, length, true);
    return bytes;
  };
  assert.equal(check(plan(7)), 0);
  for (const length of [8, 64, 0x7fffffff, 0xffffffff, 0xfffffff0]) assert.equal(check(plan(length)), 1, `length ${length}`);
});

test('attack 14 (CVE-2026-31431): system calls that reach the kernel\'s soft spots', () => {
  const bundle = bundles.bundle(['/calls']);
  compile(bundle, 'calls', `#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#define T(name, call) do { errno = 0; if ((call) >= 0 || (errno != 1 && errno != 38 && errno != 97)) printf("%s %d\\n", name, errno); } while (0)
int main(void) {
  T("alg", socket(38, 5, 0)); T("vsock", socket(40, 1, 0)); T("keyctl", syscall(SYS_keyctl, 0, -3, 1)); T("bpf", syscall(SYS_bpf, 0, 0, 0));
  T("io_uring", syscall(425, 1, 0)); T("userfaultfd", syscall(SYS_userfaultfd, 0)); T("clone3", syscall(435, 0, 0)); T("unshare", syscall(SYS_unshare, 0x10000000));
  T("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0)); T("fsopen", syscall(430, "tmpfs", 0)); T("open_tree", syscall(428, -100, "/", 1)); T("personality", syscall(SYS_personality, 0x0400000));
  puts("done"); return 0; }`);
  assert.equal(run(bundle).out, 'done\n');
});

test('attack 15: input pushed back into the caller\'s terminal', () => {
  const bundle = bundles.bundle(['/push']);
  compile(bundle, 'push', `#include <stdio.h>
#include <sys/ioctl.h>
#include <fcntl.h>
int main(void) { char c = 'X'; int pushed = ioctl(0, 0x5412, &c) == 0; int tty = open("/dev/tty", 2) >= 0; printf("pushed %d tty %d\\n", pushed, tty); return 0; }`);
  // Without a terminal of its own, on the caller's.
  const ran = spawnSync('script', ['-qec', `${attacked} runtime --root ${bundles.root} run -b ${bundle.path} ${bundle.id}`, '/dev/null'], { encoding: 'utf8', timeout: 20_000 });
  assert.match(ran.stdout, /pushed 0 tty 0/);
});

test('attack 16 (CVE-2022-0811): the kernel\'s switches', () => {
  const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
  for (const sysctl of [{ 'kernel.core_pattern': '|/x' }, { 'kernel/core_pattern': '|/x' }, { 'net/../kernel/core_pattern': '|/x' }, { 'kernel.modprobe': '/x' }, { 'net.ipv4.ip_forward': '1+kernel.core_pattern=|/x' }]) {
    assert.equal(run(bundles.bundle('true', (s) => { s.linux!.sysctl = sysctl as never; })).status, 1, JSON.stringify(sysctl));
  }
  assert.equal(run(bundles.bundle('for f in sys/kernel/core_pattern sys/kernel/modprobe sysrq-trigger sys/vm/panic_on_oom; do (echo x > /proc/$f) 2>/dev/null && echo wrote $f; done; echo done')).out, 'done\n');
  assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), before);
});

test('attack 17: a filter that would notify its own agent\'s messenger; the listener stays outside', async () => {
  const path = join(bundles.top, 'agent.sock');
  let connections = 0;
  const agent = createServer((socket) => { connections++; socket.resume(); }).listen(path);
  await new Promise((resolve) => agent.once('listening', resolve));
  try {
    const notify = (name: string) => (s: OciSpec): void => { s.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: path, syscalls: [{ names: [name], action: 'SCMP_ACT_NOTIFY' }] }; };
    for (const name of ['sendmsg', 'write']) {
      const hung = bundles.bundle('true', notify(name));
      const log = join(bundles.top, `${name}.log`);
      const ran = spawnSync('timeout', ['-k', '1', '8', attacked, 'runtime', '--log', log, '--root', bundles.root, 'run', '-b', hung.path, hung.id], { stdio: 'ignore' });
      bundles.background('delete', '--force', hung.id);
      assert.equal(ran.status, 1, `${name}: it hangs`);
      assert.match(readFileSync(log, 'utf8'), /\/linux\/seccomp\/syscalls\/0\/action/);
    }
    const open = bundles.bundle('ls /proc/self/fd | tr "\\n" " "', notify('getpriority'));
    assert.equal(run(open).out.trim(), '0 1 2 3');
    await until(() => connections > 0);
    assert.ok(connections > 0);
  } finally {
    agent.close();
  }
});

test('attack 18: the root of a user namespace and what the host has mounted read-only; ids that overlap', () => {
  const host = victim('readonly');
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'x', host]).status, 0);
  try {
    writeFileSync(join(host, 'file'), 'x');
    assert.equal(spawnSync('mount', ['-o', 'remount,bind,ro,nosuid', host]).status, 0);
    const own = (change: (spec: OciSpec) => void): Bundle => {
      const bundle = bundles.bundle('mount -o remount,bind,rw /ro 2>/dev/null; touch /ro/escaped 2>/dev/null && echo escaped; echo done', (s) => {
        s.linux!.namespaces!.push({ type: 'user' });
        s.linux!.uidMappings = s.linux!.gidMappings = [{ containerID: 0, hostID: 0, size: 1 }, { containerID: 1, hostID: 100_001, size: 1000 }];
        for (const set of ['bounding', 'effective', 'permitted'] as const) s.process!.capabilities![set]!.push('CAP_SYS_ADMIN');
        delete s.linux!.seccomp;
        change(s);
      });
      return bundle;
    };
    for (const options of [['rbind'], ['bind'], ['rbind', 'nodev']]) {
      const ran = run(own(mount({ destination: '/ro', source: host, options })));
      assert.equal(ran.out, 'done\n', `${options.join()}: ${ran.err}`);
    }
    assert.ok(!existsSync(join(host, 'escaped')));
    for (const side of ['containerID', 'hostID'] as const) {
      const ran = run(own((s) => { s.linux!.uidMappings = [{ containerID: 0, hostID: 100_000, size: 10 }, { containerID: side === 'containerID' ? 5 : 50, hostID: side === 'hostID' ? 100_005 : 200_000, size: 10 }]; }));
      assert.match(ran.err, new RegExp(`/linux/uidMappings/1/${side}: overlaps`));
    }
  } finally {
    spawnSync('umount', [host]);
  }
});

test('attack 19: a process that has the number of a container\'s first one by now', async () => {
  const container = sleeper();
  // A number is not given again within the tick of the clock in which its process began: what began then would be no other process.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const bystander = spawn('sleep', ['100'], { stdio: 'ignore' });
  try {
    // What the record says of a container whose pid was given again.
    const file = join(bundles.root, container.id, 'state.json');
    const record = JSON.parse(readFileSync(file, 'utf8')) as { init: { pid: number; startTime: number } };
    const { pid } = record.init;
    writeFileSync(file, JSON.stringify({ ...record, init: { pid: bystander.pid, startTime: record.init.startTime } }));
    assert.notEqual(bundles.run(['kill', container.id, 'KILL']).status, 0);
    assert.equal(bundles.state(container.id).status, 'stopped');
    bundles.run(['delete', '--force', container.id]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([bystander.exitCode, bystander.signalCode], [null, null], 'the bystander was killed');
    assert.ok(await until(() => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))));
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('attack 20 (CVE-2020-15257): sockets of ours seen from the host\'s network', () => {
  const bundle = bundles.bundle(['sleep', '100'], (s) => { s.linux!.namespaces = s.linux!.namespaces!.filter(({ type }) => type !== 'network'); });
  assert.equal(bundles.background('create', '-b', bundle.path, bundle.id), 0);
  const names = readFileSync('/proc/net/unix', 'utf8').split('\n').filter((line) => line.includes(bundles.top) || /@.*naru/i.test(line));
  assert.ok(names.some((line) => line.includes('start.sock')), 'the socket is not seen at all');
  assert.deepEqual(names.filter((line) => line.includes('@')), []);
  remove(bundle);
});

test('attack 21 (CVE-2025-23266): hooks do not run with what the container says of its environment', () => {
  const log = join(bundles.top, 'hook-env');
  const hook = [{ path: '/bin/sh', args: ['sh', '-c', `cat /proc/$$/environ | tr "\\0" "\\n" >> ${log}; echo end >> ${log}`] }];
  const ran = run(bundles.bundle('true', (s) => {
    s.process!.env = [...s.process!.env!, 'LD_PRELOAD=/evil.so', 'LD_LIBRARY_PATH=/evil'];
    s.hooks = { prestart: hook, createRuntime: hook, createContainer: hook, poststart: hook, poststop: hook };
  }));
  assert.equal(ran.status, 0, ran.err);
  const seen = readFileSync(log, 'utf8');
  assert.ok(seen.split('end').length > 4, seen);
  assert.doesNotMatch(seen, /evil|LD_/);
});
