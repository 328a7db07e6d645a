import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { NARU, run } from '../support/daemon.ts';
import { suite, type Call } from '../support/two-clients.ts';

/** Volumes that are more than a directory of the engine's, and other things that can be mounted. */
const s = suite();
const must = (call: Call, ...args: string[]): string => {
  const ran = call(...args);
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}`);
  return ran.out;
};
const volume = (call: Call, ...options: string[]): string => must(call, 'volume', 'create', ...options.flatMap((option) => ['-o', option])).trim();
const forget = (...names: string[]): string => s.d.ok('volume', 'rm', ...names);

describe('tmpfs volumes', () => {
  s.both('one instance for all who have it, gone when the last has ended', (call) => {
    const name = volume(call, 'type=tmpfs', 'device=tmpfs', 'o=size=2m,mode=750,uid=1000');
    must(call, 'run', '-d', '--name', 'one', '-v', `${name}:/data`, 'busybox', 'sleep', '60');
    must(call, 'run', '-d', '--name', 'two', '-v', `${name}:/elsewhere:ro`, 'busybox', 'sleep', '60');
    must(call, 'exec', 'one', 'sh', '-c', 'echo shared > /data/f');
    assert.match(must(call, 'exec', 'two', 'sh', '-c', 'cat /elsewhere/f; df -k /elsewhere | tail -1; stat -c "%a %u" /elsewhere; touch /elsewhere/x 2>&1; true'), /^shared\n.* 2048 .*\n750 1000\n.*Read-only file system/s);
    must(call, 'rm', '-f', 'one');
    assert.equal(must(call, 'run', '--rm', '-v', `${name}:/again`, 'busybox', 'sh', '-c', 'cat /again/f; echo more > /again/g'), 'shared\n', 'who comes by way of a read-only user may write');
    assert.equal(must(call, 'exec', 'two', 'cat', '/elsewhere/g'), 'more\n');
    must(call, 'rm', '-f', 'two');
    assert.equal(must(call, 'run', '--rm', '-v', `${name}:/data`, 'busybox', 'ls', '/data'), '');
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(name));
    forget(name);
  });

  test('eight that start at once share one', async () => {
    const name = volume((...args) => s.d.docker(...args), 'type=tmpfs', 'device=tmpfs');
    const started = Array.from({ length: 8 }, (_, i) => new Promise<number>((resolve) => {
      spawn(NARU, ['-H', `unix://${s.d.socket}`, 'run', '-d', '--name', `t${i}`, '-v', `${name}:/data`, 'busybox', 'sh', '-c', `touch /data/${i}; sleep 60`], { stdio: 'ignore' }).once('exit', (code) => resolve(code ?? 128));
    }));
    assert.deepEqual(await Promise.all(started), Array(8).fill(0));
    for (let i = 0; i < 50 && s.d.ok('exec', 't0', 'ls', '/data').split('\n').length < 8; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(s.d.ok('exec', 't0', 'ls', '/data'), '0\n1\n2\n3\n4\n5\n6\n7');
    s.d.ok('rm', '-f', ...Array.from({ length: 8 }, (_, i) => `t${i}`));
    forget(name);
  });

  test('after a kill -9 of the daemon whoever comes still finds what is there', async () => {
    const name = volume((...args) => s.d.docker(...args), 'type=tmpfs', 'device=tmpfs');
    s.d.ok('run', '-d', '--name', 'holder', '-v', `${name}:/data`, 'busybox', 'sh', '-c', 'echo kept > /data/f; sleep 60');
    await s.d.restart('SIGKILL');
    assert.equal(s.d.ok('run', '--rm', '-v', `${name}:/data`, 'busybox', 'cat', '/data/f'), 'kept');
    s.d.ok('rm', '-f', 'holder');
    forget(name);
  });

  test('a link that a container puts into its own tree leads nobody out of that container', () => {
    const name = volume((...args) => s.d.docker(...args), 'type=tmpfs', 'device=tmpfs');
    s.d.ok('run', '-d', '--name', 'evil', '-v', `${name}:/a/b`, 'busybox', 'sh', '-c', 'mv /a /c; ln -s /etc /a; mkdir /etc/b; echo mine > /etc/b/f; touch /ready; sleep 60');
    s.d.ok('exec', 'evil', 'sh', '-c', 'while ! test -e /ready; do sleep 0.05; done');
    const ran = s.d.docker('run', '--rm', '-v', `${name}:/data`, 'busybox', 'cat', '/data/f');
    assert.ok(ran.out === 'mine\n' || ran.code !== 0, 'its own tree at the most');
    s.d.ok('rm', '-f', 'evil');
    forget(name);
  });
});

describe('other drivers of the kernel', () => {
  s.both('a bind volume leads to the directory', (call, cli) => {
    const directory = join(s.scratch, `bound-${cli}`);
    mkdirSync(directory);
    const name = volume(call, 'type=none', 'o=bind', `device=${directory}`);
    must(call, 'run', '--rm', '-v', `${name}:/data`, 'busybox', 'sh', '-c', 'echo there > /data/f');
    assert.equal(readFileSync(join(directory, 'f'), 'utf8'), 'there\n');
    must(call, 'volume', 'rm', name);
    assert.ok(existsSync(join(directory, 'f')), 'removing the volume leaves the directory alone');
    const readOnly = volume(call, 'type=none', 'o=bind,ro', `device=${directory}`);
    assert.match(call('run', '--rm', '-v', `${readOnly}:/data`, 'busybox', 'touch', '/data/g').err, /Read-only file system/);
    must(call, 'volume', 'rm', readOnly);
  });

  test('a file system on a block device, by two containers and by a part of it', () => {
    const image = join(s.scratch, 'disk');
    assert.equal(run('sh', ['-c', `truncate -s 16M ${image} && mkfs.ext4 -q -m 0 ${image}`]).code, 0);
    const loop = run('losetup', ['-f', '--show', image]).out.trim();
    assert.match(loop, /^\/dev\/loop\d+$/);
    try {
      const name = volume((...args) => s.d.docker(...args), 'type=ext4', `device=${loop}`);
      s.d.ok('run', '-d', '--name', 'one', '-v', `${name}:/data`, 'busybox', 'sh', '-c', 'mkdir /data/sub; echo deep > /data/sub/f; sleep 60');
      for (let i = 0; i < 50 && s.d.docker('exec', 'one', 'cat', '/data/sub/f').code !== 0; i++);
      assert.equal(s.d.ok('run', '--rm', '-v', `${name}:/same`, 'busybox', 'cat', '/same/sub/f'), 'deep');
      assert.equal(s.d.ok('run', '--rm', '--mount', `type=volume,src=${name},dst=/part,volume-subpath=sub`, 'busybox', 'ls', '/part'), 'f');
      s.d.ok('rm', '-f', 'one');
      forget(name);
    } finally {
      for (let i = 0; i < 50 && run('losetup', ['-d', loop]).code !== 0; i++) spawnSync('sleep', ['0.1']);
    }
  });

  s.both('a network file system that cannot be had says what failed, and nothing is left', (call) => {
    const nowhere = volume(call, 'type=nfs', 'o=addr=no-such-host.invalid,rw', 'device=:/export');
    assert.match(call('run', '--rm', '-v', `${nowhere}:/data`, 'busybox', 'true').err, /lookup no-such-host\.invalid: no such host/);
    const cifs = volume(call, 'type=cifs', 'o=addr=127.0.0.1,username=u,password=p', 'device=//127.0.0.1/share');
    const ran = call('run', '--rm', '-v', `${cifs}:/data`, 'busybox', 'true');
    assert.equal(ran.code, 125);
    assert.match(ran.err, /error mounting "\/\/127\.0\.0\.1\/share" to rootfs at "\/data": fs_mount: (no such device|connection refused|operation|host is down)/i);
    assert.doesNotMatch(ran.err, /password=p\b/);
    forget(nowhere, cifs);
  });

  s.both('options that make no sense are refused', (call) => {
    for (const [options, says] of [
      [['size=1g'], /quota size requested but no quota support/], [['type=tmpfs'], /missing device in volume options/], [['device=/x'], /missing type in volume options/], [['nonesuch=1'], /invalid option: "nonesuch"/],
      [['type=none', 'o=bind', 'device=relative'], /absolute path/],
    ] as const) {
      const ran = call('volume', 'create', ...options.flatMap((option) => ['-o', option]));
      assert.equal(ran.code, 1, options.join());
      assert.match(ran.err, says);
    }
  });
});

describe('mounts of another kind', () => {
  test('an image of several layers, a directory and a file of it', () => {
    s.d.ok('run', '--name', 'base', 'busybox', 'sh', '-c', 'mkdir /extra; echo upper > /extra/f; rm /etc/group; ln -s /etc/passwd /extra/link; ln -s /.. /extra/out');
    s.d.ok('commit', 'base', 'layered');
    const mounted = (...words: string[]): string => s.d.ok('run', '--rm', '--mount', `type=image,src=layered,dst=/i${words.length > 1 ? `,image-subpath=${words[1]}` : ''}`, 'busybox', 'sh', '-c', words[0]!);
    assert.equal(mounted('cat /i/extra/f; ls /i/bin/sh; test -e /i/etc/group || echo whited out; touch /i/x 2>&1; true'), 'upper\n/i/bin/sh\nwhited out\ntouch: /i/x: Read-only file system');
    assert.equal(mounted('cat /i/f', 'extra'), 'upper');
    assert.equal(mounted('cat /i', 'extra/f'), 'upper');
    assert.match(mounted('cat /i', 'extra/link'), /^root:/, 'a link of the image leads within the image');
    assert.equal(mounted('cat /i/extra/f', 'extra/out'), 'upper', 'above the root of the image is its root');
    assert.match(s.d.docker('run', '--rm', '--mount', 'type=image,src=layered,dst=/i,image-subpath=nonesuch', 'busybox', 'true').err, /no such file or directory/);
    s.d.ok('rm', 'base');
    s.d.ok('rmi', 'layered');
  });

  s.both('-v idmap: files appear under other owners, and new ones land under the first', (call, cli) => {
    const directory = join(s.scratch, `ids-${cli}`);
    mkdirSync(directory);
    writeFileSync(join(directory, 'f'), '');
    chownSync(join(directory, 'f'), 1234, 4321);
    chownSync(directory, 1234, 4321);
    assert.equal(must(call, 'run', '--rm', '-v', `${directory}:/m:idmap=uids=1234-0-1;gids=4321-0-1`, 'busybox', 'sh', '-c', 'stat -c "%u %g" /m/f; touch /m/g; stat -c %u /m/g'), '0 0\n0\n');
    const made = statSync(join(directory, 'g'));
    assert.deepEqual([made.uid, made.gid], [1234, 4321]);
    for (const [words, says] of [['idmap', /no user namespace of its own/], ['idmap=uids=1-2', /no range FROM-TO-SIZE/], ['idmap=gids=0-1-1', /uids are missing/], ['idmap=uids=0-4294967295-5', /no range/]] as const) {
      assert.match(call('run', '--rm', '-v', `${directory}:/m:${words}`, 'busybox', 'true').err, says);
    }
  });

  s.both('rm --link takes a link away', (call) => {
    must(call, 'run', '-d', '--name', 'db', 'busybox', 'sleep', '60');
    must(call, 'create', '--name', 'web', '--link', 'db:store', 'busybox', 'sh', '-c', 'grep -c store /etc/hosts');
    assert.equal(must(call, 'start', '-a', 'web'), '1\n');
    must(call, 'rm', '--link', '/web/store');
    assert.equal(call('start', '-a', 'web').out, '0\n');
    assert.match(call('rm', '--link', '/web/store').err, /No such container: web\/store/);
    must(call, 'inspect', 'db');
  });
});
