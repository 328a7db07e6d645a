import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codeOf, digestOf, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, randomBlob, repository } from '#test/registry/harness.ts';

/**
 * What distribution-spec 1.1 asks of a registry, optional parts included: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 * A function over any registry; `url` is read when the tests run.
 */
export function distributionSuite(url: () => string): void {
  const repo = (name = 'suite/one'): ReturnType<typeof repository> => repository(url(), name);

  test('end-1: the base', async () => {
    const answer = await fetch(`${url()}/v2/`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0');
  });

  for (const algorithm of ['sha256', 'sha512']) {
    describe(`blobs by ${algorithm}`, () => {
      const check = async (bytes: Uint8Array, answer: Response): Promise<void> => {
        const digest = digestOf(bytes, algorithm);
        assert.equal(answer.status, 201, await answer.text());
        assert.equal(answer.headers.get('docker-content-digest'), digest);
        const there = await fetch(new URL(answer.headers.get('location') as string, url()));
        assert.deepEqual(Buffer.from(await there.arrayBuffer()), Buffer.from(bytes));
        const head = await repo().blob(digest, {}, 'HEAD');
        assert.equal(head.status, 200);
        assert.equal(head.headers.get('content-length'), String(bytes.length));
        assert.equal(head.headers.get('docker-content-digest'), digest);
        assert.equal((await repo().blob(digest, {}, 'DELETE')).status, 202);
        assert.equal((await repo().blob(digest, {}, 'HEAD')).status, 404);
      };
      test('one POST', async () => {
        const bytes = randomBlob(2048);
        await check(bytes, await repo().send('POST', `/v2/suite/one/blobs/uploads/?digest=${digestOf(bytes, algorithm)}`, { body: bytes }));
      });
      test('POST, then PUT', async () => {
        const bytes = randomBlob(2048);
        await check(bytes, await repo().put(bytes, digestOf(bytes, algorithm)));
      });
      test('the empty blob and {}', async () => {
        for (const bytes of [Buffer.alloc(0), Buffer.from('{}')]) await check(bytes, await repo().put(bytes, digestOf(bytes, algorithm)));
      });
      test('a stream, then an empty PUT', async () => {
        const bytes = randomBlob(300_000);
        const patched = await fetch(repo().at(await repo().start(`?digest-algorithm=${algorithm}`)), {
          method: 'PATCH', body: new ReadableStream({ start(c) { c.enqueue(bytes.subarray(0, 7)); c.enqueue(bytes.subarray(7)); c.close(); } }), duplex: 'half',
        } as RequestInit);
        assert.equal(patched.status, 202);
        assert.equal(patched.headers.get('range'), `0-${bytes.length - 1}`);
        await check(bytes, await repo().send('PUT', repo().withQuery(patched.headers.get('location') as string, `digest=${digestOf(bytes, algorithm)}`)));
      });
      for (const putLast of [false, true]) {
        test(`chunks, out of order in between, the last by ${putLast ? 'PUT' : 'PATCH'}`, async () => {
          const bytes = randomBlob(3 * 1024 - 5);
          const size = 1024;
          let location = await repo().start();
          let answer: Response | undefined;
          for (let at = 0; at < bytes.length; at += size) {
            const bad = at + size >= bytes.length ? 0 : at + size;
            const refused = await repo().send('PATCH', location, { body: bytes.subarray(bad, bad + size), headers: { 'content-range': `${bad}-${Math.min(bad + size, bytes.length) - 1}` } });
            assert.equal(refused.status, 416);
            const status = await repo().send('GET', location);
            assert.equal(status.status, 204);
            assert.equal(status.headers.get('range'), `0-${Math.max(0, at - 1)}`);
            location = status.headers.get('location') as string;
            const end = Math.min(at + size, bytes.length);
            const last = putLast && end === bytes.length;
            answer = await repo().send(last ? 'PUT' : 'PATCH', last ? repo().withQuery(location, `digest=${digestOf(bytes, algorithm)}`) : location, {
              body: bytes.subarray(at, end), headers: { 'content-range': `${at}-${end - 1}`, 'content-type': 'application/octet-stream' },
            });
            if (!last) {
              assert.equal(answer.status, 202);
              assert.equal(answer.headers.get('range'), `0-${end - 1}`);
              location = answer.headers.get('location') as string;
            }
          }
          if (!putLast) answer = await repo().send('PUT', repo().withQuery(location, `digest=${digestOf(bytes, algorithm)}`));
          await check(bytes, answer as Response);
        });
      }
      test('wrong digests by every way', async () => {
        const bytes = randomBlob(600);
        const wrong = digestOf('other', algorithm);
        const one = repo();
        assert.equal(await codeOf(await one.put(bytes, wrong)), 'DIGEST_INVALID');
        const post = await one.send('POST', `/v2/suite/one/blobs/uploads/?digest=${wrong}`, { body: bytes });
        assert.equal(post.status, 400);
        const patched = await one.send('PATCH', await one.start(), { body: bytes });
        assert.equal((await one.send('PUT', one.withQuery(patched.headers.get('location') as string, `digest=${wrong}`))).status, 400);
        assert.equal((await one.blob(wrong)).status, 404);
        assert.equal((await one.blob(digestOf(bytes, algorithm))).status, 404);
      });
      test('mounts', async () => {
        const bytes = randomBlob(512);
        const digest = digestOf(bytes, algorithm);
        assert.equal((await repo('suite/source').put(bytes, digest)).status, 201);
        for (const from of ['&from=suite/source', '']) {
          const answer = await repo().send('POST', `/v2/suite/one/blobs/uploads/?mount=${digest}${from}`);
          await check(bytes, answer);
        }
        const missing = await repo().send('POST', `/v2/suite/one/blobs/uploads/?mount=${digestOf('nowhere', algorithm)}&from=suite/source`);
        assert.equal(missing.status, 202);
        assert.ok(missing.headers.get('location'));
      });
    });
  }

  test('a digest that is none, or of another algorithm', async () => {
    const one = repo();
    for (const digest of ['sha256:short', 'md5:d41d8cd98f00b204e9800998ecf8427e', `sha256:${'A'.repeat(64)}`, 'sha256', `sha512:${'a'.repeat(64)}`]) {
      for (const answer of [await one.blob(digest), await one.put('x', digest), await one.send('POST', `/v2/suite/one/blobs/uploads/?mount=${digest}`)]) {
        assert.equal(answer.status, 400, digest);
        assert.equal(await codeOf(answer), 'DIGEST_INVALID');
      }
    }
    assert.equal((await one.send('POST', '/v2/suite/one/blobs/uploads/?digest-algorithm=md5')).status, 400);
  });

  test('an upload is cancelled', async () => {
    const one = repo();
    const location = await one.start();
    assert.equal((await one.send('DELETE', location)).status, 204);
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const answer = await one.send(method, method === 'PUT' ? one.withQuery(location, `digest=${digestOf('')}`) : location);
      assert.equal(answer.status, 404, method);
      assert.equal(await codeOf(answer), 'BLOB_UPLOAD_UNKNOWN');
    }
  });

  test('ranges of a blob', async () => {
    const bytes = randomBlob(2048);
    const digest = digestOf(bytes);
    const one = repo();
    await one.put(bytes);
    for (const [range, from, to] of [['500-1499', 500, 1499], ['500-', 500, 2047], ['-500', 1548, 2047], ['2000-5000', 2000, 2047], ['0-0', 0, 0], ['-5000', 0, 2047]] as const) {
      const answer = await one.blob(digest, { headers: { range: `bytes=${range}` } });
      assert.equal(answer.status, 206, range);
      assert.equal(answer.headers.get('content-range'), `bytes ${from}-${to}/2048`);
      assert.equal(answer.headers.get('content-length'), String(to - from + 1));
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes.subarray(from, to + 1));
    }
    for (const range of ['500-0', '5000-10000', '2048-', '-0']) {
      const answer = await one.blob(digest, { headers: { range: `bytes=${range}` } });
      assert.equal(answer.status, 416, range);
      assert.equal(answer.headers.get('content-range'), 'bytes */2048');
    }
    assert.equal((await one.blob(digest, { headers: { range: 'lines=1-2' } })).status, 200);
    assert.equal((await one.blob(digest, { headers: { range: 'bytes=0-1,5-6' } })).status, 200);
    const tagged = await one.blob(digest);
    assert.equal((await one.blob(digest, { headers: { 'if-none-match': tagged.headers.get('etag') as string } })).status, 304);
    const head = await one.blob(digest, { headers: { range: 'bytes=1-2' } }, 'HEAD');
    assert.equal(head.headers.get('content-length'), '2');
  });

  test('manifests by tag and by digest', async () => {
    const one = repo();
    const image = await one.image('v1');
    assert.equal(image.answer.headers.get('docker-content-digest'), image.digest);
    for (const reference of ['v1', image.digest]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await one.manifest(reference, method, { headers: { accept: `${OCI_INDEX}, ${OCI_MANIFEST}` } });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('content-type'), OCI_MANIFEST);
        assert.equal(answer.headers.get('docker-content-digest'), image.digest);
        assert.equal(answer.headers.get('content-length'), String(image.text.length));
        assert.equal(await answer.text(), method === 'GET' ? image.text : '');
      }
    }
    assert.equal((await one.manifest('v1', 'GET', { headers: { 'if-none-match': `"${image.digest}"` } })).status, 304);
    for (const [reference, status, code] of [['absent', 404, 'MANIFEST_UNKNOWN'], [digestOf('no'), 404, 'MANIFEST_UNKNOWN'], ['sha256:bad', 400, 'DIGEST_INVALID'], ['.bad', 400, 'TAG_INVALID']] as const) {
      const answer = await one.manifest(reference);
      assert.equal(answer.status, status, reference);
      assert.equal(await codeOf(answer), code);
    }
    assert.equal((await repo('suite/never').manifest('latest')).status, 404);
  });

  test('a manifest pushed under the wrong digest', async () => {
    const one = repo();
    const image = await one.image(undefined);
    for (const reference of ['sha256:baddigeststring', digestOf('x')]) {
      const answer = await one.putManifest(reference, `${image.text}  `, OCI_MANIFEST);
      assert.equal(answer.status, 400);
      assert.equal(await codeOf(answer), 'DIGEST_INVALID');
    }
    const large = await one.image('large', { extra: { annotations: Object.fromEntries([...Array(390).keys()].map((i) => [`a${i}`, 'A'.repeat(10_000)])) } });
    assert.equal((await (await one.manifest('large')).text()).length, large.text.length);
  });

  test('tags as parameters of a push by digest', async () => {
    const one = repo('suite/param');
    const image = await one.image(undefined);
    const answer = await one.putManifest(`${image.digest}?tag=a&tag=b`, image.text, OCI_MANIFEST);
    assert.equal(answer.status, 201);
    assert.deepEqual((answer.headers.get('oci-tag') as string).split(',').map((t) => t.trim()), ['a', 'b']);
    assert.equal((await one.manifest('b')).headers.get('docker-content-digest'), image.digest);
    const wide = digestOf(image.text, 'sha512');
    assert.equal((await one.putManifest(`${wide}?tag=c`, image.text, OCI_MANIFEST)).status, 201);
    assert.equal((await one.manifest('c')).headers.get('docker-content-digest'), wide);
  });

  test('indexes, nested ones, Docker schema 2', async () => {
    const one = repo('suite/index');
    const [a, b] = [await one.image(undefined), await one.image(undefined)];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...a.descriptor, platform: { os: 'linux', architecture: 'amd64' } }, { ...b.descriptor, platform: { os: 'linux', architecture: 'arm64' } }] });
    assert.equal((await one.putManifest('index', index, OCI_INDEX)).status, 201);
    const nested = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ mediaType: OCI_INDEX, digest: digestOf(index), size: index.length }] });
    assert.equal((await one.putManifest('nested', nested, OCI_INDEX)).status, 201);
    assert.equal((await one.putManifest('empty', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }), OCI_INDEX)).status, 201);
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const docker = JSON.stringify({ ...a.manifest, mediaType: type });
    assert.equal((await one.putManifest('docker', docker, type)).status, 201);
    assert.equal((await one.manifest('docker')).headers.get('content-type'), type);
    const list = 'application/vnd.docker.distribution.manifest.list.v2+json';
    assert.equal((await one.putManifest('list', JSON.stringify({ schemaVersion: 2, mediaType: list, manifests: [{ mediaType: type, digest: digestOf(docker), size: docker.length }] }), list)).status, 201);
    assert.equal((await one.manifest(a.digest, 'DELETE')).status, 405, 'an index lists it');
    for (const digest of [digestOf(nested), digestOf(index), a.digest]) assert.equal((await one.manifest(digest, 'DELETE')).status, 202);
    assert.equal((await one.manifest('nested')).status, 404);
  });

  test('lists of tags', async () => {
    const one = repo('suite/tags');
    const image = await one.image('b');
    for (const tag of ['a', 'C', '_d', '1', 'e']) assert.equal((await one.putManifest(tag, image.text, OCI_MANIFEST)).status, 201);
    const list = async (query = ''): Promise<{ tags: string[]; link: string | null }> => {
      const answer = await one.send('GET', `/v2/suite/tags/tags/list${query}`);
      assert.equal(answer.status, 200);
      const body = (await answer.json()) as { name: string; tags: string[] };
      assert.equal(body.name, 'suite/tags');
      return { tags: body.tags, link: answer.headers.get('link') };
    };
    assert.deepEqual((await list()).tags, ['1', 'C', '_d', 'a', 'b', 'e']);
    assert.deepEqual(await list('?n=0'), { tags: [], link: null });
    assert.deepEqual((await list('?last=_d')).tags, ['a', 'b', 'e']);
    assert.deepEqual(await list('?n=6'), { tags: ['1', 'C', '_d', 'a', 'b', 'e'], link: null });
    const seen: string[] = [];
    for (let query: string | undefined = '?n=2'; query !== undefined;) {
      const page: { tags: string[]; link: string | null } = await list(query);
      seen.push(...page.tags);
      query = page.link === null ? undefined : /^<[^?>]*(\?[^>]*)>; rel="next"$/.exec(page.link)?.[1];
    }
    assert.deepEqual(seen, ['1', 'C', '_d', 'a', 'b', 'e']);
    assert.equal((await one.send('GET', '/v2/suite/tags/tags/list?n=-1')).status, 400);
    assert.equal((await one.send('GET', '/v2/suite/absent/tags/list')).status, 404);
    assert.equal((await one.manifest('e', 'DELETE')).status, 202);
    assert.equal((await one.manifest('e', 'HEAD')).status, 404);
    assert.equal((await one.manifest('b', 'HEAD')).status, 200, 'only the tag goes');
    assert.equal((await one.manifest(image.digest, 'DELETE')).status, 202);
    assert.equal((await one.manifest('b', 'HEAD')).status, 404);
    assert.equal((await one.manifest(image.digest, 'DELETE')).status, 404);
  });

  test('referrers', async () => {
    const one = repo('suite/referrers');
    const none = await one.send('GET', `/v2/suite/never/referrers/${digestOf('never')}`);
    assert.equal(none.status, 200);
    assert.deepEqual(await none.json(), { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
    assert.equal((await one.send('GET', '/v2/suite/referrers/referrers/sha256:bad')).status, 400);
    const image = await one.image('image');
    const plain = await one.image(undefined, { extra: { subject: image.descriptor } });
    assert.equal(plain.answer.headers.get('oci-subject'), image.digest);
    const signature = await one.image('signature', { extra: { subject: image.descriptor, artifactType: 'application/x.sig', annotations: { key: 'value' } } });
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, artifactType: 'application/x.set', manifests: [], subject: image.descriptor });
    assert.equal((await one.putManifest(digestOf(index), index, OCI_INDEX)).headers.get('oci-subject'), image.digest);
    const bare = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], subject: image.descriptor });
    await one.putManifest(digestOf(bare), bare, OCI_INDEX);
    const list = async (query = ''): Promise<{ answer: Response; manifests: Record<string, unknown>[] }> => {
      const answer = await one.send('GET', `/v2/suite/referrers/referrers/${image.digest}${query}`);
      assert.equal(answer.headers.get('content-type'), OCI_INDEX);
      return { answer, manifests: ((await answer.json()) as { manifests: Record<string, unknown>[] }).manifests };
    };
    const all = (await list()).manifests;
    assert.equal(all.length, 4);
    const find = (digest: string): object | undefined => all.find((one) => one['digest'] === digest);
    assert.deepEqual(find(plain.digest), { ...plain.descriptor, artifactType: OCI_CONFIG });
    assert.deepEqual(find(signature.digest), { ...signature.descriptor, artifactType: 'application/x.sig', annotations: { key: 'value' } });
    assert.deepEqual(find(digestOf(index)), { mediaType: OCI_INDEX, digest: digestOf(index), size: index.length, artifactType: 'application/x.set' });
    assert.deepEqual(find(digestOf(bare)), { mediaType: OCI_INDEX, digest: digestOf(bare), size: bare.length });
    const filtered = await list('?artifactType=application/x.sig');
    assert.equal(filtered.answer.headers.get('oci-filters-applied'), 'artifactType');
    assert.deepEqual(filtered.manifests.map((m) => m['digest']), [signature.digest]);
    const page = await list('?n=3');
    assert.match(page.answer.headers.get('link') as string, /rel="next"/);
    const missing = await one.image(undefined, { extra: { subject: { mediaType: OCI_MANIFEST, size: 123, digest: digestOf('missing') } } });
    assert.equal(missing.answer.headers.get('oci-subject'), digestOf('missing'));
    assert.equal((await one.manifest(image.digest, 'DELETE')).status, 202, 'a subject may go before its referrers');
    assert.equal((await list()).manifests.length, 4);
    assert.equal((await one.manifest(signature.digest, 'DELETE')).status, 202);
    assert.equal((await list()).manifests.length, 3);
  });

  test('artifacts, data fields, unknown fields, foreign layers, no layers', async () => {
    const one = repo('suite/artifacts');
    await one.put('{}');
    const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2, data: 'e30=' };
    const push = async (extra: object): Promise<number> => (await one.putManifest('t', JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: empty, layers: [empty], ...extra }), OCI_MANIFEST)).status;
    assert.equal(await push({ artifactType: 'application/x.thing' }), 201);
    assert.equal(await push({ layers: [] }), 201);
    assert.equal(await push({ 'org.example.custom': { deep: [1] } }), 201);
    const foreign = { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', digest: digestOf('foreign'), size: 12_345, urls: ['https://store.example.com/x'] };
    assert.equal(await push({ layers: [foreign, empty] }), 201);
  });

  test('sparse images and indexes: what never was here may be absent, what has gone is told', async () => {
    const one = repo('suite/sparse');
    const image = await one.image('whole');
    const absent = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(randomBlob(40)), size: 40 };
    const sparse = JSON.stringify({ ...image.manifest, layers: [...image.layers, absent] });
    assert.equal((await one.putManifest('image', sparse, OCI_MANIFEST)).status, 201);
    assert.equal(await (await one.manifest('image')).text(), sparse);
    assert.equal((await one.blob(absent.digest)).status, 404);
    const elsewhere = { mediaType: OCI_MANIFEST, digest: digestOf(randomBlob(40)), size: 123 };
    assert.equal((await one.putManifest('index', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [image.descriptor, elsewhere] }, OCI_INDEX)).status, 201);
    assert.equal((await one.manifest(elsewhere.digest)).status, 404);
    // A client that saw the blob, and then somebody removed it.
    const bytes = randomBlob(50);
    const gone = { ...absent, digest: digestOf(bytes), size: 50 };
    await one.put(bytes);
    assert.equal((await one.blob(gone.digest, {}, 'DELETE')).status, 202);
    const refused = await one.putManifest('gone', { ...image.manifest, layers: [gone] });
    assert.equal(refused.status, 404);
    assert.equal(await codeOf(refused), 'MANIFEST_BLOB_UNKNOWN');
    await one.put(bytes);
    assert.equal((await one.putManifest('gone', { ...image.manifest, layers: [gone] })).status, 201);
    const other = await one.image(undefined);
    assert.equal((await one.manifest(other.digest, 'DELETE')).status, 202);
    assert.equal(await codeOf(await one.putManifest('gone', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [other.descriptor] }, OCI_INDEX)), 'MANIFEST_BLOB_UNKNOWN');
  });

  test('what is not there: 404 with the code of its kind', async () => {
    const one = repo();
    const none = digestOf(randomBlob(9));
    for (const [method, path, code] of [
      ['GET', `blobs/${none}`, 'BLOB_UNKNOWN'], ['DELETE', `blobs/${none}`, 'BLOB_UNKNOWN'], ['GET', `manifests/${none}`, 'MANIFEST_UNKNOWN'], ['GET', 'manifests/none', 'MANIFEST_UNKNOWN'],
      ['DELETE', `manifests/${none}`, 'MANIFEST_UNKNOWN'], ['DELETE', 'manifests/none', 'MANIFEST_UNKNOWN'],
      ['GET', 'blobs/uploads/00000000-0000-4000-8000-000000000000', 'BLOB_UPLOAD_UNKNOWN'], ['PATCH', 'blobs/uploads/none', 'BLOB_UPLOAD_UNKNOWN'],
    ] as const) {
      for (const name of ['suite/one', 'suite/never/made']) {
        const answer = await one.send(method, `/v2/${name}/${path}`);
        assert.equal(answer.status, 404, `${method} ${name} ${path}`);
        assert.match(answer.headers.get('content-type') as string, /^application\/json/);
        assert.equal(await codeOf(answer), code);
      }
    }
    for (const path of [`blobs/${none}`, 'manifests/none']) {
      const head = await one.send('HEAD', `/v2/suite/one/${path}`);
      assert.equal(head.status, 404);
      assert.equal(await head.text(), '');
    }
    const tags = await one.send('GET', '/v2/suite/never/made/tags/list');
    assert.equal(tags.status, 404);
    assert.equal(await codeOf(tags), 'NAME_UNKNOWN');
  });

  test('names, tags, digests and numbers that are none: 400 with the code of what is wrong', async () => {
    const one = repo();
    const location = await one.start();
    for (const [method, path, code] of [
      ['GET', '/v2/Upper/manifests/x', 'NAME_INVALID'], ['GET', '/v2/a..b/tags/list', 'NAME_INVALID'], ['POST', '/v2/-a/blobs/uploads/', 'NAME_INVALID'],
      ['GET', `/v2/suite/one/manifests/${'t'.repeat(129)}`, 'TAG_INVALID'], ['PUT', '/v2/suite/one/manifests/-x', 'TAG_INVALID'],
      ['GET', '/v2/suite/one/blobs/sha256:xyz', 'DIGEST_INVALID'], ['GET', '/v2/suite/one/referrers/latest', 'DIGEST_INVALID'], ['PUT', location, 'DIGEST_INVALID'], ['PUT', one.withQuery(location, 'digest=no'), 'DIGEST_INVALID'],
      ['GET', '/v2/suite/one/tags/list?n=x', 'PAGINATION_NUMBER_INVALID'],
    ] as const) {
      const answer = await one.send(method, path);
      assert.equal(answer.status, 400, `${method} ${path}`);
      assert.equal(await codeOf(answer), code, `${method} ${path}`);
    }
    assert.equal((await one.send('GET', location)).status, 204, 'an upload outlives a wrong end');
    for (const [method, path] of [['POST', '/v2/'], ['PUT', '/v2/suite/one/tags/list'], ['PATCH', '/v2/suite/one/manifests/x'], ['POST', `/v2/suite/one/referrers/${digestOf('')}`]] as const) {
      const answer = await one.send(method, path);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.equal(await codeOf(answer), 'UNSUPPORTED');
      assert.ok(answer.headers.get('allow'));
    }
  });

  test('a list of referrers in pages: the links lead to all of them, filters included', async () => {
    const one = repo('suite/pages');
    const image = await one.image('image');
    const expected: string[] = [];
    for (let i = 0; i < 5; i++) expected.push((await one.image(undefined, { extra: { subject: image.descriptor, artifactType: i % 2 === 0 ? 'application/even' : 'application/odd' } })).digest);
    for (const [query, count] of [['?n=2', 5], ['?n=2&artifactType=application/even', 3]] as const) {
      const seen: string[] = [];
      for (let path: string | undefined = `/v2/suite/pages/referrers/${image.digest}${query}`; path !== undefined;) {
        const answer: Response = await one.send('GET', path);
        seen.push(...((await answer.json()) as { manifests: { digest: string }[] }).manifests.map((m) => m.digest));
        path = /^<([^>]*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
      }
      assert.equal(seen.length, count);
      assert.ok(seen.every((digest) => expected.includes(digest)));
      assert.equal(new Set(seen).size, count);
    }
  });

  test('the same blob pushed twice, and an upload that is ended with the wrong digest, can be begun anew', async () => {
    const one = repo('suite/again');
    const bytes = randomBlob(100);
    for (let i = 0; i < 2; i++) assert.equal((await one.put(bytes)).status, 201);
    assert.equal((await one.put(bytes, digestOf('else'))).status, 400);
    assert.equal((await one.put(bytes)).status, 201);
    const image = await one.image('same');
    const again = await one.putManifest('same', image.text, OCI_MANIFEST);
    assert.equal(again.status, 201);
    assert.equal(again.headers.get('location'), `/v2/suite/again/manifests/${image.digest}`);
  });
}
