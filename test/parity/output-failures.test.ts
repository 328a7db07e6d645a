import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { NARU } from '../support/daemon.ts';
import { sleep, suite, until } from '../support/two-clients.ts';

/** What becomes of output that nobody takes: Docker's command line and ours, side by side. */
const s = suite();
const fifo = join(s.scratch, 'fifo');

before(() => {
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
});

async function talker(): Promise<void> {
  s.d.ok('run', '-d', '--name', 'talk', 'busybox', 'sh', '-c', 'seq 1 20000; sleep 600');
  s.d.ok('create', '--name', 'made', 'busybox', 'seq', '1', '20000');
  await until('all is said', () => s.d.ok('logs', '--tail', '1', 'talk') === '20000');
}

interface Said { code: number | null; err: string }
const PROGRAMS = { docker: 'docker', naru: NARU } as const;

function with_(redirection: string, cli: 'docker' | 'naru', words: string): Said {
  const ran = spawnSync('bash', ['-c', `${redirection}; exec ${PROGRAMS[cli]} -H unix://${s.d.socket} ${words}`], { encoding: 'utf8', input: '', timeout: 30_000 });
  // A shell's word for a death by signal.
  return { code: ran.status ?? (ran.signal === 'SIGPIPE' ? 141 : null), err: ran.stderr.replace(/^hint: .*\n/gm, '') };
}

const COMMANDS = [
  'ps -aq', 'images', 'inspect talk', 'version', 'network ls', 'logs talk', 'logs --tail 3 talk', 'run --rm busybox echo hi', 'run --rm --sig-proxy=false busybox echo hi', 'run -d --rm busybox true', 'start -a made',
  'exec talk echo hi', 'exec talk seq 1 50000', 'start talk', 'restart -t 0 talk', 'stop -t 0 talk', 'stats --no-stream talk', 'top talk', 'history busybox', 'events --since 1h --until 0s', 'cp talk:/etc/passwd -', 'save busybox', 'export talk',
  'create busybox', 'diff talk', 'wait nothere', 'volume create made', 'tag busybox other',
];

describe('a reader that went away', () => {
  test('ends both in the same way', async () => {
    await talker();
    for (const words of COMMANDS) {
      const gone = `exec 3<>${fifo} 4>${fifo} 3<&- >&4 4>&-`;
      const [docker, naru] = (['docker', 'naru'] as const).map((cli) => {
        if (words.startsWith('top') || words.startsWith('exec')) s.d.ok('start', 'talk');
        s.d.ok('wait', 'made');
        return with_(gone, cli, words);
      });
      assert.deepEqual(naru, docker, words);
    }
    s.d.ok('volume', 'rm', 'made');
    s.d.ok('rmi', 'other');
  });
});

describe('a full disk', () => {
  test('is said by ours wherever something was to be printed, in the words that Docker has where it says it', async () => {
    await talker();
    const full = 'exec >/dev/full';
    let both = 0;
    for (const words of COMMANDS) {
      if (words.startsWith('top') || words.startsWith('exec')) s.d.ok('start', 'talk');
      const naru = with_(full, 'naru', words);
      if (words.startsWith('top') || words.startsWith('exec')) s.d.ok('start', 'talk');
      const docker = with_(full, 'docker', words);
      // Docker loses most of what it prints as text, and says that all is well.
      if (docker.code !== 0) {
        assert.deepEqual(naru, docker, words);
        both++;
      } else if (!['diff talk', 'tag busybox other'].includes(words)) assert.deepEqual(naru, { code: 1, err: 'write /dev/stdout: no space left on device\n' }, words);
    }
    assert.ok(both >= 8, `${both} where both say it`);
    s.d.ok('volume', 'rm', 'made');
    s.d.ok('rmi', 'other');
  });
});

describe('a pipe that takes nothing for a while, and says so', () => {
  for (const cli of ['docker', 'naru'] as const) {
    for (const words of ['logs talk', `inspect ${'talk '.repeat(30)}`, 'exec talk seq 1 20000']) {
      test(`${cli} ${words.slice(0, 12)}: nothing is lost`, async () => {
        await talker();
        const expected = s.d.docker(...words.trim().split(' ')).out;
        assert.ok(expected.length > 100_000);
        const [reader, writer] = [openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK), openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)];
        const child = spawn(PROGRAMS[cli], ['-H', `unix://${s.d.socket}`, ...words.trim().split(' ')], { stdio: ['ignore', writer, 'inherit'] });
        const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
        closeSync(writer);
        await sleep(300);
        let out = '';
        for (const buffer = Buffer.alloc(8192); ;) {
          try {
            const count = readSync(reader, buffer);
            if (count === 0) break;
            out += buffer.toString('utf8', 0, count);
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
            await sleep(5);
          }
        }
        closeSync(reader);
        assert.equal(await ended, 0);
        assert.equal(out, expected);
      });
    }
  }
});
