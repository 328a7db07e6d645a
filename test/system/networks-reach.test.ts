import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace, run } from './net-namespaces.ts';

/** The host is 10.204.0.1 (fd5b::1) on a wire to `far`, 10.204.0.2 (fd5b::2). */
describe('who reaches a published port, from another host, by the Docker CLI', () => {
  let daemon: TestDaemon;
  let far: TestNamespace;
  let leave: () => void;
  before(async () => {
    leave = new TestNamespace('naru-reachhost').enter();
    far = new TestNamespace('naru-reach');
    run('ip', 'link', 'add', 'nrreach0', 'type', 'veth', 'peer', 'name', 'wire', 'netns', far.name);
    for (const [ip, number] of [[(...args: string[]) => run('ip', ...args), 1], [(...args: string[]) => far.ip(...args), 2]] as const) {
      const link = number === 1 ? 'nrreach0' : 'wire';
      ip('address', 'add', `10.204.0.${number}/24`, 'dev', link);
      ip('address', 'add', `fd5b::${number}/64`, 'dev', link, 'nodad');
      ip('link', 'set', link, 'up');
    }
    daemon = await TestDaemon.start();
  });
  afterEach(async () => {
    spawnSync('nft', ['delete', 'table', 'inet', 'nrreach'], { stdio: 'ignore' });
    assert.equal(await daemon.emptied(), '');
  });
  after(async () => {
    far?.remove();
    await daemon?.destroy();
    leave();
  });

  const inspect = (name: string, format: string): string => daemon.ok('inspect', '-f', format, name);
  const at = (name: string, network: string): string => inspect(name, `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
  /** Its log names whoever asked. */
  const server = (name: string, ...flags: string[]): void => {
    daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sh', '-c', `echo ${name} >/tmp/index.html; for port in 80 81 82; do httpd -vv -f -h /tmp -p "[::]:$port" & done; wait`);
    daemon.ok('exec', name, 'sh', '-c', 'until [ "$(netstat -ltn | grep -c ":8[012] ")" = 3 ]; do usleep 10000; done');
  };
  const curl = (url: string): string[] => ['curl', '-g', '-s', '-m', '1', url];
  const fromFar = (url: string): string => spawnSync('ip', ['netns', 'exec', far.name, ...curl(url)], { encoding: 'utf8' }).stdout.trim();
  const fromHere = (url: string): string => spawnSync('curl', curl(url).slice(1), { encoding: 'utf8' }).stdout.trim();
  const from = (name: string, url: string): string => daemon.docker('exec', name, 'timeout', '1', 'wget', '-q', '-O', '-', url).out.trim();
  const dropped = (...urls: string[]): void => assert.equal(spawnSync('ip', ['netns', 'exec', far.name, 'curl', '-g', '-s', '-Z', '-m', '0.4', ...urls], { encoding: 'utf8' }).stdout, '', urls.join(' '));

  test('single ports, ranges with the same and with other numbers, any free one; on one address; IPv6; the client is seen as himself', () => {
    daemon.ok('network', 'create', '--ipv6', 'six');
    server('web', '--network', 'six', '-p', '18561:80', '-p', '18562-18564:80-82', '-p', '80-82:80-82/udp', '-p', '10.204.0.1:18565:81', '-p', '82');
    for (const url of ['10.204.0.1:18561', '10.204.0.1:18562', '10.204.0.1:18564', '10.204.0.1:18565', '[fd5b::1]:18561', '[fd5b::1]:18563']) assert.equal(fromFar(`http://${url}/`), 'web', url);
    const free = /82\/tcp -> 0\.0\.0\.0:(\d+)$/m.exec(daemon.ok('port', 'web').replace(/.*18564\n/, ''))?.[1] ?? '';
    assert.equal(fromFar(`http://10.204.0.1:${free}/`), 'web');
    assert.equal(fromHere('http://10.204.0.1:18565/'), 'web');
    assert.equal(fromHere('http://127.0.0.1:18565/'), '', 'published on one address');
    assert.match(daemon.docker('logs', 'web').err, /10\.204\.0\.2[^]*\[?fd5b::2/);
    assert.match(daemon.ok('port', 'web'), /81\/udp -> 0\.0\.0\.0:81\n/);
  });

  test('localhost\'s ports, ports that nobody published and internal networks are not there for others; published ones are there for containers of any network', () => {
    daemon.ok('network', 'create', 'front');
    daemon.ok('network', 'create', 'back');
    daemon.ok('network', 'create', '--internal', 'vault');
    server('web', '--network', 'front', '-p', '127.0.0.1:18566:80', '-p', '18567:81');
    server('safe', '--network', 'vault');
    daemon.ok('run', '-d', '--name', 'guest', '--network', 'back', 'busybox', 'sleep', '600');
    far.ip('route', 'add', at('web', 'front'), 'via', '10.204.0.1');
    far.ip('route', 'add', at('safe', 'vault'), 'via', '10.204.0.1');
    assert.equal(fromHere('http://127.0.0.1:18566/'), 'web');
    dropped(...['10.204.0.1:18566', at('web', 'front'), `${at('web', 'front')}:81`, at('safe', 'vault')].map((url) => `http://${url}/`));
    assert.equal(fromFar('http://10.204.0.1:18567/'), 'web');
    assert.equal(from('guest', 'http://10.204.0.1:18567/'), 'web', 'from another network');
    assert.equal(from('web', 'http://10.204.0.1:18567/'), 'web', 'from itself');
    assert.equal(from('guest', `http://${at('web', 'front')}:81/`), '', 'past the published port');
  });

  test('host_binding, no masquerading: the options of a bridge', () => {
    daemon.ok('network', 'create', '--subnet', '10.206.0.0/24', '-o', 'com.docker.network.bridge.host_binding_ipv4=10.204.0.1', '-o', 'com.docker.network.bridge.enable_ip_masquerade=false', 'open');
    server('web', '--network', 'open', '-p', '18568:80');
    assert.match(daemon.ok('port', 'web'), /^80\/tcp -> 10\.204\.0\.1:18568$/);
    assert.equal(fromFar('http://10.204.0.1:18568/'), 'web');
    assert.equal(fromHere('http://127.0.0.1:18568/'), '');
    // Who answers does so to the container's own address, to which `far` has no route unless it is told
    const ping = ['exec', 'web', 'ping', '-c', '1', '-W', '1', '10.204.0.2'];
    assert.notEqual(daemon.docker(...ping).code, 0);
    far.ip('route', 'add', at('web', 'open'), 'via', '10.204.0.1');
    assert.match(daemon.ok(...ping), /1 packets received/);
  });

  test('with naru.firewall=host the host\'s own input rules decide, and naru port --who says so', () => {
    daemon.ok('network', 'create', '-o', 'naru.firewall=host', 'bank');
    server('till', '--network', 'bank', '-p', '18569:80', '-p', '18570:81');
    assert.equal(fromFar('http://10.204.0.1:18569/'), 'till');
    run('nft', 'add table inet nrreach; add chain inet nrreach input { type filter hook input priority 0 ; }; add rule inet nrreach input iifname nrreach0 tcp dport 18569 drop');
    dropped('http://10.204.0.1:18569/');
    assert.equal(fromFar('http://10.204.0.1:18570/'), 'till');
    assert.equal(fromHere('http://127.0.0.1:18569/'), 'till');
    assert.match(daemon.naru('port', '--who', 'till').out, /other hosts +every address of this host, port 18569 +if the host's input rules let them/);
  });

  test('a thousand ports: one element for each family, and no process', () => {
    daemon.ok('network', 'create', '--ipv6', 'six');
    const processes = (): string[] => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[1] === String(daemon.scope.daemonPid);
      } catch {
        return false;
      }
    });
    daemon.ok('run', '-d', '--name', 'few', '--network', 'six', '-p', '19000:80', 'busybox', 'sleep', '600');
    const before = processes().length;
    daemon.ok('run', '-d', '--name', 'many', '--network', 'six', '-p', '19001-20000:19001-20000', 'busybox', 'sleep', '600');
    const table = run('nft', 'list', 'table', 'inet', daemon.scope.nftTable);
    assert.match(table, new RegExp(`tcp \\. 0\\.0\\.0\\.0/0 \\. 19001-20000 : ${at('many', 'six').replaceAll('.', '\\.')}`));
    assert.equal([...table.matchAll(/19\d\d\d|20000/g)].filter(([port]) => port !== '19000').length, 4, 'two ends, two families');
    assert.equal(processes().length, before);
  });

  test('naru network graph draws networks, containers, addresses and ports, as text and as SVG', () => {
    daemon.ok('network', 'create', '--subnet', '10.205.0.0/24', 'shop');
    server('web', '--network', 'shop', '--network-alias', 'www', '-p', '127.0.0.1:18571:80');
    daemon.ok('create', '--name', 'idle', '--network', 'none', 'busybox', 'true');
    const text = daemon.naru('network', 'graph', '-a');
    assert.equal(text.code, 0, text.err);
    assert.match(text.out, /^shop {2}\(bridge · 10\.205\.0\.0\/24 · gateway 10\.205\.0\.1\)\n└─ web {2}10\.205\.0\.2.*www.*\n {3}└╴.*127\.0\.0\.1:18571/m);
    assert.match(text.out, /idle/);
    const svg = daemon.naru('network', 'graph', '--format', 'svg');
    assert.match(svg.out, /^<svg [^]*shop[^]*10\.205\.0\.2[^]*<\/svg>\s*$/, svg.err);
  });
});
