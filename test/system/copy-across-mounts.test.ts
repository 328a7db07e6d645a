import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync, chownSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../support/daemon.ts';
import { suite } from '../support/two-clients.ts';

/** `cp` by links that lead into volumes and binds: a container that does not run is the same to it as one that does. */
const { d, scratch } = suite();

function setUp(stopped: boolean): { bind: string; file: string } {
  rmSync(scratch, { recursive: true, force: true });
  const bind = join(scratch, 'bind');
  mkdirSync(join(bind, 'sub'), { recursive: true });
  writeFileSync(join(bind, 'b'), 'b');
  symlinkSync('/v', join(bind, 'tov'));
  const file = join(scratch, 'file');
  writeFileSync(file, 'hello');
  chownSync(file, 123, 456);
  const links = 'ln -s /v /lv; ln -s /b/sub /lb; ln -s ../../../v /etc/up; ln -s loop /loop; mkdir /dd; echo ok; exec sleep 600';
  d.ok('run', '-d', '--name', 'cpc', '-v', 'cpvol:/v', '-v', `${bind}:/b`, '-v', `${bind}:/ro:ro`, 'busybox', 'sh', '-c', links);
  while (d.ok('logs', 'cpc') === '');
  if (stopped) d.ok('stop', '-t', '0', 'cpc');
  return { bind, file };
}
const inVolume = (): string => d.ok('run', '--rm', '-v', 'cpvol:/v', 'busybox', 'ls', '/v');
const cleanUp = (): void => {
  d.ok('rm', '-f', 'cpc');
  d.ok('volume', 'rm', 'cpvol');
};

for (const cli of ['docker', 'naru'] as const) for (const stopped of [false, true]) describe(`${cli}, ${stopped ? 'stopped' : 'running'}`, () => {
  const cp = (...args: string[]) => d[cli]('cp', ...args);
  const copied = (...args: string[]): void => {
    const ran = cp(...args);
    assert.equal(ran.code, 0, `cp ${args.join(' ')}: ${ran.err}`);
  };
  test('into: absolute, relative and nested links, a link out of a bind into a volume', () => {
    const { bind, file } = setUp(stopped);
    copied(file, 'cpc:/lv/abs');
    copied(file, 'cpc:/etc/up/rel');
    copied(file, 'cpc:/b/tov/nested');
    copied(file, 'cpc:/lb/');
    assert.equal(inVolume(), 'abs\nnested\nrel');
    assert.deepEqual(readdirSync(join(bind, 'sub')), ['file']);
    assert.equal(statSync(join(bind, 'sub', 'file')).uid, 123);
    assert.notEqual(cp(file, 'cpc:/loop/x').code, 0);
    cleanUp();
  });
  test('out: a link as such, what it leads to, a mount point with its name', () => {
    const { bind, file } = setUp(stopped);
    copied(file, 'cpc:/lv/x');
    const to = (name: string): string => join(scratch, name);
    copied('cpc:/lv/x', to('one'));
    assert.equal(readFileSync(to('one'), 'utf8'), 'hello');
    copied('-L', 'cpc:/lv', to('followed'));
    assert.deepEqual(readdirSync(to('followed')), ['x']);
    copied('cpc:/lv/.', to('contents'));
    assert.deepEqual(readdirSync(to('contents')), ['x']);
    copied('cpc:/b', to('mounted'));
    assert.deepEqual(readdirSync(to('mounted')).sort(), ['b', 'sub', 'tov']);
    copied('cpc:/b/tov/x', to('through'));
    assert.equal(readFileSync(to('through'), 'utf8'), 'hello');
    assert.deepEqual(readdirSync(bind).sort(), ['b', 'sub', 'tov']);
    cleanUp();
  });
  test('-a keeps owners; - reads and writes tar; read-only places refuse', () => {
    const { file } = setUp(stopped);
    copied('-a', file, 'cpc:/dd/kept');
    assert.match(cp('cpc:/dd/kept', '-').out.slice(108, 124), /^0*173\0 ?0*710\0/);

    run('tar', ['-C', scratch, '-cf', join(scratch, 't.tar'), 'file']);
    assert.equal(d.pipe(cli, readFileSync(join(scratch, 't.tar')), 'cp', '-', 'cpc:/lv').code, 0);
    assert.equal(inVolume(), 'file');
    assert.match(cp('cpc:/lv/file', '-').out, /hello/);
    const refused = cp(file, 'cpc:/ro/x');
    assert.match(refused.err, /mounted volume is marked read-only/);
    assert.equal(refused.code, 1);
    cleanUp();
  });
});

test('a read-only root file system refuses, its volumes do not', () => {
  setUp(true);
  d.ok('create', '--name', 'frozen', '--read-only', '-v', 'cpvol:/v', 'busybox');
  for (const cli of ['docker', 'naru'] as const) {
    assert.match(d[cli]('cp', join(scratch, 'file'), 'frozen:/etc/x').err, /container rootfs is marked read-only/);
    assert.equal(d[cli]('cp', join(scratch, 'file'), 'frozen:/v/x').code, 0);
  }
  d.ok('rm', 'frozen');
  cleanUp();
});
