import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { NARU, TestDaemon, type Ran } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { ForeignEngine, startContainerd } from '../support/foreign-engines.ts';
import { NaruRegistry } from '../support/naru-registry.ts';
import { makeCertificate, TokenServer, type Certificate } from '../support/token-server.ts';

/**
 * Both ends against everybody else's: unmodified docker (against naru's daemon and against Debian's dockerd), skopeo, podman, buildah and
 * umoci at our registry, and naru's daemon at Debian's docker-registry. Digests are the same wherever they are read.
 */
const archive = fixture('busybox.tar');
const e = new ForeignEngine('clients');
const USER = { name: 'ann', password: 'sesame' };
let d: TestDaemon;
let tls: Certificate;
let signing: Certificate;
let tokens: TokenServer;
const certificates: string[] = [];

/** Beside this process, which serves tokens. */
function run(command: string, args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, REGISTRY_AUTH_FILE: e.path('auth.json'), DOCKER_CONFIG: e.path('docker') } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => { out += String(text); });
    child.stderr.on('data', (text) => { err += String(text); });
    child.on('error', reject).on('close', (code) => resolve({ code: code ?? 128, out, err }));
    child.stdin.end(input);
  });
}
async function ok(command: string, ...args: string[]): Promise<string> {
  const ran = await run(command, args);
  assert.equal(ran.code, 0, `${command} ${args.join(' ')}: ${ran.err}${ran.out}`);
  return ran.out.trim();
}

/** What Docker's tools read for a registry with an authority of its own; naru's daemon does too. */
function trust(host: string): void {
  const directory = `/etc/docker/certs.d/${host}`;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'ca.crt'), readFileSync(tls.certificate));
  certificates.push(directory);
}

before(async () => {
  tls = makeCertificate(e.root, 'registry');
  signing = makeCertificate(e.root, 'tokens');
  [d, tokens] = await Promise.all([TestDaemon.start(), TokenServer.start(signing, USER)]);
  const containerd = await startContainerd(e);
  const socket = e.path('docker.sock');
  await e.daemon(['dockerd', '--containerd', containerd, '-H', `unix://${socket}`, '--data-root', e.path('data'), '--exec-root', e.path('exec'), '--pidfile', e.path('pid'), '--cgroup-parent', e.cgroupParent,
    '--exec-opt', 'native.cgroupdriver=cgroupfs', '--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--log-level', 'error'], () => existsSync(socket));
  e.file('policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  e.file('auth.json', '{}');
  mkdirSync(e.path('docker'));
  await ok('docker', '-H', `unix://${socket}`, 'load', '-i', archive);
});
after(async () => {
  await d?.destroy();
  await tokens?.[Symbol.asyncDispose]();
  for (const directory of certificates) rmSync(directory, { recursive: true, force: true });
  await e.destroy();
});

interface Client { login(host: string): Promise<unknown>; push(name: string): Promise<unknown>; /** The digest that the client says it has, and the image's bytes are there. */ pull(name: string): Promise<string> }

const dockerAt = (socket: () => string): Client => {
  const docker = (...args: string[]): Promise<string> => ok('docker', '-H', `unix://${socket()}`, ...args);
  return {
    login: (host) => docker('login', '-u', USER.name, '-p', USER.password, host),
    async push(name) { await docker('tag', 'busybox', name); await docker('push', '-q', name); await docker('rmi', name); },
    async pull(name) {
      const said = /^Digest: (\S+)$/m.exec(await docker('pull', name))?.[1] as string;
      assert.match(await docker('image', 'inspect', '-f', '{{.RepoDigests}}', name), new RegExp(`@${said}`));
      await docker('rmi', name);
      return said;
    },
  };
};
const podman = (program: 'podman' | 'buildah'): Client => {
  const call = (...args: string[]): Promise<string> => ok(program, '--root', e.path(program), '--runroot', e.path(`${program}-run`), '--storage-driver', 'vfs', ...args);
  const policy = (): string[] => ['--signature-policy', e.path('policy.json')];
  let loaded: Promise<unknown> | undefined;
  const image = async (): Promise<string> => {
    loaded ??= call(...(program === 'podman' ? ['load', '-q', '-i', archive] : ['pull', '-q', ...policy(), `docker-archive:${archive}`]));
    await loaded;
    return 'localhost/busybox:latest';
  };
  return {
    login: (host) => call('login', '-u', USER.name, '-p', USER.password, host),
    async push(name) { await call('push', '-q', ...(program === 'buildah' ? policy() : []), await image().then(async (one) => (await call('images', '-q', one)) === '' ? 'busybox:latest' : one), `docker://${name}`); },
    async pull(name) {
      // An image of the same configuration that came another way would keep that way's digest.
      await call('rmi', '-af');
      loaded = undefined;
      const id = (await call('pull', '-q', ...(program === 'buildah' ? policy() : []), name)).split('\n').at(-1) as string;
      const digest = program === 'podman' ? await call('image', 'inspect', '--format', '{{.Digest}}', name) : /"(sha256:[0-9a-f]{64})"/.exec(await call('images', '--json', '--digests', name).then((text) => JSON.stringify((JSON.parse(text) as { digest: string }[])[0]?.digest)))?.[1] as string;
      assert.match(id, /^[0-9a-f]{64}$/);
      return digest;
    },
  };
};
const skopeo: Client = {
  login: (host) => ok('skopeo', 'login', '-u', USER.name, '-p', USER.password, host),
  push: (name) => ok('skopeo', 'copy', '-q', `docker-archive:${archive}`, `docker://${name}`),
  async pull(name) {
    const to = e.path('dir');
    rmSync(to, { recursive: true, force: true });
    await ok('skopeo', 'copy', '-q', `docker://${name}`, `dir:${to}`);
    return `sha256:${createHash('sha256').update(readFileSync(join(to, 'manifest.json'))).digest('hex')}`;
  },
};
const umoci: Client = {
  login: skopeo.login,
  async push(name) {
    const layout = e.path('umoci');
    rmSync(layout, { recursive: true, force: true });
    await ok('umoci', 'init', '--layout', layout);
    await ok('umoci', 'new', '--image', `${layout}:one`);
    await ok('umoci', 'insert', '--image', `${layout}:one`, '/bin/busybox', '/bin/busybox');
    await ok('umoci', 'config', '--image', `${layout}:one`, '--config.cmd', '/bin/busybox');
    await ok('skopeo', 'copy', '-q', `oci:${layout}:one`, `docker://${name}`);
  },
  async pull(name) {
    const layout = e.path('layout');
    rmSync(layout, { recursive: true, force: true });
    await ok('skopeo', 'copy', '-q', `docker://${name}`, `oci:${layout}:one`);
    await ok('umoci', 'unpack', '--image', `${layout}:one`, join(layout, 'bundle'));
    assert.deepEqual(readFileSync(join(layout, 'bundle/rootfs/bin/busybox')), readFileSync('/bin/busybox'));
    // A schema 2 manifest becomes another one in a layout: what was pulled is asked of the registry.
    return (JSON.parse(await ok('skopeo', 'inspect', `docker://${name}`)) as { Digest: string }).Digest;
  },
};
const CLIENTS: Record<string, Client> = { 'docker, naru': dockerAt(() => d.socket), 'docker, dockerd 20.10': dockerAt(() => e.path('docker.sock')), skopeo, podman: podman('podman'), buildah: podman('buildah'), umoci };
const slug = (name: string): string => name.replace(/[^a-z0-9]+/g, '-');

/** Asks the registry itself. */
async function digestAt(host: string, path: string): Promise<string> {
  const out = await ok('curl', '-sSI', '--cacert', tls.certificate, '-u', `${USER.name}:${USER.password}`, '-H', 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json', `https://${host}/v2/${path}`);
  return /^docker-content-digest: (\S+)/im.exec(out)?.[1] as string;
}

describe('our registry, with TLS by an authority of its own and a password', () => {
  let registry: NaruRegistry;
  before(async () => {
    const added = await run(NARU, ['registry', 'user', 'add', e.path('users'), USER.name], `${USER.password}\n`);
    assert.equal(added.code, 0, added.err);
    registry = await NaruRegistry.start('--tls-cert', tls.certificate, '--tls-key', tls.key, '--htpasswd', e.path('users'));
    trust(registry.host);
  });
  after(() => registry?.[Symbol.asyncDispose]());

  test('nobody gets in without a login', async () => {
    for (const [name, client] of Object.entries(CLIENTS)) await assert.rejects(client.push(`${registry.host}/early/${slug(name)}:v1`), /unauthorized|authentication required|no basic auth|credentials/i, name);
  });
  for (const [name, client] of Object.entries(CLIENTS)) {
    test(`${name} logs in and pushes`, async () => {
      await client.login(registry.host);
      await client.push(`${registry.host}/from/${slug(name)}:v1`);
      assert.match(await digestAt(registry.host, `from/${slug(name)}/manifests/v1`), /^sha256:/);
    });
  }
  for (const [name, client] of Object.entries(CLIENTS)) {
    test(`${name} pulls what others pushed, with the registry's digests`, async () => {
      // Everything for those that are quick; for the others one of each kind of manifest and compression.
      for (const other of Object.keys(CLIENTS)) {
        if (!/naru|skopeo/.test(name) && /skopeo|podman|buildah/.test(other)) continue;
        assert.equal(await client.pull(`${registry.host}/from/${slug(other)}:v1`), await digestAt(registry.host, `from/${slug(other)}/manifests/v1`), other);
      }
    });
  }
  test('an index of platforms, OCI manifests and layers in zstd: every client gets the same', async () => {
    const [one, two] = [`${registry.host}/multi/zstd:v1`, `${registry.host}/multi/zstd:arm`];
    // A layer that was never pushed in gzip, which skopeo would use again.
    const layout = e.path('fresh');
    e.file('fresh-file', `${Math.random()}`.repeat(1000));
    for (const args of [['init', '--layout', layout], ['new', '--image', `${layout}:one`], ['insert', '--image', `${layout}:one`, '/bin/busybox', '/bin/busybox'], ['insert', '--image', `${layout}:one`, e.path('fresh-file'), '/fresh']]) await ok('umoci', ...args);
    await ok('skopeo', 'copy', '-q', '--format', 'oci', '--dest-compress-format', 'zstd', `oci:${layout}:one`, `docker://${one}`);
    await ok('skopeo', 'copy', '-q', '--format', 'oci', `docker-archive:${archive}`, `docker://${two}`);
    const manifests = await Promise.all(['v1', 'arm'].map(async (tag) => {
      const bytes = await ok('skopeo', 'inspect', '--raw', `docker://${registry.host}/multi/zstd:${tag}`);
      return { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: await digestAt(registry.host, `multi/zstd/manifests/${tag}`), size: Buffer.byteLength(bytes), platform: { os: 'linux', architecture: tag === 'arm' ? 'arm64' : 'amd64' } };
    }));
    assert.ok((await ok('skopeo', 'inspect', '--raw', `docker://${one}`)).includes('tar+zstd'));
    const type = 'application/vnd.oci.image.index.v1+json';
    const index = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests });
    await ok('curl', '-sSf', '--cacert', tls.certificate, '-u', `${USER.name}:${USER.password}`, '-X', 'PUT', '-H', `Content-Type: ${type}`, '--data-binary', index, `https://${registry.host}/v2/multi/zstd/manifests/index`);
    const digest = `sha256:${createHash('sha256').update(index).digest('hex')}`;
    for (const [name, client] of Object.entries(CLIENTS)) {
      // Docker 20.10 and Debian's umoci know no zstd. Some tell the index's digest, some that of the image which they chose from it.
      if (name === 'docker, dockerd 20.10' || name === 'umoci') continue;
      const said = await client.pull(`${registry.host}/multi/zstd:index`);
      assert.ok([digest, manifests[0]?.digest].includes(said), `${name}: ${said}`);
    }
    await ok('skopeo', 'copy', '-q', '--all', `docker://${registry.host}/multi/zstd:index`, `docker://${registry.host}/multi/copy:index`);
    assert.equal(await digestAt(registry.host, 'multi/copy/manifests/index'), digest);
    const docker = (...args: string[]): Promise<string> => ok('docker', '-H', `unix://${d.socket}`, ...args);
    assert.match(await docker('pull', `${registry.host}/multi/zstd:index`), new RegExp(`^Digest: ${digest}$`, 'm'));
    assert.equal(await docker('run', '--rm', `${registry.host}/multi/zstd:index`, '/bin/busybox', 'cut', '-c', '1-2', '/fresh'), '0.');
  });
});

describe("naru's daemon at Debian's docker-registry", () => {
  const docker = (...args: string[]): Promise<string> => ok('docker', '-H', `unix://${d.socket}`, ...args);
  test('TLS by an authority of its own: refused until it is known, then push and pull', async () => {
    await using registry = await DockerRegistry.start({ tls });
    trust(registry.host);
    const name = `${registry.host}/own/box:v1`;
    writeFileSync(join(certificates.at(-1) as string, 'ca.crt'), readFileSync(signing.certificate));
    await docker('tag', 'busybox', name);
    await assert.rejects(docker('push', '-q', name), /certificate|self.signed|verify|http/i);
    writeFileSync(join(certificates.at(-1) as string, 'ca.crt'), readFileSync(tls.certificate));
    await docker('push', '-q', name);
    await docker('rmi', name);
    assert.equal(/^Digest: (\S+)$/m.exec(await docker('pull', name))?.[1], await digestAt(registry.host, 'own/box/manifests/v1'));
  });
  for (const whose of ['docker-registry', 'our registry'] as const) {
    test(`signed tokens of another server (${whose}): login, push, pull; nothing without; a public repository for everybody`, async () => {
      const settings = { realm: tokens.realm, service: tokens.service, issuer: tokens.issuer };
      const config = e.file('token.yml', JSON.stringify({ token: { ...settings, keys: signing.certificate } }));
      await using registry = whose === 'docker-registry' ? await DockerRegistry.start({ token: { ...settings, certificate: signing.certificate } }) : await NaruRegistry.start('--config', config);
      const { host } = registry;
      for (const path of ['team/box', 'public/box']) await docker('tag', 'busybox', `${host}/${path}:v1`);
      await assert.rejects(docker('push', '-q', `${host}/team/box:v1`), /unauthorized|denied|authentication required/);
      await assert.rejects(docker('login', '-u', USER.name, '-p', 'wrong', host), /unauthorized|incorrect/);
      await docker('login', '-u', USER.name, '-p', USER.password, host);
      for (const path of ['team/box', 'public/box']) await docker('push', '-q', `${host}/${path}:v1`);
      assert.ok(tokens.asked.includes('repository:team/box:pull,push') || tokens.asked.includes('repository:team/box:push,pull'), tokens.asked.join(' '));
      const pulled = await docker('pull', `${host}/team/box:v1`);
      assert.match(pulled, /^Digest: sha256:/m);
      for (const [name, client] of Object.entries(CLIENTS)) {
        if (!/skopeo|dockerd/.test(name)) continue;
        if (name === 'skopeo') assert.match(pulled, new RegExp((JSON.parse(await ok('skopeo', 'inspect', '--tls-verify=false', '--creds', `${USER.name}:${USER.password}`, `docker://${host}/team/box:v1`)) as { Digest: string }).Digest));
        else { await client.login(host); assert.match(pulled, new RegExp(await client.pull(`${host}/team/box:v1`))); }
      }
      await docker('logout', host);
      await assert.rejects(docker('pull', `${host}/team/box:v1`), /denied|unauthorized/);
      await docker('pull', '-q', `${host}/public/box:v1`);
    });
  }
});
