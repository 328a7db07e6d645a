import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eraseFromHelper, helperFor, keepInHelper, readFromHelper } from './credential-store.ts';
import { registryAuth } from './registry-auth.ts';

let directory: string;
const path = process.env['PATH'];
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-helper.'));
  // Keeps one login in a file.
  writeFileSync(join(directory, 'docker-credential-file'), `#!/bin/sh
case $1 in
get) read -r server; grep -q "\\"$server\\"" ${directory}/kept 2>/dev/null && cat ${directory}/kept || { echo "credentials not found in native keychain"; exit 1; };;
store) cat > ${directory}/kept;;
erase) rm -f ${directory}/kept;;
esac
`);
  writeFileSync(join(directory, 'docker-credential-broken'), '#!/bin/sh\necho nonsense\nexit 3\n');
  for (const name of ['file', 'broken']) chmodSync(join(directory, `docker-credential-${name}`), 0o755);
  process.env['PATH'] = `${directory}:${path}`;
});
after(() => {
  process.env['PATH'] = path;
  rmSync(directory, { recursive: true });
});

const decoded = async (...args: Parameters<typeof registryAuth>): Promise<unknown> => {
  const auth = await registryAuth(...args);
  return auth === undefined ? undefined : JSON.parse(Buffer.from(auth, 'base64url').toString());
};

test('a helper keeps, gives and forgets a login', async () => {
  const config = { credsStore: 'broken', credHelpers: { 'r.test:5000': 'file' } };
  assert.equal(helperFor(config, 'r.test:5000'), 'file');
  assert.equal(helperFor(config, 'other'), 'broken');
  assert.equal(helperFor({}, 'other'), undefined);
  assert.equal(readFromHelper('file', 'r.test:5000'), undefined);
  keepInHelper('file', 'r.test:5000', { username: 'ann', secret: 'sesame', token: false });
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'kept'), 'utf8')), { ServerURL: 'r.test:5000', Username: 'ann', Secret: 'sesame' });
  assert.deepEqual(await decoded(config, 'r.test:5000'), { username: 'ann', password: 'sesame', serveraddress: 'r.test:5000' });
  keepInHelper('file', 'r.test:5000', { username: '', secret: 'tok', token: true });
  assert.deepEqual(await decoded(config, 'r.test:5000'), { identitytoken: 'tok', serveraddress: 'r.test:5000' });
  eraseFromHelper('file', 'r.test:5000');
  assert.equal(await decoded({ ...config, auths: { 'r.test:5000': {} } }, 'r.test:5000'), undefined);
});

test('helpers that fail, are missing, or are no names', () => {
  assert.throws(() => readFromHelper('broken', 'x'), /docker-credential-broken: nonsense/);
  assert.throws(() => readFromHelper('missing', 'x'), /exec: "docker-credential-missing": executable file not found in \$PATH/);
  assert.throws(() => readFromHelper('../evil', 'x'), /is not a name/);
});

test('without helpers config.json is read', async () => {
  const auths = { 'https://index.docker.io/v1/': { auth: Buffer.from('a:b:c').toString('base64') } };
  assert.deepEqual(await decoded({ auths }, 'docker.io'), { username: 'a', password: 'b:c', serveraddress: 'https://index.docker.io/v1/' });
  assert.equal(await decoded({ auths }, 'r.test'), undefined);
});
