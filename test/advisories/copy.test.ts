import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { suite } from '../support/two-clients.ts';

/** Attacks by way of `cp`, volumes and exports. */
const { d, scratch } = suite();

test('CVE-2018-15664: a directory that is swapped for a link while cp runs never leads to the host', async () => {
  const victim = join(scratch, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'secret'), 'host secret');
  writeFileSync(join(scratch, 'file'), 'from outside');
  d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', `mkdir -p /real; echo inside > /real/secret; ln -s ${victim} /link; while :; do mv /real /x; mv /link /real; mv /real /link; mv /x /real; done`);
  for (let i = 0; i < 25; i++) {
    d.docker('cp', join(scratch, 'file'), 'cc:/real/planted');
    d.docker('cp', 'cc:/real/secret', join(scratch, 'got'));
    if (existsSync(join(scratch, 'got'))) assert.equal(readFileSync(join(scratch, 'got'), 'utf8'), 'inside\n');
    rmSync(join(scratch, 'got'), { force: true });
  }
  assert.deepEqual(readdirSync(victim), ['secret']);
});

test('CVE-2021-41089: cp changes no mode on the host', () => {
  const victim = join(scratch, 'mode');
  mkdirSync(victim);
  chmodSync(victim, 0o700);
  d.ok('create', '--name', 'cc', 'busybox', 'true');
  d.ok('start', 'cc');
  symlinkSync('/', join(scratch, 'src-link'));
  mkdirSync(join(scratch, 'tree'));
  writeFileSync(join(scratch, 'tree', 'f'), 'x');
  d.docker('cp', join(scratch, 'tree'), 'cc:/tmp/');
  d.docker('cp', '-a', join(scratch, 'src-link'), 'cc:/tmp/l');
  d.docker('cp', join(scratch, 'tree', 'f'), `cc:/tmp/l${victim}/f`);
  assert.equal(statSync(victim).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(victim), []);
});

test('CVE-2020-1726: a volume that has content is not overwritten by the image’s', () => {
  d.ok('volume', 'create', 'vv');
  d.ok('run', '--rm', '-v', 'vv:/x', 'busybox', 'sh', '-c', 'echo mine > /x/passwd');
  assert.equal(d.ok('run', '--rm', '-v', 'vv:/etc', 'busybox', 'cat', '/etc/passwd'), 'mine');
  d.ok('volume', 'rm', 'vv');
});

test('CVE-2021-41091: the data root cannot be entered by other users', () => {
  for (const directory of ['', 'snapshots', 'layers', 'volumes', 'blobs', 'tmp']) {
    const path = join(d.scope.dataRoot, directory);
    if (existsSync(path)) assert.equal(statSync(path).mode & 0o066, 0, path);
  }
  assert.equal(statSync(join(d.scope.dataRoot, 'naru.db')).mode & 0o077, 0);
});

test('an uploaded archive cannot leave the container', () => {
  d.ok('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
  const victim = join(scratch, 'escape');
  mkdirSync(victim);
  const work = join(scratch, 'tarwork');
  mkdirSync(work);
  symlinkSync(victim, join(work, 'dir'));
  const tar = join(scratch, 'evil.tar');
  // link first, then a file below it, then names that climb
  writeFileSync(join(scratch, 'mk.sh'), `set -e; cd ${work}; tar -cf ${tar} dir; rm dir; mkdir dir; echo pwned > dir/f; tar -rf ${tar} dir/f; echo up > up; tar -P --transform 's,^up,../../../../../../..${victim}/up,' -rf ${tar} up; tar -P --transform 's,^up,${victim}/absolute,' -rf ${tar} up`);
  assert.equal(spawnOk('sh', [join(scratch, 'mk.sh')]), 0);
  spawnOk('sh', ['-c', `docker -H unix://${d.socket} cp - cc:/tmp < ${tar}`]);
  assert.deepEqual(readdirSync(victim), []);
});

function spawnOk(command: string, args: string[]): number {
  return spawnSync(command, args, { encoding: 'utf8' }).status ?? 1;
}

test('CVE-2026-41568, CVE-2026-42306: links in a volume lead a stopped container’s cp to no host path, swapped meanwhile or not', async () => {
  const victim = join(scratch, 'volume-victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'secret'), 'host secret');
  writeFileSync(join(scratch, 'file'), 'from outside');
  d.ok('create', '--name', 'still', '-v', 'swapped:/v', 'busybox');
  d.ok('run', '-d', '--name', 'swap', '-v', 'swapped:/v', 'busybox', 'sh', '-c',
    `ln -s ${victim} /v/fixed; ln -s ../../../../../../../..${victim} /v/climbs; mkdir /v/real; ln -s ${victim} /v/link; while :; do mv /v/real /v/x; mv /v/link /v/real; mv /v/real /v/link; mv /v/x /v/real; done`);
  for (let i = 0; i < 12; i++) {
    for (const place of ['real', 'fixed', 'climbs']) {
      d.docker('cp', join(scratch, 'file'), `still:/v/${place}/planted`);
      d.docker('cp', join(scratch, 'file'), `still:/v/${place}`);
      assert.doesNotMatch(d.docker('cp', `still:/v/${place}/secret`, '-').out, /host secret/);
    }
  }
  assert.deepEqual(readdirSync(victim), ['secret']);
  assert.equal(readFileSync(join(victim, 'secret'), 'utf8'), 'host secret');
  d.ok('rm', '-f', 'swap', 'still');
  d.ok('volume', 'rm', 'swapped');
});

test('CVE-2019-14271, CVE-2026-41567: no program or library of the container is used to serve it', () => {
  const marker = join(scratch, 'ran-as-host');
  const evil = `#!/bin/busybox sh\necho evil > ${marker}; echo evil > /ran\n`;
  writeFileSync(join(scratch, 'evil'), evil, { mode: 0o755 });
  d.ok('create', '--name', 'trap', 'busybox', 'sleep', '600');
  // Where a search would find them first.
  const names = ['usr/local/sbin/tar', 'usr/local/sbin/xz', 'usr/local/sbin/unpigz', 'usr/local/sbin/getent', 'lib/libnss_files.so.2'];
  for (const name of names) {
    mkdirSync(join(scratch, 'trap', dirname(name)), { recursive: true });
    writeFileSync(join(scratch, 'trap', name), evil, { mode: 0o755 });
  }
  const planted = d.pipe('docker', spawnSync('tar', ['-C', join(scratch, 'trap'), '-cf', '-', '.'], { maxBuffer: 1 << 24 }).stdout, 'cp', '-', 'trap:/');
  assert.equal(planted.code, 0, planted.err);
  const archive = spawnSync('sh', ['-c', `cd ${scratch} && tar -cf - evil | xz`], { maxBuffer: 1 << 24 }).stdout;
  for (const running of [false, true]) {
    if (running) d.ok('start', 'trap');
    d.pipe('docker', archive, 'cp', '-', 'trap:/tmp');
    d.docker('cp', 'trap:/etc', join(scratch, `etc-${running}`));
    d.docker('export', '-o', join(scratch, 'export.tar'), 'trap');
    d.docker('diff', 'trap');
    if (running) {
      d.ok('exec', '-u', 'alice', 'trap', 'true');
      d.ok('top', 'trap');
    }
    const maps = readFileSync(`/proc/${d.scope.daemonPid}/maps`, 'utf8');
    assert.doesNotMatch(maps, new RegExp(`${d.scope.dataRoot}/(snapshots|layers)`));
  }
  assert.ok(!existsSync(marker));
  assert.equal(d.docker('exec', 'trap', 'cat', '/ran').code, 1);
});
