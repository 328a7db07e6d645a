import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createClient } from '#client/client.ts';
import { ensureDaemon } from './ensure-daemon.ts';

/** A program that takes a moment to listen at `--host`, says its pid, and ends by itself. */
const SLOW_DAEMON = `
const { createServer } = require('node:http');
const host = process.argv[process.argv.indexOf('--host') + 1].slice('unix://'.length);
require('node:fs').writeFileSync(host + '.pid', String(process.pid));
setTimeout(() => createServer((_, answer) => answer.end('[]')).listen(host), 150);
setTimeout(() => process.exit(0), 3000);
`;

test('the daemon is started once, in a session of its own, and waited for', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-ensure-'));
  try {
    const socket = join(directory, 'state', 'naru.sock');
    const program = join(directory, 'daemon.cjs');
    writeFileSync(program, SLOW_DAEMON);
    let starts = 0;
    const client = createClient({
      host: `unix://${socket}`,
      onUnreachable: async () => {
        starts++;
        await ensureDaemon(socket, [process.execPath, program]);
        return true;
      },
    });
    await Promise.all([client.warm(), client.warm(), client.containers.list()]);
    assert.equal(starts, 1);
    client.close();
    const pid = Number(readFileSync(`${socket}.pid`, 'utf8'));
    const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
    assert.equal(Number(session), pid);
    process.kill(pid, 'SIGKILL');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('one that does not come up is told with the end of its log', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-ensure-'));
  try {
    const program = join(directory, 'daemon.cjs');
    writeFileSync(program, "console.error('no such kernel'); process.exit(3)");
    await assert.rejects(ensureDaemon(join(directory, 'naru.sock'), [process.execPath, program]), { kind: 'unavailable', message: /the daemon did not start: it ended with status 3\n {2}no such kernel/, hint: /daemon\.log/ });
    await assert.rejects(ensureDaemon(join(directory, 'naru.sock'), []), { message: /^Cannot connect to the Docker daemon/ });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
