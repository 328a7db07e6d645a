import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { NARU, run } from '../support/daemon.ts';
import { suite, until } from '../support/two-clients.ts';

/** Attacks 22 to 31 of the project's list, through a whole daemon: by way of files, users, environments, HTTP and binds. */
const s = suite({ daemon: ['--host', 'tcp://127.0.0.1:0', '--insecure-tcp'] });

/** Sends bytes as they are and resolves with what came back until the daemon closed, or `ms` passed. */
function raw(to: string | number, bytes: string | Uint8Array, ms = 3000): Promise<string> {
  return new Promise((resolve) => {
    const socket = typeof to === 'string' ? connect(to) : connect(to, '127.0.0.1');
    let got = '';
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(got);
    };
    const timer = setTimeout(end, ms);
    socket.on('data', (part: Buffer) => (got += part.toString('latin1'))).on('close', end).on('error', end);
    socket.write(bytes);
  });
}
const statuses = (answer: string): number[] => [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((m) => Number(m[1]));
const names = (): string => s.d.ok('ps', '-a', '--format', '{{.Names}}');
const port = (): number => Number(/tcp:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(join(s.d.root, 'log'), 'utf8'))![1]);

test('22 CVE-2018-15664: the target of cp swapped for a link to the host’s root changes no file there', () => {
  const victim = join(s.scratch, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'f'), 'host');
  writeFileSync(join(s.scratch, 'payload'), 'planted');
  s.d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', `mkdir -p /w/dir; ln -s ${victim} /w/away; while :; do mv /w/dir /w/t; mv /w/away /w/dir; mv /w/dir /w/away; mv /w/t /w/dir; done`);
  for (let i = 0; i < 15; i++) {
    s.d.docker('cp', join(s.scratch, 'payload'), 'cc:/w/dir/f');
    assert.doesNotMatch(s.d.docker('cp', 'cc:/w/dir/f', '-').out, /host/);
  }
  assert.equal(readFileSync(join(victim, 'f'), 'utf8'), 'host');
  assert.deepEqual(readdirSync(victim), ['f']);
});

test('23 CVE-2019-14271: cp, export, commit and top load no library or program that the container brought', () => {
  const marker = join(s.scratch, 'loaded');
  const evil = `#!/bin/busybox sh\necho x > ${marker}\n`;
  s.d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', `for f in /lib/libnss_files.so.2 /bin/tar /bin/ps /bin/nsenter /usr/bin/xz /usr/bin/unpigz /sbin/modprobe; do mkdir -p $(dirname $f); rm -f $f; printf '%s' '${evil}' > $f; chmod 755 $f; done; mkdir /x; touch /ready; exec sleep 60`);
  assert.ok(s.d.ok('exec', 'cc', 'sh', '-c', 'while ! test -e /ready; do sleep 0.05; done; echo ready').endsWith('ready'));
  writeFileSync(join(s.scratch, 'plain'), 'x');
  s.d.ok('cp', join(s.scratch, 'plain'), 'cc:/x/plain');
  s.d.ok('cp', '-a', 'cc:/x', join(s.scratch, 'out'));
  s.d.ok('export', '-o', join(s.scratch, 'e.tar'), 'cc');
  s.d.ok('commit', 'cc', 'with-evil');
  s.d.ok('top', 'cc');
  s.d.ok('rmi', 'with-evil');
  assert.equal(existsSync(marker), false);
  assert.doesNotMatch(readFileSync(`/proc/${s.d.scope.daemonPid}/maps`, 'utf8'), /snapshots|layers/);
});

test('24 CVE-2021-41089, CVE-2021-41091: cp changes no mode on the host, and the data root is closed to other users', () => {
  const victim = join(s.scratch, 'modes');
  mkdirSync(victim, { mode: 0o700 });
  mkdirSync(join(s.scratch, 'src'));
  writeFileSync(join(s.scratch, 'src', 'f'), 'x', { mode: 0o777 });
  symlinkSync(victim, join(s.scratch, 'src', 'd'));
  s.d.ok('create', '--name', 'cc', 'busybox');
  s.d.ok('cp', '-a', join(s.scratch, 'src'), 'cc:/tmp');
  s.d.docker('cp', '-a', join(s.scratch, 'src', '.'), 'cc:/tmp/src/d');
  assert.equal(statSync(victim).mode & 0o7777, 0o700);
  assert.deepEqual(readdirSync(victim), []);
  const id = s.d.ok('inspect', '-f', '{{.Id}}', 'cc');
  const asNobody = (...paths: string[]): number => run('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'ls', ...paths]).code;
  for (const path of ['', 'snapshots', 'layers', `snapshots/${id}`, 'containers', 'volumes'].map((each) => join(s.d.scope.dataRoot, each))) if (existsSync(path)) assert.notEqual(asNobody(path), 0, path);
});

test('25 CVE-2023-0778, CVE-2020-1726: what is read out of a volume stays in it, and an image fills no volume that holds something', () => {
  writeFileSync(join(s.scratch, 'host-secret'), 'host secret');
  s.d.ok('run', '-d', '--name', 'cc', '-v', 'vol25:/v', 'busybox', 'sh', '-c', `ln -s ${s.scratch}/host-secret /v/leak; ln -s ${s.scratch} /v/dir; ln -s / /v/root; sleep 60`);
  for (const state of ['running', 'stopped']) {
    if (state === 'stopped') s.d.ok('kill', 'cc');
    for (const path of ['/v/leak', '/v/dir/host-secret', `/v/root${s.scratch}/host-secret`, '/v/.', '/v']) {
      assert.doesNotMatch(s.d.docker('cp', '-L', `cc:${path}`, '-').out, /host secret/, `${state} ${path}`);
      assert.doesNotMatch(s.d.docker('cp', `cc:${path}`, '-').out, /host secret/, `${state} ${path}`);
    }
    assert.doesNotMatch(s.d.docker('export', 'cc').out, /host secret/);
  }
  s.d.ok('run', '--rm', '-v', 'vol25:/etc', 'busybox', 'sh', '-c', 'ls /etc/leak >/dev/null; ! test -e /etc/passwd');
  s.d.ok('rm', '-f', 'cc');
  s.d.ok('volume', 'rm', 'vol25');
});

test('26 CVE-2024-9676, CVE-2022-1227: account files that are fifos, links or endless neither hang nor mislead; top runs nothing inside', () => {
  for (const trick of ['mkfifo /etc/passwd', `ln -s ${s.scratch}/host-passwd /etc/passwd`, 'ln -s /dev/zero /etc/passwd', 'mkdir /etc/passwd', 'ln -s /proc/self/fd/0 /etc/passwd', 'head -c 80000000 /dev/zero > /etc/passwd']) {
    writeFileSync(join(s.scratch, 'host-passwd'), 'mallory:x:0:0::/:/bin/sh\n');
    s.d.ok('run', '--name', 'made', 'busybox', 'sh', '-c', `rm /etc/passwd; ${trick}`);
    s.d.ok('commit', 'made', 'tricky');
    const began = Date.now();
    const ran = s.d.docker('run', '--rm', '-u', 'mallory', 'tricky', 'id', '-u');
    assert.ok(ran.code !== 0 && ran.out === '', `${trick}: ${ran.out}`);
    assert.ok(Date.now() - began < 5000, trick);
    s.d.ok('rm', 'made');
    s.d.ok('rmi', '-f', 'tricky');
  }
  s.d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'printf "#!/bin/sh\\ntouch /ran-ps\\n" > /bin/ps.new; chmod 755 /bin/ps.new; mv /bin/ps.new /bin/ps; sleep 60');
  assert.match(s.d.ok('top', 'cc'), /sleep 60/);
  assert.notEqual(s.d.docker('exec', 'cc', 'test', '-e', '/ran-ps').code, 0);
});

test('27 CVE-2020-14370: no variable of the daemon, of the client or of another container is inherited', () => {
  const leaky = run(NARU, ['-H', `unix://${s.d.socket}`, 'run', '--rm', 'busybox', 'env'], { env: { LEAK_CLIENT: 'yes' } }).out;
  s.d.ok('run', '-d', '--name', 'one', '-e', 'LEAK_ONE=yes', 'busybox', 'sleep', '60');
  s.d.ok('exec', '-e', 'LEAK_EXEC=yes', 'one', 'true');
  const daemonEnv = readFileSync(`/proc/${s.d.scope.daemonPid}/environ`, 'utf8').split('\0').map((entry) => entry.split('=')[0]).filter((name) => name && !['PATH', 'HOME', 'HOSTNAME', 'TERM'].includes(name));
  assert.ok(daemonEnv.length > 0);
  for (const seen of [leaky, s.d.ok('run', '--rm', 'busybox', 'env'), s.d.ok('exec', 'one', 'env')]) {
    assert.doesNotMatch(seen, /LEAK_CLIENT|LEAK_EXEC/);
    for (const name of daemonEnv) assert.ok(!new RegExp(`^${name}=`, 'm').test(seen), name!);
  }
  assert.doesNotMatch(s.d.ok('run', '--rm', 'busybox', 'env'), /LEAK_ONE/);
  const shim = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${s.d.ok('inspect', '-f', '{{.State.Pid}}', 'one')}/status`, 'utf8'))![1]);
  assert.doesNotMatch(readFileSync(`/proc/${shim}/environ`, 'utf8'), /LEAK/);
});

test('28 CVE-2024-41110, CVE-2026-34040: a request that two readers could understand differently makes nothing', async () => {
  const body = JSON.stringify({ Image: 'busybox', Cmd: ['true'] });
  const head = (line: string, ...headers: string[]): string => `${[line, 'Host: d', 'Content-Type: application/json', ...headers].join('\r\n')}\r\n\r\n`;
  const post = (name: string): string => `POST /v1.51/containers/create?name=${name} HTTP/1.1`;
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const before = names();
  await Promise.all(Object.entries({
    'two lengths': head(post('s1'), `Content-Length: ${body.length}`, 'Content-Length: 0') + body,
    'length and chunks': head(post('s2'), 'Content-Length: 0', 'Transfer-Encoding: chunked') + chunked,
    'chunks, spelt twice': head(post('s3'), 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + chunked,
    'an obscured name': head(post('s4'), `Content-Length : ${body.length}`) + body,
    'a folded header': head(post('s5'), 'X-A: b\r\n Content-Length: 0', `Content-Length: ${body.length}`) + body,
    'a length with a sign': head(post('s6'), `Content-Length: +${body.length}`) + body,
    'another case': head(post('s7').replace('containers', 'Containers'), `Content-Length: ${body.length}`) + body,
    'two slashes': head(post('s8').replace('/v1.51/', '/v1.51//'), `Content-Length: ${body.length}`) + body,
    'dots': head(post('s9').replace('/v1.51/', '/v1.51/images/../'), `Content-Length: ${body.length}`) + body,
    'an escaped slash': head(post('s10').replace('containers/create', 'containers%2fcreate'), `Content-Length: ${body.length}`) + body,
    'a version that is none': head(post('s11').replace('v1.51', 'v1.51.9999'), `Content-Length: ${body.length}`) + body,
    'no body at all': head(post('s12'), 'Content-Length: 0'),
    'too much of it': head(post('s13'), 'Content-Length: 99999999') + body,
  }).map(async ([what, bytes]) => {
    const answer = await raw(s.d.socket, bytes);
    assert.ok(statuses(answer).every((status) => status >= 400), `${what}: ${answer.slice(0, 200)}`);
  }));
  assert.equal(names(), before, 'the names say which');
});

test('29 DNS rebinding and forged requests: a browser’s words over TCP are not heard, and containers do not reach the daemon', async () => {
  const to = port();
  const body = JSON.stringify({ Image: 'busybox' });
  const post = (...headers: string[]): string => `POST /containers/create?name=forged HTTP/1.1\r\n${headers.join('\r\n')}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  for (const headers of [['Host: rebound.example', 'Content-Type: application/json'], ['Host: 127.0.0.1', 'Content-Type: text/plain'], ['Host: 127.0.0.1', 'Content-Type: application/x-www-form-urlencoded'],
    ['Host: 127.0.0.1', 'Content-Type: application/json', 'Origin: https://evil.example'], ['Host: 127.0.0.1', 'Content-Type: application/json', 'Origin: null']]) {
    assert.ok(statuses(await raw(to, post(...headers)))[0]! >= 400, headers.join());
  }
  for (const path of ['/info', '/containers/json']) assert.ok(statuses(await raw(to, `GET ${path} HTTP/1.1\r\nHost: rebound.example:${to}\r\nConnection: close\r\n\r\n`))[0]! >= 400);
  assert.deepEqual(statuses(await raw(to, `GET /_ping HTTP/1.1\r\nHost: 127.0.0.1:${to}\r\nConnection: close\r\n\r\n`)), [200], 'who means it is heard');
  assert.equal(names(), '');
  const inside = s.d.docker('run', '--rm', 'busybox', 'sh', '-c', `for h in $(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p') 127.0.0.1; do wget -T 2 -qO- http://$h:${to}/_ping && echo reached; done; ls /var/run/docker.sock /run/naru 2>/dev/null; true`);
  assert.equal(inside.out, '', 'nothing of the daemon can be reached from inside');
  const refused = run(NARU, ['daemon', '--data-root', join(s.scratch, 'other'), '--host', 'tcp://127.0.0.1:0']);
  assert.notEqual(refused.code, 0);
  assert.match(refused.err, /without client certificates/);
  assert.ok(!existsSync(join(s.scratch, 'other')), 'it was refused before anything was made: no data root, no bridge, no table');
});

test('30 a hundred megabytes of JSON, deep nesting, slow heads and polluted prototypes cost a refusal each', async () => {
  const memory = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${s.d.scope.daemonPid}/status`, 'utf8'))![1]);
  const before = memory();
  const huge = spawn('sh', ['-c', `(printf '{"Image":"'; head -c 100000000 /dev/zero | tr '\\0' x; printf '"}') | curl -s -o /dev/null -w '%{http_code}' --max-time 20 --unix-socket ${s.d.socket} -H 'Content-Type: application/json' -H 'Transfer-Encoding: chunked' -T - -X POST http://d/containers/create`]);
  const slow = Array.from({ length: 50 }, () => connect(s.d.socket, function (this: import('node:net').Socket) { this.write('GET /containers/json HTT'); }).on('error', () => undefined));
  let status = '';
  huge.stdout.on('data', (part: Buffer) => (status += part.toString()));
  const ended = new Promise((resolve) => huge.once('close', resolve));
  const began = Date.now();
  assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'served'), 'served', 'others are served meanwhile');
  assert.ok(Date.now() - began < 10_000);
  await ended;
  assert.match(status, /^(413|400|000)/);
  for (const socket of slow) socket.destroy();
  const nested = '['.repeat(200_000);
  assert.equal(s.d.api('POST', '/containers/create', `{"Image":"busybox","Cmd":${nested}`).status, 400);
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    const made = s.d.api('POST', '/containers/create?name=polluted', `{"Image":"busybox","Labels":{"${key}":"polluted"},"HostConfig":{"Sysctls":{},"${key === '__proto__' ? '__proto__' : 'Annotations'}":{"polluted":"yes"}}}`);
    assert.ok([201, 400].includes(made.status), made.text);
    s.d.docker('rm', '-f', 'polluted');
  }
  assert.equal(JSON.parse(s.d.api('GET', '/info').text).polluted, undefined);
  await until('memory is given back', () => memory() < before + 150_000, 20);
});

test('31 a container that holds the daemon’s socket and its whole data root keeps nobody else’s things from going', async () => {
  s.d.ok('run', '-d', '--name', 'other', '-v', 'vol31:/v', 'busybox', 'sleep', '60');
  s.d.ok('run', '-d', '--name', 'holder', '-v', `${s.d.socket}:/var/run/docker.sock`, '-v', `${s.d.root}:/host:rslave`, 'busybox', 'sh', '-c', 'cd /host/data && sleep 60');
  assert.equal(s.d.ok('exec', 'holder', 'sh', '-c', 'grep -c overlay /proc/self/mountinfo'), '1', 'the file systems of others are not to be seen');
  s.d.ok('rm', '-f', 'other');
  s.d.ok('volume', 'rm', 'vol31');
  await s.d.restart('SIGKILL');
  assert.equal(s.d.ok('exec', 'holder', 'sh', '-c', 'test -S /var/run/docker.sock && echo there'), 'there');
  assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'alive'), 'alive');
});
