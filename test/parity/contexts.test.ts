import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { NARU } from '../support/daemon.ts';
import { startRecordingDaemon, type RecordingDaemon } from '../support/recording-daemon.ts';

/** Contexts are Docker's: what either command line writes, the other reads, and both say the same. */
const top = mkdtempSync(join(tmpdir(), 'naru-contexts.'));
const directories = { docker: join(top, 'docker'), naru: join(top, 'naru') };
let daemon: RecordingDaemon;
before(async () => {
  for (const directory of Object.values(directories)) mkdirSync(directory);
  assert.equal(spawnSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', join(top, 'key'), '-out', join(top, 'cert'), '-subj', '/CN=x']).status, 0);
  writeFileSync(join(top, 'no-cert'), 'nothing\n');
  daemon = await startRecordingDaemon();
});
after(async () => {
  await daemon.close();
  rmSync(top, { recursive: true });
});

const DEFAULT_SOCKET = 'unix:///var/run/docker.sock';

function told(cli: 'docker' | 'naru', words: readonly string[], variables: Readonly<Record<string, string>> = {}): { code: number | null; out: string; err: string } {
  const directory = directories[cli];
  const { status, stdout, stderr } = spawnSync(cli === 'docker' ? 'docker' : NARU, words, {
    encoding: 'utf8', cwd: directory, env: { PATH: process.env['PATH'], HOME: directory, DOCKER_CONFIG: directory, NARU_SOCKET: DEFAULT_SOCKET.slice('unix://'.length), ...variables },
  });
  // What we are called, and what only our errors have.
  const plain = (text: string): string => text.replaceAll(directory, 'DIRECTORY').replace(/^hint: .*\n/gm, '').replaceAll(/\bnaru(?=:| context)/g, 'docker');
  return { code: status, out: plain(stdout), err: plain(stderr) };
}

/** Each line's variables, then its words. */
const LINES: readonly (readonly [variables: Readonly<Record<string, string>>, words: string])[] = [
  [{}, 'context ls'], [{}, 'context show'], [{}, 'context create one --docker host=unix:///tmp/x.sock --description first'], [{}, 'context create one --docker host=unix:///tmp/x.sock'],
  [{}, 'context create two'], [{}, 'context create three --from one'], [{}, 'context create -bad/name'], [{}, 'context create bad/name'], [{}, 'context create default'],
  [{}, 'context create x1 --docker host=tcp://1.2.3.4:2376,cert=/nope'], [{}, 'context create x2 --docker foo=bar'], [{}, 'context create x3 --docker host=tcp://1.2.3.4:1,ca=TOP/no-cert'], [{}, 'context create x4 --docker hst'],
  [{}, 'context create tls --docker host=tcp://127.0.0.1:1,ca=TOP/cert,cert=TOP/cert,key=TOP/key,skip-tls-verify=true'], [{}, 'context inspect tls'], [{}, 'context ls'], [{}, 'context ls -q'], [{}, 'context ls --format json'],
  [{}, 'context use nope'], [{}, 'context use one'], [{}, 'context show'], [{}, 'context ls'], [{}, 'ps'], [{}, '--context nope ps'], [{}, '--context one -H unix:///x ps'], [{}, '--context default context show'],
  [{ DOCKER_CONTEXT: 'two' }, 'context show'], [{ DOCKER_CONTEXT: 'nope' }, 'context ls'], [{ DOCKER_HOST: 'unix:///tmp/y' }, 'context ls'], [{ DOCKER_HOST: 'unix:///tmp/y' }, 'context use three'],
  [{}, 'context inspect one nope'], [{}, 'context inspect default'], [{}, 'context inspect -f {{.Name}}={{.Endpoints.docker.Host}}'], [{}, 'context rm nope'], [{}, 'context rm three default'], [{}, 'context rm -f three one'],
  [{}, 'context update two --description new --docker host=tcp://9.9.9.9:1'], [{}, 'context update nope'], [{}, 'context export two'], [{}, 'context export two'], [{}, 'context export nope'],
  [{}, 'context import again two.dockercontext'], [{}, 'context import again two.dockercontext'], [{}, 'context ls'], [{}, '--context tls version -f {{.Client.Context}}'], [{}, 'context foo'],
];

test('line by line, the two say the same', () => {
  for (const [variables, line] of LINES) {
    const words = line.replaceAll('TOP', top).split(' ');
    assert.deepEqual(told('naru', words, variables), told('docker', words, variables), line);
  }
});

describe('one directory for both', () => {
  for (const [writer, reader] of [['docker', 'naru'], ['naru', 'docker']] as const) test(`what ${writer} wrote, ${reader} reads`, () => {
    directories[reader] = directories[writer];
    assert.equal(told(writer, ['context', 'create', `by-${writer}`, '--docker', `host=${daemon.host}`]).code, 0);
    assert.equal(told(reader, ['context', 'inspect', '-f', '{{.Endpoints.docker.Host}}', `by-${writer}`]).out, `${daemon.host}\n`);
    assert.equal(told(reader, ['context', 'export', 'tls', `${writer}.tar`]).code, 0);
    assert.equal(told(writer, ['context', 'import', `tls-${writer}`, `${writer}.tar`]).code, 0);
    const [key] = readdirSync(join(directories[writer], 'contexts/tls')).map((id) => join(directories[writer], 'contexts/tls', id, 'docker/key.pem'));
    assert.equal(readFileSync(key!, 'utf8'), readFileSync(join(top, 'key'), 'utf8'));
    assert.equal(statSync(key!).mode & 0o777, 0o600);
  });

  test('the daemon that is asked is the context\'s: by flag, by variable, by choice', async () => {
    const { runCli } = await import('../support/run-cli.ts');
    const env = { PATH: process.env['PATH'], HOME: directories.naru, DOCKER_CONFIG: directories.naru, NARU_SOCKET: '/nowhere' };
    daemon.answers.set('GET /containers/json', { json: [] });
    assert.match((await runCli(['ps'], { env: { ...env, DOCKER_CONTEXT: 'by-docker' } })).out, /^CONTAINER ID/);
    assert.match((await runCli(['-c', 'by-docker', 'ps'], { env })).out, /^CONTAINER ID/);
    assert.equal((await runCli(['context', 'use', 'by-docker'], { env })).code, 0);
    assert.match((await runCli(['ps'], { env })).out, /^CONTAINER ID/);
    assert.match((await runCli(['ps'], { env: { ...env, NARU_HOST: 'unix:///nowhere/else' } })).err, /unix:\/\/\/nowhere\/else/);
    assert.deepEqual((await runCli(['__complete', 'context', 'use', 'by'], { env })).out, 'by-docker\nby-naru\n');
  });
});

test('an archive that is none makes no context', () => {
  const escaping = join(top, 'escape.tar');
  writeFileSync(join(top, 'meta.json'), '{"Name":"x","Metadata":{},"Endpoints":{}}');
  assert.equal(spawnSync('tar', ['-C', top, '--transform', 's,no-cert,tls/docker/../../../escaped,', '-cf', escaping, 'meta.json', 'no-cert']).status, 0);
  writeFileSync(join(top, 'no-meta.tar'), new Uint8Array(1024));
  for (const archive of [escaping, join(top, 'no-meta.tar'), join(top, 'no-cert'), join(top, 'absent')]) {
    const ran = told('naru', ['context', 'import', 'hostile', archive]);
    assert.notEqual(ran.code, 0, archive);
    assert.match(ran.err, /^.+\n$/, 'one sentence');
  }
  assert.doesNotMatch(told('naru', ['context', 'ls', '-q']).out, /hostile/);
});
