import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { NARU, run } from '../support/daemon.ts';
import { suite, until } from '../support/two-clients.ts';

/** `daemon.json`: Docker's keys, what they change, what is refused, and what a SIGHUP reads again. */
let file = '';
const FIRST = {
  'log-opts': { 'max-size': '1m', 'max-file': '2' }, 'default-ulimits': { nofile: { Name: 'nofile', Soft: 321, Hard: 654 } }, 'default-shm-size': '9m', 'default-ipc-mode': 'shareable',
  dns: ['9.9.9.9'], 'dns-opts': ['ndots:3'], 'dns-search': ['corp.example'], labels: ['rack=7'], init: true, 'no-new-privileges': true, 'live-restore': true, 'storage-driver': 'overlay2',
  'insecure-registries': ['reg.example:5000', '10.0.0.0/8'], 'registry-mirrors': ['http://127.0.0.1:1'], 'exec-opts': ['native.cgroupdriver=cgroupfs'],
};
const s = suite({ prepare: (daemon) => {
  file = join(daemon.root, 'daemon.json');
  writeFileSync(file, JSON.stringify(FIRST));
  daemon.words.push('--config-file', file);
} });

describe('what it changes', () => {
  s.both('containers get the defaults, and what they ask for wins', (call) => {
    const seen = (...flags: string[]): string => call('run', '--rm', ...flags, 'busybox', 'sh', '-c', 'ulimit -n; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; cat /etc/resolv.conf | grep -v "^#"; grep NoNewPrivs /proc/self/status; cat /proc/1/comm; true').out;
    assert.equal(seen(), '321\n9216\nnameserver 9.9.9.9\nsearch corp.example\noptions ndots:3\nNoNewPrivs:\t1\ndocker-init\n');
    assert.match(seen('--ulimit', 'nofile=55', '--shm-size', '2m', '--dns', '8.8.8.8', '--init=false', '--security-opt', 'no-new-privileges=false'), /^55\n2048\nnameserver 8\.8\.8\.8\n[\s\S]*NoNewPrivs:\t0\nsh\n$/);
    call('create', '--name', 'cc', 'busybox');
    assert.equal(s.inspect('cc', '{{json .HostConfig.LogConfig}} {{.HostConfig.IpcMode}}'), '{"Type":"json-file","Config":{"max-file":"2","max-size":"1m"}} shareable');
  });

  s.both('info tells', (call) => {
    assert.equal(call('info', '-f', '{{json .Labels}} {{.LoggingDriver}} {{json .RegistryConfig.Mirrors}} {{json .RegistryConfig.InsecureRegistryCIDRs}} {{(index .RegistryConfig.IndexConfigs "reg.example:5000").Secure}}').out,
      '["rack=7"] json-file ["http://127.0.0.1:1"] ["10.0.0.0/8","::1/128","127.0.0.0/8"] false\n');
    assert.match(call('info').out, /^ *Backing Filesystem: [a-z0-9]+$/m);
    assert.equal(call('info', '-f', '{{with index .RegistryConfig.IndexConfigs "docker.io"}}{{.Official}} {{json .Mirrors}}{{end}}').out, 'true ["http://127.0.0.1:1"]\n');
    assert.match(call('version', '-f', '{{.Server.GitCommit}} {{.Server.BuildTime}}').out, /^[0-9a-f]{7,} \d{4}-\d\d-\d\dT\S+\n$/);
  });

  test('a mirror is asked first for what Docker Hub has; SIGHUP reads another one, a broken file changes nothing', async () => {
    const asked: string[] = [];
    const mirror = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
    });
    await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}`;
      writeFileSync(file, JSON.stringify({ ...FIRST, 'registry-mirrors': [url], labels: ['rack=8'] }));
      process.kill(s.d.scope.daemonPid, 'SIGHUP');
      await until('the label', () => s.d.ok('info', '-f', '{{json .Labels}}') === '["rack=8"]');
      assert.equal(s.d.ok('info', '-f', '{{json .RegistryConfig.Mirrors}}'), JSON.stringify([url]));
      // The mirror answers in this process: the client must not block it.
      const { spawn } = await import('node:child_process');
      await new Promise((resolve) => spawn('docker', ['-H', `unix://${s.d.socket}`, 'pull', 'library/nonesuch:v1'], { stdio: 'ignore' }).once('exit', resolve));
      assert.ok(asked.some((path) => path.startsWith('/v2/library/nonesuch/manifests/v1')), asked.join());
      assert.match(s.d.ok('events', '--since', '1m', '--until', '0s', '-f', 'type=daemon', '--format', '{{.Action}}'), /^reload$/m);
      writeFileSync(file, '{"labels": ["rack=9"], "nonesuch": 1}');
      process.kill(s.d.scope.daemonPid, 'SIGHUP');
      await until('the refusal', () => s.d.log().includes("the following directives don't match any configuration option: nonesuch"));
      assert.equal(s.d.ok('info', '-f', '{{json .Labels}}'), '["rack=8"]');
    } finally {
      mirror.close();
      writeFileSync(file, JSON.stringify(FIRST));
    }
  });
});

test('what is wrong is refused, by name', () => {
  const other = join(s.scratch, 'other.json');
  const check = (document: unknown, ...words: string[]): ReturnType<typeof run> => {
    writeFileSync(other, typeof document === 'string' ? document : JSON.stringify(document));
    return run(NARU, ['daemon', '--validate', '--config-file', other, ...words]);
  };
  const good = check(FIRST);
  assert.equal(good.code, 0, good.err);
  assert.equal(good.err, 'configuration OK\n');
  for (const [document, says, ...words] of [
    [{ bip2: 'x', hostz: [] }, /the following directives don't match any configuration option: bip2, hostz/], ['{', /unable to configure the Docker daemon with file .*other\.json: .*JSON/], [[], /not an object/],
    [{ hosts: 'unix:///x' }, /hosts: not a list of texts/], [{ 'userns-remap': 'default' }, /userns-remap: "default" is not supported/], [{ iptables: false }, /iptables: false is not supported: only true/],
    [{ 'log-driver': 'syslog' }, /no log driver named 'syslog'/], [{ 'log-opts': { nonesuch: '1' } }, /unknown log opt 'nonesuch'/], [{ 'log-opts': { 'max-file': 3 } }, /log-opts\.max-file: not a text/],
    [{ 'default-ulimits': { x: { Soft: 1, Hard: 1 } } }, /invalid ulimit type: x/], [{ dns: ['x'] }, /x is not an ip address/], [{ 'registry-mirrors': ['ftp://x'] }, /invalid mirror: "ftp:\/\/x"/],
    [{ 'storage-driver': 'btrfs' }, /storage-driver: "btrfs" is not supported/], [{ 'log-level': 'loud' }, /"loud" is not one of error, warn, info, debug/], [{ '__proto__x': 1 }, /__proto__x/],
    [{ 'data-root': '/a' }, /specified both as a flag and in the configuration file: data-root: \(from flag: \/b, from file: \/a\)/, '--data-root', '/b'],
  ] as [unknown, RegExp, ...string[]][]) {
    const ran = check(document, ...words);
    assert.equal(ran.code, 1, JSON.stringify(document));
    assert.match(ran.err, says);
    assert.match(ran.err, /^naru daemon: unable to configure the Docker daemon with file /);
  }
  assert.match(run(NARU, ['daemon', '--validate', '--config-file', '/nonesuch.json']).err, /no such file|ENOENT/);
});
