import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CONTAINER_ID, startRecordingDaemon, type RecordingDaemon, type RecordedRequest } from '#test/support/recording-daemon.ts';
import { runCli, runDocker } from '#test/support/run-cli.ts';

/** What naru asks of a daemon, and what it says, must be what Docker's own command line asks and says. */

const directory = mkdtempSync(join(tmpdir(), 'naru-parity-'));
writeFileSync(join(directory, 'env'), '# comment\nA=1\nB=two words\n  C=x\nHOME\nNOT_THERE\n\n');
writeFileSync(join(directory, 'labels'), 'l1=v1\n#no\nl2=\nl3\n');
writeFileSync(join(directory, 'seccomp.json'), '{ "defaultAction": "SCMP_ACT_ALLOW",\n "syscalls": [] }');
writeFileSync(join(directory, 'archive.tar'), 'not really');
const file = (name: string): string => join(directory, name);

// No configuration of whoever runs the tests.
const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] ?? '', HOME: directory, TZ: 'UTC', DOCKER_CONFIG: directory, FROM_HERE: 'yes', PWD: process.cwd(), DOCKER_CLI_HINTS: 'false' };

let engine: RecordingDaemon;
before(async () => {
  engine = await startRecordingDaemon();
});
after(async () => {
  await engine.close();
  rmSync(directory, { recursive: true });
});

/** Requests that one of the two makes and the other does not need. */
function needless(request: RecordedRequest, words: readonly string[]): boolean {
  if (request.path === '/_ping') return true; // the version is negotiated only when it must be
  if (request.path === '/info' && words[0] === 'inspect') return true; // is it a swarm?
  if (words[0] === 'exec' && request.method === 'GET' && request.path.startsWith('/containers/')) return true; // exec create says the same
  if (words[0] === 'logs' && request.method === 'GET' && request.path.endsWith('/json')) return true; // the answer says whether it is framed
  if (words[0] === 'attach' && request.path.endsWith('/wait')) return true; // the same, in another order
  if (words.includes('-d') && request.path.endsWith('/wait')) return true; // nobody waits for it
  if (words[0] === 'network' && words[1] === 'rm' && request.method === 'GET') return true; // is it an ingress network?
  return false;
}

/** Absent, null, empty and zero are one to the API, but for these lists, which are then not the default ones. */
function normalize(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    if (value.length === 0 && !/^(Masked|Readonly)Paths$/.test(key)) return undefined;
    const items = value.map((item) => normalize(item));
    return /^(Env|Binds)$/.test(key) ? items.sort() : items;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([name, item]) => [name, normalize(item, name)] as const).filter(([, item]) => item !== undefined);
    const keepEmpty = /^(Volumes|ExposedPorts)$/.test(key);
    if (keepEmpty) return Object.keys(value).length === 0 ? undefined : Object.keys(value).sort();
    return entries.length === 0 ? undefined : Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return value === null || value === '' || value === 0 || value === false ? undefined : value;
}

function shown(requests: readonly RecordedRequest[], words: readonly string[]): string[] {
  return requests.filter((request) => !needless(request, words)).map((request) => {
    const query = Object.entries(request.query).map(([key, values]) => {
      const value = values.join('|');
      if (key === 'filters' && value !== '') return [key, JSON.stringify(normalize(JSON.parse(value)))] as const;
      return [key, key === 'until' && Math.abs(Number(value) - Date.now() / 1000) < 60 ? 'now' : value] as const;
    }).filter(([key, value]) => value !== '' && !(key === 'quiet' && value === '0')).sort(([a], [b]) => (a < b ? -1 : 1));
    // A container is named by its name or its id.
    return `${request.method} ${request.path.replace(CONTAINER_ID, 'a')} ${JSON.stringify(query)} ${JSON.stringify(normalize(request.body) ?? '')}`;
  }).sort();
}

/** What Docker says that we do not: a slip of its pen, and that its builder is old. */
const known = (text: string): string => text.replace(/^SRun/m, 'Run').replace(/^DEPRECATED: The legacy builder[\s\S]*?\n\n/, '');

async function both(words: readonly string[], input?: string): Promise<{ docker: Awaited<ReturnType<typeof runDocker>> & { asked: string[] }; naru: Awaited<ReturnType<typeof runCli>> & { asked: string[] } }> {
  const options = { env, ...(input === undefined ? {} : { input }) };
  engine.requests.length = 0;
  const docker = await runDocker(['-H', engine.host, ...words], options);
  const dockerAsked = shown(engine.requests, words);
  engine.requests.length = 0;
  const naru = await runCli(['-H', engine.host, ...words], { ...options, program: 'docker' });
  return { docker: { ...docker, asked: dockerAsked }, naru: { ...naru, asked: shown(engine.requests, words) } };
}

const RUNS: readonly string[] = [
  'run -d busybox', 'run busybox true', 'run --rm busybox echo a b', 'run -i busybox cat', 'run -d -it busybox sh', 'create busybox', 'create -it --name x busybox:1.2 sh -c ls', 'create --name=x -h host --domainname dom busybox',
  'create -e A=1 -e B -e FROM_HERE -e A=2 busybox', `create --env-file ${file('env')} -e A=9 busybox`, `create -l a=b --label c --label-file ${file('labels')} busybox`, 'create -u 1:2 -w /tmp --entrypoint /bin/x busybox -- y', 'create --entrypoint= busybox',
  'create -v /a:/b -v vol:/c:ro -v /anon -v ./rel:/d busybox', 'create -v /a:/b:ro,z -v /a:/b:ro,z busybox', 'create --mount type=bind,src=/a,dst=/b,readonly busybox', 'create --mount type=volume,source=v,target=/b,volume-subpath=s,volume-nocopy,volume-label=a=b,volume-opt=o=1 busybox',
  'create --mount type=tmpfs,dst=/t,tmpfs-size=10m,tmpfs-mode=1770 busybox', 'create --mount type=bind,src=.,dst=/b,bind-propagation=rshared,bind-recursive=disabled busybox', 'create --mount dst=/x busybox', 'create --mount type=image,source=busybox,dst=/i,image-subpath=etc busybox',
  'create --tmpfs /run:size=10m --tmpfs /tmp busybox', 'create --read-only --privileged --init busybox', 'create --init=false busybox', 'create --cap-add NET_ADMIN --cap-drop all --group-add 5 --security-opt no-new-privileges busybox', `create --security-opt seccomp=${file('seccomp.json')} busybox`,
  'create --security-opt systempaths=unconfined --security-opt seccomp=unconfined --security-opt label:disable busybox', 'create --device /dev/fuse --device /dev/a:/dev/b:r --device /dev/c:rw busybox', 'create --device vendor.com/class=name busybox', "create --device-cgroup-rule=c\u00a042:*\u00a0rmw busybox",
  'create -m 64m --memory-swap -1 --memory-reservation 32m --memory-swappiness 10 --shm-size 1g busybox', 'create --memory 1.5g --memory-swap 2GiB --oom-kill-disable --oom-score-adj -500 busybox', 'create --cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 --cpu-period 50000 --cpu-quota 25000 busybox', 'create --cpus 1/4 --cpu-rt-period 1000 --cpu-rt-runtime 900 busybox',
  'create --pids-limit 100 --ulimit nofile=10:20 --ulimit core=-1 --ulimit cpu=5 busybox', 'create --blkio-weight 300 --blkio-weight-device /dev/sda:200 --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:100 busybox', 'create --sysctl net.core.somaxconn=1024 --sysctl kernel.msgmax=1 busybox',
  'create --pid host --ipc host --uts host --userns host --cgroupns private busybox', 'create --pid container:x --ipc container:y busybox', 'create --net host busybox', 'create --network none busybox', 'create --network container:abc busybox', 'create --network mynet --network-alias a1 --ip 10.0.0.5 --link db:d busybox',
  'create --network name=n1,alias=x,ip=10.1.1.1,driver-opt=a=b --network n2 busybox', 'create --mac-address 92:d0:c6:0a:29:33 busybox', 'create --network name=mynet,mac-address=92:d0:c6:0a:29:33,gw-priority=5 busybox', 'create --link a:b --dns 1.1.1.1 --dns 2001:0db8::0001 --dns-search example.com --dns-option ndots:2 busybox', 'create --link-local-ip 169.254.1.1 --ip6 2001:db8::33 --network n busybox',
  'create --add-host a:1.2.3.4 --add-host b=[::1] --add-host c:host-gateway busybox', 'create -p 80 -p 8080:80 -p 127.0.0.1:53:53/udp -p [::1]:90:90 busybox', 'create -p 1000-1002:2000-2002 -p 3000-3010:3000 --expose 5000-5002 --expose 9/udp -P busybox', 'create -p target=80,published=8080,protocol=udp busybox', 'create -p 8080:80/tcp -p 8081:80/tcp busybox',
  'create --restart on-failure:5 busybox', 'create --restart always busybox', 'create --restart=no --rm busybox', 'create --log-driver json-file --log-opt max-size=1m --log-opt max-file=3 busybox', 'create --stop-signal SIGINT --stop-timeout 7 busybox', 'create --stop-timeout 0 busybox', 'create --use-api-socket busybox', 'create --annotation a=b --runtime crun --storage-opt size=1G --cgroup-parent /x --isolation default busybox',
  'create --health-cmd curl --health-interval 5s --health-retries 3 --health-timeout 1m30s --health-start-period 2s --health-start-interval 100ms busybox', 'create --no-healthcheck busybox', 'create --gpus all busybox', 'create --gpus 2 busybox', 'create --gpus "device=0,1",capabilities=utility busybox', 'create --volumes-from a:ro --volume-driver local busybox', 'create -a stdin -a stdout busybox',
  'create --platform linux/arm64/v8 busybox', 'create --pull always busybox', 'create --pull never localhost:5000/x/y:tag', 'create busybox@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'create docker.io/library/busybox', 'create -itd busybox', 'create -h=x -m=6m busybox', 'create --kernel-memory 5m busybox', 'create --expose 80 -p 80:80 busybox',
  'create busybox -v --rm', 'create -- busybox -x', 'create --use-nothing busybox', 'create --userns x busybox', 'run --rm --restart always busybox', 'run -a stdout -d busybox', 'run -it busybox', 'run BUSY', 'run --name', 'run -z busybox', 'run --pull x busybox', 'run -m 4x busybox', 'run -e =x busybox', 'run -p 99999:1 busybox', 'run -p a busybox', 'run -v vol::/x busybox', 'run -v vol:/b:ro:d busybox', 'run --mount type=bind busybox', 'run --mount type=x,foo=1 busybox',
  'run --network bridge --network-alias x busybox', 'run --ulimit x=1 busybox', 'run --add-host x busybox', 'run --dns x busybox', 'run --cpus x busybox', 'run --memory-swappiness 101 busybox', 'run --restart on-failure:x busybox', 'run --security-opt foo busybox', 'run --device foo busybox', 'run --health-interval 5 busybox', 'run --sysctl foo=1 busybox', 'run --env-file /nonexistent busybox', 'run --label  busybox', 'run --no-healthcheck --health-cmd x busybox',
  'run --init=maybe busybox', 'run --attach foo busybox', 'run --log-driver none --log-opt a=b busybox', 'run --link a:b:c busybox', 'run --blkio-weight 99999 busybox', 'run --mac-address zz busybox', 'run --platform a/b/c/d busybox', 'create --storage-opt x busybox', 'create -p x=y=z,=1 busybox',
];

const CALLS: readonly string[] = [
  'start a b', 'stop a', 'stop -t 3 -s INT a b', 'stop --time 3 a', 'restart -t 0 a', 'kill a', 'kill -s HUP a', 'kill --signal=9 a', 'pause a b', 'unpause a', 'rename a b', 'rm a b', 'rm -fv a', 'rm -l /a/b', 'rm /', 'wait a b', 'logs a', 'logs -f --tail 5 -t --details a', 'logs --since 2024-01-02T03:04:05Z --until 1700000000 a', 'logs --since 2024-01-02 a', 'attach --no-stdin a',
  'exec a ls -l', 'exec -i a cat', 'exec -d -e A=1 -e FROM_HERE -u 5 -w /x --privileged a sh', `exec --env-file ${file('env')} a env`, 'exec -it a sh', 'exec a', 'top a', 'top a -o pid,comm', 'diff a', 'port a', 'port a 80', 'port a x', 'inspect a', 'inspect --type image a', 'inspect --type foo a', 'inspect -s a', 'container inspect -s a', 'image inspect a b', 'volume inspect a', 'network inspect a',
  'update -m 64m --cpus 2 --restart always a', 'update --pids-limit 5 --memory-swap -1 --cpu-shares 5 a b', 'ps', 'ps -a', 'ps -n 3', 'ps -l', 'ps -qs', 'ps -f status=running -f label=a -f label=b', 'ps --filter NAME=x', 'ps -f bad', 'ps --format {{.Size}}', 'ps --format {{.Names}}', 'container ls -a', 'container list', 'container ps',
  'image inspect --platform linux/arm64/v8 a', 'history --platform linux/amd64 a', 'save --platform linux/amd64 a', `load --platform linux/amd64 -i ${file('archive.tar')}`, 'images', 'images -a --digests bus*', 'image ls -f dangling=true', 'image ls ls', 'images prune', 'rmi a', 'rmi -f --no-prune a b', 'image rm --platform linux/amd64 a', 'tag a b', 'tag a:1 localhost:5000/b/c:2', 'tag a B', 'tag a b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'history a', 'save a b', 'save', 'load', `load -i ${file('archive.tar')}`, 'load -i /nonexistent', 'load -q', `import ${file('archive.tar')} x:y`, 'import - x', 'import -c ENV=1 -m msg http://host/x.tar repo', 'export a', 'commit a', 'commit -a me -m msg -p=false -c CMD=x a repo:tag', 'commit a repo', 'commit a REPO',
  'volume create', 'volume create -d local -o type=tmpfs -o device=x --label a=b v', 'volume create --name x', 'volume ls -f dangling=true', 'volume rm a b', 'volume rm -f a', 'network ls', 'network ls -f driver=bridge', 'network rm a', 'network create n', 'network create --subnet 10.1.0.0/16 --gateway 10.1.0.1 --ip-range 10.1.1.0/24 -o a=b --internal --attachable --label l=1 n', 'network create --ipv6 --ipv4=false n', 'network connect --ip 10.0.0.1 --alias x n c', 'network disconnect -f n c',
  'container prune -f', 'image prune -af --filter until=24h', 'volume prune -f', 'volume prune -af', 'network prune -f', 'system prune -f', 'system prune -af --volumes', 'system prune --volumes --filter until=1h', 'builder prune -f', 'container prune', 'system prune', 'system prune -a --filter label=x', 'volume prune', 'image prune -a', 'network prune',
  'pull busybox', 'pull -q busybox:1', 'pull --platform linux/arm64 a/b', 'pull -a x', 'pull -a x:1', 'pull X', 'events --until 0s', 'events --since 1700000000 --until 1700000001 -f type=container', 'foo', 'container foo', 'help foo', 'ps extra', 'rename a', 'volume create a b', 'port', 'start', 'cp a', 'cp a b', 'cp a:b c:d', 'volume ls --bad', 'system', '-x', '--log-level foo ps', '-H a ps', 'inspect', 'network', 'version -f {{.Foo', 'inspect -f {{.X a',
];

describe('what Docker would ask and say', () => {
  for (const line of [...RUNS, ...CALLS]) {
    test(line, async () => {
      const words = line.split(' ').map((word) => word.replaceAll('\u00a0', ' '));
      const { docker, naru } = await both(words);
      assert.deepEqual(naru.asked, docker.asked, 'requests');
      assert.equal(naru.code, docker.code, `exit status; docker said ${docker.err}, naru said ${naru.err}`);
      // Help is in our own words; usage mistakes of arguments are told alike.
      if (!/^Usage: {2}docker [a-z]* ?COMMAND|^Usage: {2}docker \[OPTIONS\] COMMAND/m.test(docker.err)) assert.equal(naru.err, known(docker.err), 'stderr');
      assert.equal(naru.out, docker.out, 'stdout');
    });
  }
});
