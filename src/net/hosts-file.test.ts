import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildHosts, extendHosts } from './hosts-file.ts';

describe('/etc/hosts', () => {
  test('the standard lines, what was added, the container itself', () => {
    const text = buildHosts({
      hostname: 'web', domainname: 'example.org', addresses: ['172.17.0.2'], hostGateway: '172.17.0.1',
      extraHosts: ['db:10.0.0.1', 'six=[fd00::1]', 'four:fd00::2', 'host.docker.internal:host-gateway'],
    });
    assert.equal(text, [
      '127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', 'fe00::\tip6-localnet', 'ff00::\tip6-mcastprefix',
      'ff02::1\tip6-allnodes', 'ff02::2\tip6-allrouters', '10.0.0.1\tdb', 'fd00::1\tsix', 'fd00::2\tfour',
      '172.17.0.1\thost.docker.internal', '172.17.0.2\tweb.example.org web', '',
    ].join('\n'));
    assert.match(buildHosts({ hostname: 'web', addresses: ['172.17.0.2'] }), /\n172\.17\.0\.2\tweb\n$/);
    assert.match(buildHosts({ hostname: 'web' }), /ip6-allrouters\n$/);
  });

  test('on the host\'s network, the host\'s', () => {
    assert.equal(extendHosts('127.0.0.1 localhost', { extraHosts: ['a:1.2.3.4'] }), '127.0.0.1 localhost\n1.2.3.4\ta\n');
  });

  test('what is not a host is refused, a line break above all', () => {
    for (const bad of ['db', 'db:', ':1.2.3.4', 'db:nowhere', 'db:1.2.3.4\n6.6.6.6 x', 'a b:1.2.3.4', 'db:host-gateway']) {
      assert.throws(() => buildHosts({ hostname: 'web', extraHosts: [bad] }), { kind: 'invalid' });
    }
  });
});
