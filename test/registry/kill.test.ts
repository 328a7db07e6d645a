import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { digestOf, randomBlob, repository } from './harness.ts';

/** The server dies by SIGKILL at any moment: what it has acknowledged is there afterwards, and the store is whole. */
const directory = mkdtempSync(join(tmpdir(), 'naru-kill-'));
const program = join(directory, 'main.ts');
writeFileSync(program, `import { runRegistry } from ${JSON.stringify(join(import.meta.dirname, '../../src/registry/server/command.ts'))};\nprocess.exitCode = await runRegistry(process.argv.slice(2));\n`);
let child: ChildProcess | undefined;
after(() => { child?.kill('SIGKILL'); rmSync(directory, { recursive: true, force: true }); });

async function start(): Promise<string> {
  const started = spawn(process.execPath, [program, 'serve', '--port', '0', '--data', join(directory, 'data'), '--access-log', 'off', '--grace', '50ms', '--gc-interval', '20ms'], { stdio: ['ignore', 'ignore', 'pipe'] });
  child = started;
  return new Promise((resolve, reject) => {
    let said = '';
    started.stderr.on('data', (d) => {
      said += String(d);
      const match = / at (http:\S+)/.exec(said);
      if (match !== null) resolve(match[1] as string);
    });
    started.on('exit', () => reject(new Error(`it did not start: ${said}`)));
  });
}
const kill = (): Promise<void> => new Promise((resolve) => { child?.once('exit', () => resolve()); child?.kill('SIGKILL'); });

test('five kills during pushes and collections', { timeout: 60_000 }, async () => {
  const done: { repo: string; tag: string; digest: string; blobs: string[] }[] = [];
  for (let round = 0; round < 5; round++) {
    const url = await start();
    let dead = false;
    const pushers = [0, 1, 2].map(async (n) => {
      const one = repository(url, `kill/r${n}`);
      for (let i = 0; !dead; i++) {
        try {
          const image = await one.image(`t${round}-${i}`, { layers: [randomBlob(20_000)] });
          done.push({ repo: one.name, tag: `t${round}-${i}`, digest: image.digest, blobs: [image.config.digest, ...image.layers.map((l) => l.digest)] });
        } catch (error) {
          if (!dead && !/MANIFEST_BLOB_UNKNOWN/.test((error as Error).message) && child?.exitCode === null && child.signalCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    });
    // On a busy machine a round lasts until something was pushed in it.
    const before = done.length;
    const end = Date.now() + 8_000;
    do await new Promise((resolve) => setTimeout(resolve, 150 + round * 70));
    while (done.length < before + 3 && Date.now() < end);
    await kill();
    dead = true;
    await Promise.all(pushers);
  }
  const url = await start();
  assert.ok(done.length > 10, `${done.length} pushes`);
  for (const { repo, tag, digest, blobs } of done) {
    const one = repository(url, repo);
    const answer = await one.manifest(tag);
    assert.equal(answer.status, 200, `${repo}:${tag}`);
    assert.equal(digestOf(await answer.text()), digest);
    for (const blob of blobs) assert.equal(digestOf(Buffer.from(await (await one.blob(blob)).arrayBuffer())), blob);
  }
  await kill();
});
