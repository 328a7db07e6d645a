import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tarOf } from '#core/archive/tar-writer.ts';
import { digestOf, repository } from '../registry/harness.ts';
import { NARU, run, TestDaemon } from '../support/daemon.ts';
import { NaruRegistry } from '../support/naru-registry.ts';
import { until } from '../support/two-clients.ts';

/** What disks and descriptors do to the daemon: full, read-only, torn, too few. Its data root is a small tmpfs. */
let d: TestDaemon;
const mount = (...words: string[]): void => {
  const ran = run('mount', words);
  assert.equal(ran.code, 0, ran.err);
};
before(async () => {
  d = await TestDaemon.start({ prepare: ({ scope }) => {
    mkdirSync(scope.dataRoot);
    mount('-t', 'tmpfs', '-o', 'size=24m,mode=711', 'naru-faults', scope.dataRoot);
  } });
});
after(async () => {
  const { dataRoot } = d.scope;
  await d.down();
  const gone = new Promise<void>((resolve) => setTimeout(resolve, 0));
  await gone;
  await d.up().catch(() => undefined);
  for (const id of d.docker('ps', '-aq').out.split('\n')) if (id !== '') d.docker('rm', '-f', id);
  await d.down();
  run('umount', ['-l', dataRoot]);
  await d.destroy();
});

const db = (): string => join(d.scope.dataRoot, 'naru.db');
const starts = (): { code: number; err: string } => run(NARU, ['daemon', '--data-root', d.scope.dataRoot, '--state-dir', d.scope.stateDir, '--host', `unix://${d.socket}`], { timeoutMs: 8000 });

describe('a full disk', () => {
  test('what needs room fails with one sentence, what needs none works, and everything works when there is room again', async () => {
    d.ok('run', '-d', '--name', 'runs', 'busybox', 'sleep', '600');
    const ran = d.docker('run', '--name', 'filler', 'busybox', 'sh', '-c', 'dd if=/dev/zero of=/big bs=64k 2>&1; for i in $(seq 200); do echo x > /small$i; done 2>/dev/null; true');
    assert.match(ran.out + ran.err, /No space left on device/);
    writeFileSync(join(d.scope.dataRoot, 'rest'), '');
    run('sh', ['-c', `dd if=/dev/zero of=${d.scope.dataRoot}/rest bs=4k 2>/dev/null; true`]);
    for (const words of [['create', '--name', 'c1', 'busybox'], ['volume', 'create', 'v1'], ['commit', 'filler', 'too-big'], ['run', '--rm', 'busybox', 'true']]) {
      const failed = d.docker(...words);
      if (failed.code === 0) continue; // it found the last page
      assert.match(failed.err, /no space left on device|disk is full|database or disk is full/i, words.join(' '));
      assert.ok(failed.err.trim().split('\n').filter((line) => line !== '' && !line.startsWith('Run ')).length <= 2, failed.err);
    }
    assert.equal(d.ok('exec', 'runs', 'echo', 'alive'), 'alive');
    assert.match(d.ok('ps'), /runs/);
    rmSync(join(d.scope.dataRoot, 'rest'));
    // What comes is more than there is room for: by then half of the layer is here, packed and unpacked.
    await using registry = await NaruRegistry.start();
    const layer = Buffer.from(tarOf([{ name: 'big', type: 'file', data: randomBytes(16 << 20) }]));
    await repository(`http://${registry.host}`, 'too/big').image('v1', { layers: [layer], diffIds: [digestOf(layer)] });
    const pulled = d.docker('pull', `${registry.host}/too/big:v1`);
    assert.match(pulled.err, /no space left on device/);
    for (const place of ['pulls', 'incoming', 'trash']) await until(`${place} is empty`, () => readdirSync(join(d.scope.dataRoot, place)).length === 0);
    d.ok('rm', '-f', 'filler');
    assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'room'), 'room');
    for (const name of d.ok('ps', '-a', '--format', '{{.Names}}').split('\n')) if (name !== '') d.ok('rm', '-f', name);
    d.docker('volume', 'rm', 'v1');
    await until('nothing half made is left', () => readdirSync(join(d.scope.dataRoot, 'snapshots')).length === 0);
  });
});

describe('a read-only disk', () => {
  test('a daemon that starts says so and ends, and nothing is lost', async () => {
    d.ok('create', '--name', 'kept', 'busybox', 'echo', 'whole');
    await d.down();
    mount('-o', 'remount,ro', d.scope.dataRoot);
    try {
      const failed = starts();
      assert.equal(failed.code, 1);
      assert.match(failed.err, /^naru daemon: .*(read-only|readonly|EROFS)/i);
    } finally {
      mount('-o', 'remount,rw', d.scope.dataRoot);
    }
    await d.up();
    assert.equal(d.ok('start', '-a', 'kept'), 'whole');
    d.ok('rm', '-f', 'kept');
  });
});

describe('a power cut', () => {
  test('a log of the database that is torn anywhere, or ends in noise, costs at most what it held', async () => {
    d.ok('create', '--name', 'kept', 'busybox', 'true');
    await d.down(); // all of it is in the database now
    await d.up();
    for (let i = 0; i < 3; i++) d.ok('create', '--name', `late${i}`, 'busybox', 'true');
    await d.down('SIGKILL');
    const wal = `${db()}-wal`;
    const size = statSync(wal).size;
    assert.ok(size > 32 + 24, 'there is a log');
    const saved = join(d.root, 'saved');
    for (const [from, to] of [[db(), saved], [wal, `${saved}-wal`]] as const) copyFileSync(from, to);
    for (const cut of [0, 16, 32, 33, Math.floor(size / 3), Math.floor(size / 2), size - 4096, size - 1, -1, -2]) {
      for (const [from, to] of [[saved, db()], [`${saved}-wal`, wal]] as const) copyFileSync(from, to);
      rmSync(`${db()}-shm`, { force: true });
      if (cut >= 0) truncateSync(wal, cut);
      else {
        const bytes = readFileSync(wal);
        for (let at = cut === -1 ? Math.floor(size / 2) : size - 2000; at < size; at += 7) bytes[at] = (bytes[at]! * 31 + 17) & 0xff;
        writeFileSync(wal, bytes);
      }
      await d.up();
      const names = d.ok('ps', '-a', '--format', '{{.Names}}').split('\n');
      assert.ok(names.includes('kept'), `cut at ${cut}: ${names.join()}`);
      for (const name of names) assert.equal(d.docker('inspect', name).code, 0);
      if (cut === size - 1 || cut === 0) assert.equal(d.docker('start', 'kept').code, 0, d.log());
      await d.down('SIGKILL');
    }
    for (const [from, to] of [[saved, db()], [`${saved}-wal`, wal]] as const) copyFileSync(from, to);
    await d.up();
    assert.deepEqual(d.ok('ps', '-a', '--format', '{{.Names}}').split('\n').sort(), ['kept', 'late0', 'late1', 'late2'], 'what a client was told is there');
    d.ok('rm', '-f', 'kept', 'late0', 'late1', 'late2');
  });

  test('a database that is none, or a newer version’s, is said so', async () => {
    await d.down();
    const saved = join(d.root, 'whole');
    copyFileSync(db(), saved);
    try {
      writeFileSync(db(), 'this is no database, whatever its name says'.repeat(300));
      const noise = starts();
      assert.equal(noise.code, 1);
      assert.match(noise.err, /^naru daemon: cannot open the database .*naru\.db: .*not a database/);
      copyFileSync(saved, db());
      const newer = new DatabaseSync(db());
      newer.exec("INSERT INTO schema_steps (name) VALUES ('of-tomorrow')");
      newer.close();
      const refused = starts();
      assert.equal(refused.code, 1);
      assert.match(refused.err, /was written by a newer version: its schema step of-tomorrow is not known here/);
    } finally {
      copyFileSync(saved, db());
      await d.up();
    }
  });

  test('an older version’s database is brought up to date, its containers go on', async () => {
    d.ok('run', '-d', '--name', 'old', '--label', 'k=v', 'busybox', 'sleep', '600');
    await d.down();
    const old = new DatabaseSync(db());
    old.exec("DROP TABLE networks; DELETE FROM schema_steps WHERE name = 'engine-networks'");
    old.close();
    await d.up();
    assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', 'old'), 'running');
    assert.equal(d.ok('exec', 'old', 'echo', 'alive'), 'alive');
    d.ok('network', 'create', 'made-after');
    d.ok('network', 'rm', 'made-after');
    d.ok('rm', '-f', 'old');
  });
});

describe('descriptors', () => {
  test('a daemon that has too few refuses with a sentence, and serves again when it has more', async () => {
    d.ok('run', '-d', '--name', 'runs', 'busybox', 'sleep', '600');
    const pid = String(d.scope.daemonPid);
    const now = readdirSync(`/proc/${pid}/fd`).length;
    assert.equal(run('prlimit', ['--pid', pid, `--nofile=${now + 6}:`]).code, 0);
    for (let i = 0; i < 4; i++) {
      const ran = d.docker('run', '--rm', 'busybox', 'true');
      if (ran.code !== 0) assert.match(ran.err, /too many open files|EMFILE|Cannot connect|EOF|connection reset|closed/i);
    }
    const hard = /Max open files\s+\d+\s+(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))![1];
    assert.equal(run('prlimit', ['--pid', pid, `--nofile=${hard}:`]).code, 0);
    for (let i = 0; i < 50 && d.docker('exec', 'runs', 'true').code !== 0; i++);
    assert.equal(d.ok('exec', 'runs', 'echo', 'alive'), 'alive');
    assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'again'), 'again');
    d.ok('rm', '-f', 'runs');
  });
});
