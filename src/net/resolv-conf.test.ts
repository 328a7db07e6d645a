import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildResolvConf, hostResolvConf, parseResolvConf } from './resolv-conf.ts';

const body = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('resolv.conf', () => {
  test('the host\'s, without what a container cannot reach', () => {
    const host = '# c\nnameserver 127.0.0.53\nnameserver 10.0.0.2 # x\nnameserver fd00::1\ndomain old\nsearch a.b c.d\noptions ndots:2\noptions rotate\n';
    assert.deepEqual(body(buildResolvConf(host)), ['nameserver 10.0.0.2', 'search a.b c.d', 'options ndots:2 rotate']);
  });

  test('public name servers when none is left', () => {
    for (const host of ['', 'nameserver 127.0.0.1\n', 'nameserver ::1\n']) {
      assert.deepEqual(body(buildResolvConf(host)), ['nameserver 8.8.8.8', 'nameserver 8.8.4.4']);
    }
  });

  test('overrides replace, each its own kind, and are taken as they are', () => {
    const host = 'nameserver 10.0.0.2\nsearch a.b\noptions ndots:2\n';
    assert.deepEqual(body(buildResolvConf(host, { dns: ['127.0.0.1'], search: ['.'], options: ['timeout:1'] })), ['nameserver 127.0.0.1', 'options timeout:1']);
    assert.deepEqual(body(buildResolvConf(host, { search: ['x'] })), ['nameserver 10.0.0.2', 'search x', 'options ndots:2']);
  });

  test('systemd-resolved\'s stub leads to its real file', () => {
    const files: Record<string, string> = { '/etc/resolv.conf': 'nameserver 127.0.0.53\n', '/run/systemd/resolve/resolv.conf': 'nameserver 10.0.0.9\n' };
    assert.deepEqual(parseResolvConf(hostResolvConf((path) => files[path])).nameservers, ['10.0.0.9']);
    files['/etc/resolv.conf'] = 'nameserver 10.0.0.2\n';
    assert.deepEqual(parseResolvConf(hostResolvConf((path) => files[path])).nameservers, ['10.0.0.2']);
    assert.equal(hostResolvConf(() => undefined), '');
  });
});
