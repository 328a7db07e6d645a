import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testRegistry, type TestRegistry } from './harness.ts';
import { fixture } from '../fixtures/make-images.ts';

const archive = fixture('busybox.tar');
const directory = mkdtempSync(join(tmpdir(), 'naru-clients-'));
let registry: TestRegistry;
let host: string;
before(async () => {
  assert.ok(existsSync(archive), `${archive} is missing: npm test makes it`);
  registry = await testRegistry({ garbage: { interval: 3_600_000, grace: 0 } });
  host = new URL(registry.url).host;
});
after(async () => {
  const metrics = await (await fetch(`${registry.url}/metrics`)).text();
  await registry[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
  assert.match(metrics, /^naru_registry_requests_in_flight 1$/m, 'no request hangs after its client has gone');
});

/** Runs a program while the server in this process goes on. */
function run(program: string, args: string[], input = ''): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (d) => { out += String(d); });
    child.stderr.on('data', (d) => { err += String(d); });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, out, err }));
    child.stdin.end(input);
  });
}
const skopeo = async (...args: string[]): Promise<string> => {
  const done = await run('skopeo', args);
  assert.equal(done.status, 0, done.err);
  return done.out;
};

test('skopeo pushes, reads, copies across repositories, converts, deletes', { timeout: 60_000 }, async () => {
  const source = `docker://${host}/lib/busybox:1`;
  await skopeo('copy', '--dest-tls-verify=false', `docker-archive:${archive}`, source);
  const seen = JSON.parse(await skopeo('inspect', '--tls-verify=false', source)) as { Digest: string; RepoTags: string[]; Layers: string[] };
  assert.deepEqual(seen.RepoTags, ['1']);
  assert.deepEqual((JSON.parse(await skopeo('list-tags', '--tls-verify=false', `docker://${host}/lib/busybox`)) as { Tags: string[] }).Tags, ['1']);
  await skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', source, `docker://${host}/other/box:2`);
  await skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', '--format', 'oci', '--dest-compress-format', 'zstd', source, `docker://${host}/other/zstd:2`);
  await skopeo('copy', '--src-tls-verify=false', `docker://${host}/other/zstd:2`, `oci:${join(directory, 'oci')}:2`);
  await skopeo('copy', '--src-tls-verify=false', source, `dir:${join(directory, 'dir')}`);
  await skopeo('delete', '--tls-verify=false', source);
  assert.notEqual((await run('skopeo', ['inspect', '--tls-verify=false', source])).status, 0);
  await registry.server.clean();
  await skopeo('copy', '--src-tls-verify=false', `docker://${host}/other/box:2`, `oci:${join(directory, 'again')}:2`);
});

test('naru registry ls, rm, gc beside a running server, user add', { timeout: 60_000 }, async () => {
  await skopeo('copy', '--dest-tls-verify=false', `docker-archive:${archive}`, `docker://${host}/cli/box:1`);
  await skopeo('copy', '--dest-tls-verify=false', `docker-archive:${archive}`, `docker://${host}/cli/box:2`);
  const program = join(directory, 'main.ts');
  writeFileSync(program, `import { runRegistry } from ${JSON.stringify(join(import.meta.dirname, '../../src/registry/server/command.ts'))};\nprocess.exitCode = await runRegistry(process.argv.slice(2));\n`);
  const naru = (args: string[], input?: string): ReturnType<typeof run> => run(process.execPath, [program, ...args], input);
  const at = ['--data', registry.data];
  assert.match((await naru(['ls', ...at])).out, /^cli\/box +2 +1 +/m);
  assert.match((await naru(['ls', 'cli/box', ...at])).out, /^2 +sha256:/m);
  assert.equal((await naru(['rm', 'cli/box:1', ...at])).out, 'cli/box:1\n');
  assert.equal((await naru(['rm', 'cli/box:1', ...at])).status, 1);
  assert.match((await naru(['gc', '--grace', '0s', '--dry-run', ...at])).out, /would remove 0 tags/);
  assert.equal((await naru(['rm', 'cli/box', ...at])).status, 0);
  const collected = await naru(['gc', '--grace', '0s', ...at]);
  assert.equal(collected.status, 0, collected.err);
  assert.equal((await naru(['rm', '../x', ...at])).status, 1);
  const wrong = await naru(['serve', '--port', '99999', ...at]);
  assert.equal(wrong.status, 1);
  assert.match((await naru(['serve', '--port', '0', ...at])).err, /another registry serves/);
  for (const args of [['bogus'], ['serve', '--nonsense'], []]) assert.equal((await naru(args)).status, 125);
  const users = join(directory, 'users');
  assert.equal((await naru(['user', 'add', users, 'ann'], 'secret word\n')).out, 'ann\n');
  await using guarded = await testRegistry({ htpasswd: { path: users, realm: 'x' } });
  const guardedHost = new URL(guarded.url).host;
  await skopeo('copy', '--dest-tls-verify=false', '--dest-creds', 'ann:secret word', `docker-archive:${archive}`, `docker://${guardedHost}/x/y:1`);
  assert.notEqual((await run('skopeo', ['inspect', '--tls-verify=false', '--no-creds', `docker://${guardedHost}/x/y:1`])).status, 0);
});
