import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { apiServer } from '#test/support/api-server.ts';
import { aContainer, fakeEngine, textStream } from '#test/support/fake-engine.ts';
import { NaruError, type ErrorKind } from '#spec/errors.ts';
import { STATUS_OF } from './statuses.ts';

const serve = (given: Parameters<typeof fakeEngine>[0] = {}) => {
  const engine = fakeEngine(given);
  return apiServer(engine).then((api) => Object.assign(api, { engine, last: () => engine.calls.at(-1)! }));
};

describe('headers and versions', () => {
  test('ping, GET and HEAD, with and without a version', async () => {
    await using api = await serve();
    for (const path of ['/_ping', '/v1.24/_ping', '/v1.51/_ping']) {
      const get = await api.ask('GET', path);
      assert.equal(get.status, 200);
      assert.equal(get.text, 'OK');
      const expected = {
        'api-version': '1.51', 'docker-experimental': 'false', ostype: 'linux', server: 'Naru/0.1.0 (linux)', 'builder-version': '1',
        swarm: 'inactive', 'cache-control': 'no-cache, no-store, must-revalidate', pragma: 'no-cache',
      };
      for (const [name, value] of Object.entries(expected)) assert.equal(get.headers[name], value, name);
      const head = await api.ask('HEAD', path);
      assert.deepEqual([head.status, head.text, head.headers['api-version']], [200, '', '1.51']);
    }
  });
  const refused: [string, RegExp][] = [
    ['1.52', /^client version 1\.52 is too new\. Maximum supported API version is 1\.51$/],
    ['1.99', /^client version 1\.99 is too new\. Maximum supported API version is 1\.51$/],
    ['2.0', /too new/],
    ['1.23', /^client version 1\.23 is too old\. Minimum supported API version is 1\.24, please upgrade your client to a newer version$/],
    ['0.9', /too old/],
    ['1', /too old/],
    ['1..5', /malformed/],
  ];
  for (const [version, message] of refused) {
    test(`v${version} is refused`, async () => {
      await using api = await serve();
      const answer = await api.ask('GET', `/v${version}/containers/json`);
      assert.equal(answer.status, 400);
      assert.match((answer.json as { message: string }).message, message);
      assert.equal(answer.headers['api-version'], '1.51');
    });
  }
  test('unknown paths and methods', async () => {
    await using api = await serve();
    for (const [method, path] of [['GET', '/nothing'], ['PATCH', '/info'], ['DELETE', '/info'], ['GET', '/v1.51'], ['GET', '/v1.51/v1.51/info']] as const) {
      const answer = await api.ask(method, path);
      assert.deepEqual([answer.status, answer.json], [404, { message: 'page not found' }], `${method} ${path}`);
    }
  });
});

describe('errors', () => {
  for (const kind of Object.keys(STATUS_OF) as ErrorKind[]) {
    test(kind, async () => {
      await using api = await serve({ containers: { start: () => Promise.reject(new NaruError(kind, 'why', { hint: 'do this', exitCode: 127 })) } });
      const answer = await api.ask('POST', '/v1.51/containers/x/start');
      assert.equal(answer.status, STATUS_OF[kind]);
      if (kind === 'not-modified') assert.equal(answer.text, '');
      else assert.deepEqual(answer.json, { message: 'why', hint: 'do this', exitCode: 127 });
    });
  }
  test('a bug is a 500 and is reported once', async () => {
    await using api = await serve({ system: { info: () => Promise.reject(new TypeError('oops')) } });
    assert.equal((await api.ask('GET', '/info')).status, 500);
    assert.equal(api.faults.length, 1);
  });
});

describe('requests reach the engine', () => {
  test('create', async () => {
    await using api = await serve();
    const body = { image: 'busybox', Cmd: ['a'], Env: null, Unknown: 1, HostConfig: { Memory: 5, PortBindings: { '80/tcp': null }, ExposedPorts: 5 } };
    const answer = await api.ask('POST', '/v1.51/containers/create?name=n&platform=linux/amd64', { body });
    assert.equal(answer.status, 201);
    assert.deepEqual(api.last().args, ['n', { Image: 'busybox', Cmd: ['a'], HostConfig: { Memory: 5, PortBindings: { '80/tcp': null } } }, 'linux/amd64']);
  });
  const wrong: [string, unknown, RegExp][] = [
    ['no body', undefined, /config cannot be empty/],
    ['a list', [], /the body must be an object, not a list/],
    ['a wrong type', { Env: 'A=b' }, /Env must be a list, not a string/],
    ['a wrong element', { Env: ['a', 1] }, /Env\[1\] must be a string, not a number/],
    ['a wrong nested type', { HostConfig: { Memory: '1g' } }, /HostConfig\.Memory must be a whole number, not a string/],
    ['a fraction', { HostConfig: { Memory: 1.5 } }, /HostConfig\.Memory must be a whole number, not 1\.5/],
    ['a wrong label', { Labels: { a: 5 } }, /Labels\.a must be a string/],
  ];
  for (const [name, body, message] of wrong) {
    test(`create refuses ${name}`, async () => {
      await using api = await serve();
      const answer = await api.ask('POST', '/containers/create', { body });
      assert.equal(answer.status, 400);
      assert.match((answer.json as { message: string }).message, message);
      assert.equal(api.engine.calls.length, 0);
    });
  }
  const calls: [string, string, string, unknown[]][] = [
    ['GET', '/containers/json?all=1&limit=3&filters={"status":["running"],"label":{"a=b":true}}', 'containers.list',
      [{ all: true, limit: 3, size: false, filters: new Map([['status', ['running']], ['label', ['a=b']]]) }]],
    ['GET', '/containers/json?all=false&size=True', 'containers.list', [{ all: false, limit: -1, size: true, filters: new Map() }]],
    ['POST', '/containers/a/stop?t=3&signal=INT', 'containers.stop', ['a', { signal: 'INT', timeout: 3 }]],
    ['POST', '/v1.41/containers/a/stop?signal=INT', 'containers.stop', ['a', {}]],
    ['POST', '/containers/a/restart?t=-1', 'containers.restart', ['a', { timeout: -1 }]],
    ['POST', '/containers/a/kill', 'containers.kill', ['a', 'SIGKILL']],
    ['POST', '/containers/a/kill?signal=HUP', 'containers.kill', ['a', 'HUP']],
    ['POST', '/containers/a/rename?name=b', 'containers.rename', ['a', 'b']],
    ['POST', '/containers/a/resize?h=10&w=20', 'containers.resize', ['a', 10, 20]],
    ['DELETE', '/containers/a?v=1&force=true', 'containers.remove', ['a', { force: true, volumes: true, link: false }]],
    ['GET', '/containers/a/json?size=1', 'containers.inspect', ['a', true]],
    ['HEAD', '/containers/a/archive?path=/etc', 'containers.statPath', ['a', '/etc']],
    ['GET', '/images/library/busy%3Abox/json', 'images.inspect', ['library/busy:box', { platform: '', manifests: false }]],
    ['GET', '/images/host:5000/a/b@sha256:0/json', 'images.inspect', ['host:5000/a/b@sha256:0', { platform: '', manifests: false }]],
    ['GET', '/images/json?filter=busybox', 'images.list', [{ all: false, filters: new Map(), sharedSize: false, digests: false, manifests: false }]],
    ['GET', '/v1.40/images/json?filter=busybox', 'images.list', [{ all: false, filters: new Map([['reference', ['busybox']]]), sharedSize: false, digests: false, manifests: false }]],
  ];
  for (const [method, path, called, args] of calls) {
    test(`${method} ${path}`, async () => {
      await using api = await serve();
      const answer = await api.ask(method, encodeURI(path).replaceAll('%25', '%'));
      assert.ok(answer.status < 300, answer.text);
      assert.deepEqual(api.last(), { method: called, args });
    });
  }
  test('logs: times to the nanosecond, content type by tty and version', async () => {
    await using api = await serve({ containers: { logs: (name) => Promise.resolve({ tty: name === 'tty', stream: textStream('hello') }) } });
    const answer = await api.ask('GET', '/containers/a/logs?stdout=1&since=1700000000.5&until=1.000000001&tail=all&follow=0');
    assert.equal(answer.text, 'hello');
    assert.equal(answer.headers['content-type'], 'application/vnd.docker.multiplexed-stream');
    const options = api.last().args[1] as { since: bigint; until: bigint; tail: number };
    assert.deepEqual([options.since, options.until, options.tail], [1_700_000_000_500_000_000n, 1_000_000_001n, -1]);
    assert.equal((await api.ask('GET', '/v1.41/containers/a/logs?stdout=1')).headers['content-type'], 'application/vnd.docker.raw-stream');
    assert.equal((await api.ask('GET', '/containers/tty/logs?stdout=1')).headers['content-type'], 'application/vnd.docker.raw-stream');
    assert.equal((await api.ask('GET', '/containers/a/logs')).status, 400);
    assert.equal((await api.ask('GET', '/containers/a/logs?stdout=1&since=yesterday')).status, 400);
  });
  test('invalid filters', async () => {
    await using api = await serve();
    for (const filters of ['{', '[]', '{"a":1}', '{"a":[1]}', '{"a":{"b":1}}', 'null']) {
      const answer = await api.ask('GET', `/containers/json?filters=${encodeURIComponent(filters)}`);
      assert.deepEqual([answer.status, answer.json], [400, { message: 'invalid filter' }], filters);
    }
  });
});

describe('streams', () => {
  test('progress: an early failure is a status, a late one a message', async () => {
    await using api = await serve({
      images: {
        load: async function* () { throw new NaruError('corrupt', 'no tar'); },
        pull: async function* () { yield { status: 'one' }; throw new NaruError('unavailable', 'gone'); },
      },
    });
    assert.deepEqual(await api.ask('POST', '/images/load').then((a) => [a.status, a.json]), [400, { message: 'no tar' }]);
    const pull = await api.ask('POST', '/images/create?fromImage=a&tag=1', { headers: { 'X-Registry-Auth': 'e30=' } });
    assert.equal(pull.status, 200);
    assert.deepEqual(pull.text.trim().split('\r\n').map((line) => JSON.parse(line)), [{ status: 'one' }, { errorDetail: { message: 'gone' }, error: 'gone' }]);
    assert.deepEqual(api.last().args.slice(0, 2), ['a:1', { platform: '', auth: 'e30=', referrers: false }]);
  });
  test('events: a wrong filter is a status, silence is not', async () => {
    await using api = await serve({
      system: { events: async function* (options) { if (options.filters.has('bad')) throw new NaruError('invalid', 'bad filter'); yield { Type: 'x' } as never; } },
    });
    assert.equal((await api.ask('GET', '/events?filters={%22bad%22:[%22x%22]}')).status, 400);
    assert.equal((await api.ask('GET', '/events')).text, '{"Type":"x"}\n');
    assert.equal((await api.ask('GET', '/events?since=5&until=4')).status, 400);
  });
  test('wait: conditions by version, failure in the body', async () => {
    await using api = await serve({ containers: { wait: (name) => Promise.resolve({ done: name === 'bad' ? Promise.reject(new Error('lost')) : Promise.resolve({ StatusCode: 3 }) }) } });
    assert.deepEqual((await api.ask('POST', '/containers/a/wait?condition=removed')).json, { StatusCode: 3 });
    assert.equal(api.last().args[1], 'removed');
    await api.ask('POST', '/v1.29/containers/a/wait?condition=removed');
    assert.equal(api.last().args[1], 'not-running');
    assert.deepEqual((await api.ask('POST', '/containers/bad/wait')).json, { StatusCode: 125, Error: { Message: 'lost' } });
    assert.equal((await api.ask('POST', '/containers/a/wait?condition=never')).status, 400);
  });
  test('archive: the stat header, both ways', async () => {
    let put = '';
    const stat = { name: 'x', size: 1, mode: 0o644, mtime: '2026-01-01T00:00:00Z', linkTarget: 'ö' };
    await using api = await serve({
      containers: {
        getArchive: () => Promise.resolve({ stat, stream: textStream('tar') }),
        putArchive: async (_name, _path, archive) => { for await (const part of archive) put += String(part); },
      },
    });
    const got = await api.ask('GET', '/containers/a/archive?path=/x');
    assert.equal(got.text, 'tar');
    assert.deepEqual(JSON.parse(Buffer.from(String(got.headers['x-docker-container-path-stat']), 'base64').toString()), stat);
    assert.equal((await api.ask('PUT', '/containers/a/archive?path=/x&copyUIDGID=1', { body: 'bytes' })).status, 200);
    assert.equal(put, '"bytes"');
    assert.deepEqual(api.last().args[3], { noOverwriteDirNonDir: false, copyUidGid: true });
    assert.equal((await api.ask('GET', '/containers/a/archive')).status, 400);
  });
});

describe('what is not there', () => {
  const answers: [string, string, number, RegExp][] = [
    ['POST', '/build?t=x', 501, /builder comes with a later release/],
    ['POST', '/session', 501, /builder/],
    ['POST', '/build/prune', 200, /"SpaceReclaimed":0/],
    ['GET', '/plugins', 200, /^\[\]/],
    ['GET', '/plugins/a/b/json', 404, /not found/],
    ['GET', '/swarm', 503, /^\{"message":"This node is not a swarm manager\. Use \\"docker swarm init\\"/],
    ['GET', '/services', 503, /swarm manager/],
    ['GET', '/containers/a/attach/ws', 400, /WebSocket/],
  ];
  for (const [method, path, status, text] of answers) {
    test(`${method} ${path}`, async () => {
      await using api = await serve();
      const answer = await api.ask(method, path);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.text, text);
    });
  }
});

describe('older clients', () => {
  test('shapes', async () => {
    await using api = await serve();
    const container = async (v: string) => (await api.ask('GET', `/v${v}/containers/a/json`)).json as typeof aContainer;
    assert.deepEqual(await container('1.51'), aContainer);
    assert.equal('ImageManifestDescriptor' in (await container('1.47')), false);
    assert.equal((await container('1.43')).Config.MacAddress, '02:42:ac:11:00:02');
    const image = async (v: string) => (await api.ask('GET', `/v${v}/images/a/json`)).json as Record<string, unknown>;
    assert.deepEqual([(await image('1.43')).VirtualSize, (await image('1.44')).VirtualSize], [1234, undefined]);
    assert.deepEqual(['ContainerConfig' in (await image('1.44')), 'ContainerConfig' in (await image('1.45'))], [true, false]);
    assert.equal('ContainerConfig' in ((await api.ask('GET', '/v1.51/images/a/json', { headers: { 'User-Agent': 'docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1' } })).json as object), true);
    assert.deepEqual(['Hostname' in ((await image('1.49')).Config as object), 'Hostname' in ((await image('1.50')).Config as object)], [true, false]);
    const images = async (v: string) => ((await api.ask('GET', `/v${v}/images/json`)).json as { RepoTags: string[] }[])[0]!.RepoTags;
    assert.deepEqual([await images('1.42'), await images('1.43')], [['<none>:<none>'], []]);
    await api.ask('POST', '/v1.39/containers/create', { body: { Image: 'x' } });
    assert.deepEqual(api.last().args[1], { Image: 'x', HostConfig: { IpcMode: 'shareable' } });
  });
});

describe('naru', () => {
  test('plan and trace', async () => {
    await using api = await serve();
    const plan = await api.ask('POST', '/naru/plan?name=x', { body: { Image: 'busybox' }, headers: { 'Naru-Trace': 't1' } });
    assert.deepEqual([plan.status, plan.headers['content-type'], plan.text], [200, 'text/plain; charset=utf-8', 'clone pid mnt\nexec /bin/true\n']);
    await api.ask('GET', '/containers/json', { headers: { 'Naru-Trace': 't1' } });
    const trace = (await api.ask('GET', '/naru/trace/t1')).json as { id: string; spans: { link: string; name: string; start: string; end: string }[] };
    assert.deepEqual(trace.spans.map((span) => `${span.link} ${span.name}`), ['api POST /naru/plan', 'api GET /containers/json']);
    assert.ok(BigInt(trace.spans[0]!.end) >= BigInt(trace.spans[0]!.start));
    assert.equal((await api.ask('GET', '/naru/trace/t2')).status, 404);
    for (let i = 0; i < 64; i++) await api.ask('GET', '/_ping', { headers: { 'Naru-Trace': `n${i}` } });
    assert.equal((await api.ask('GET', '/naru/trace/t1')).status, 404);
  });
});
