import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { fixture } from '../fixtures/make-images.ts';
import { run } from '../support/daemon.ts';
import { suite } from '../support/two-clients.ts';

/** Images without a registry: in and out of archives, tags, history, removal. */
const { d, scratch, both } = suite();

describe('archives', () => {
  both('load says what it loaded', (call) => assert.equal(call('load', '-i', fixture('busybox.tar')).out, 'Loaded image: busybox:latest\n'));
  both('save is read back by skopeo and by ourselves, and is the same every time', (call) => {
    const file = join(scratch, 's.tar');
    assert.equal(call('save', '-o', file, 'busybox').code, 0);
    const first = createHash('sha256').update(readFileSync(file)).digest('hex');
    call('save', '-o', file, 'busybox');
    assert.equal(createHash('sha256').update(readFileSync(file)).digest('hex'), first);
    const inspected = run('skopeo', ['inspect', '--config', `docker-archive:${file}`]);
    assert.equal(inspected.code, 0, inspected.err);
    const before = call('image', 'inspect', '-f', '{{.Id}} {{json .RootFS.Layers}}', 'busybox').out;
    assert.equal(call('load', '-i', file).code, 0);
    assert.equal(call('image', 'inspect', '-f', '{{.Id}} {{json .RootFS.Layers}}', 'busybox').out, before);
  });
  both('an OCI layout, gzip and zstd layers', (call) => {
    for (const format of ['gzip', 'zstd']) {
      const file = join(scratch, `${format}.tar`);
      rmSync(file, { force: true });
      const copied = run('skopeo', ['copy', '-q', '--dest-compress', '--dest-compress-format', format, `docker-archive:${fixture('busybox.tar')}`, `oci-archive:${file}:oci-${format}:v1`]);
      assert.equal(copied.code, 0, copied.err);
      const loaded = call('load', '-i', file);
      assert.equal(loaded.code, 0, loaded.err);
      assert.match(loaded.out, /Loaded image/);
      const id = call('images', '-q', '--no-trunc').out;
      assert.ok(id.length > 0);
    }
  });
  both('a gzip-compressed archive from stdin', (call) => {
    const file = join(scratch, 'z.tgz');
    writeFileSync(file, gzipSync(readFileSync(fixture('busybox.tar')), { level: 1 }));
    assert.match(call('load', '-i', file).out, /Loaded image: busybox:latest/);
  });
  test('skopeo reads what we save as an OCI layout too', () => {
    const file = join(scratch, 'o.tar');
    d.ok('save', '-o', file, 'busybox');
    const inspected = run('skopeo', ['inspect', `oci-archive:${file}`]);
    assert.equal(inspected.code, 0, inspected.err);
  });
  both('debian, with its thousands of files, runs', (call) => {
    assert.equal(call('load', '-q', '-i', fixture('debian.tar')).code, 0);
    assert.match(call('run', '--rm', 'debian', 'cat', '/etc/os-release').out, /bookworm/);
    assert.match(call('run', '--rm', 'debian', 'stat', '-c', '%a %U', '/usr/bin/passwd', '/tmp').out, /4755 root\n1777 root/);
    call('rmi', 'debian');
  });
});

describe('names', () => {
  both('tag, images, rmi', (call) => {
    call('tag', 'busybox', 'example/app:v1');
    assert.equal(call('images', '--format', '{{.Repository}}:{{.Tag}}', 'example/app').out, 'example/app:v1\n');
    assert.equal(call('rmi', 'example/app:v1').out, 'Untagged: example/app:v1\n');
    assert.match(call('rmi', 'nonesuch').err, /No such image: nonesuch:latest/);
    assert.match(call('tag', 'busybox', 'UPPER').err, /invalid reference format: repository name .*must be lowercase/);
  });
  both('an image in use', (call) => {
    call('create', '--name', 'cc', 'busybox');
    assert.match(call('rmi', 'busybox').err, /conflict: unable to (remove repository reference|delete)/);
  });
  both('image inspect and history', (call) => {
    assert.match(call('image', 'inspect', '-f', '{{.Os}} {{.Config.Cmd}}', 'busybox').out, /^linux \[sh\]\n$/);
    assert.match(call('history', 'busybox').out, /IMAGE\s+CREATED\s+CREATED BY\s+SIZE\s+COMMENT/);
  });
  both('the registry verbs answer clearly', (call) => {
    const ran = call('pull', 'alpine');
    assert.notEqual(ran.code, 0);
    assert.match(ran.err, /registry/);
  });
});

describe('bad input', () => {
  both('a file that is no archive', (call) => {
    const file = join(scratch, 'junk');
    writeFileSync(file, 'this is not a tar archive'.repeat(100));
    const ran = call('load', '-i', file);
    assert.notEqual(ran.code, 0);
    assert.ok(ran.err.trim().split('\n').length <= 3, ran.err);
  });
  both('a truncated archive leaves nothing', (call) => {
    const file = join(scratch, 'cut.tar');
    const whole = readFileSync(fixture('busybox.tar'));
    writeFileSync(file, whole.subarray(0, whole.length >> 1));
    assert.notEqual(call('load', '-i', file).code, 0);
  });
  test('malformed requests get the right status and one sentence', () => {
    const cases: [string, string, unknown, number][] = [
      ['POST', '/v1.51/containers/create', '{"Image":', 400],
      ['POST', '/v1.51/containers/create', { Image: 'nonesuch' }, 404],
      ['POST', '/v1.51/containers/create', { Image: 'busybox', HostConfig: { Memory: 'much' } }, 400],
      ['POST', '/v1.51/containers/create?name=a%2Fb', { Image: 'busybox' }, 400],
      ['GET', '/v1.51/containers/nonesuch/json', undefined, 404],
      ['GET', '/v1.99/containers/json', undefined, 400],
      ['GET', '/v1.51/nonesuch', undefined, 404],
      ['GET', '/v1.51/containers/json?filters=%7Bbad', undefined, 400],
    ];
    for (const [method, path, body, status] of cases) {
      const answer = d.api(method, path, body);
      assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
      assert.equal(typeof (answer.json as { message?: unknown })?.message, 'string', path);
    }
    assert.ok(existsSync(d.socket));
  });
});
