import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRecordingDaemon, type Answer, type RecordingDaemon } from '#test/support/recording-daemon.ts';
import { runCli, runDocker } from '#test/support/run-cli.ts';

/** The same answers of a daemon must come out as the same bytes as from Docker's own command line. */

const directory = mkdtempSync(join(tmpdir(), 'naru-output-'));
const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] ?? '', HOME: directory, TZ: 'UTC', DOCKER_CONFIG: directory, DOCKER_CLI_HINTS: 'false' };
process.env['TZ'] = 'UTC';

const id = (c: string): string => c.repeat(64);
const now = Math.floor(Date.now() / 1000);
const HOUR = 3600;
const DAY = 24 * HOUR;

const containers = [
  {
    Id: id('a'), Names: ['/web'], Image: 'nginx:1.25', ImageID: `sha256:${id('1')}`, Command: "/docker-entrypoint.sh nginx -g 'daemon off;'", Created: now - 3 * DAY - 5 * HOUR, State: 'running', Status: 'Up 3 days (healthy)', SizeRw: 1234567, SizeRootFs: 198765432,
    Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }, { IP: '::', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }, { PrivatePort: 443, Type: 'tcp' }, { PrivatePort: 444, Type: 'tcp' }, { PrivatePort: 445, Type: 'tcp' }, { PrivatePort: 53, Type: 'udp' }, { IP: '127.0.0.1', PrivatePort: 9000, PublicPort: 9000, Type: 'tcp' }, { IP: '127.0.0.1', PrivatePort: 9001, PublicPort: 9001, Type: 'tcp' }],
    Labels: { b: '2', a: '1', 'com.example.some-label': 'x y' }, HostConfig: { NetworkMode: 'bridge' }, NetworkSettings: { Networks: { bridge: {} } }, Mounts: [{ Type: 'volume', Name: 'data-volume-with-a-long-name', Source: '/x', Destination: '/d', Driver: 'local', Mode: 'z', RW: true, Propagation: '' }, { Type: 'bind', Source: '/etc/hosts', Destination: '/h', Mode: '', RW: false, Propagation: 'rprivate' }],
  },
  { Id: id('b'), Names: ['/db/alias', '/db'], Image: `sha256:${id('2')}`, ImageID: `sha256:${id('2')}`, Command: 'sh', Created: now - 90, State: 'exited', Status: 'Exited (137) About a minute ago', Ports: [], Labels: null, HostConfig: { NetworkMode: 'default' }, NetworkSettings: { Networks: {} }, Mounts: [] },
  { Id: id('c'), Names: ['/日本語'], Image: `docker.io/library/busybox@sha256:${id('3')}`, ImageID: `sha256:${id('3')}`, Command: 'echo "quoted\ttext" 日本語日本語日本語日本語', Created: now - 400 * DAY, State: 'created', Status: 'Created', Ports: null, Labels: {}, HostConfig: { NetworkMode: 'host' }, NetworkSettings: { Networks: { host: {} } }, Mounts: null },
];
const images = [
  { Id: `sha256:${id('1')}`, ParentId: '', RepoTags: ['nginx:1.25'], RepoDigests: [`nginx@sha256:${id('9')}`], Created: now - 40 * DAY, Size: 187654321, SharedSize: 1000, VirtualSize: 187654321, Labels: null, Containers: 1 },
  { Id: `sha256:${id('2')}`, ParentId: '', RepoTags: null, RepoDigests: null, Created: now - 5, Size: 999, SharedSize: -1, Labels: null, Containers: -1 },
  { Id: `sha256:${id('3')}`, ParentId: '', RepoTags: ['localhost:5000/a/b:v1'], RepoDigests: [], Created: now - 800 * DAY, Size: 4261550, SharedSize: 0, Labels: { x: 'y' }, Containers: 0 },
  { Id: `sha256:${id('4')}`, ParentId: '', RepoTags: [], RepoDigests: [`alpine@sha256:${id('8')}`], Created: now - 3 * HOUR, Size: 7_300_000, SharedSize: -1, Labels: null, Containers: -1 },
];
const volumes = [{ Name: 'vol10', Driver: 'local', Mountpoint: '/v/vol10', Labels: { a: 'b' }, Options: null, Scope: 'local', CreatedAt: '2024-01-01T00:00:00Z' }, { Name: 'vol2', Driver: 'local', Mountpoint: '/v/vol2', Labels: null, Options: { o: '1' }, Scope: 'local', UsageData: { Size: 123456, RefCount: 1 } }];
const networks = [{ Name: 'none', Id: id('d'), Created: '2024-01-02T03:04:05.678Z', Scope: 'local', Driver: 'null', EnableIPv4: true, EnableIPv6: false, Internal: false, Labels: {} }, { Name: 'bridge', Id: id('e'), Created: '2024-01-02T03:04:05Z', Scope: 'local', Driver: 'bridge', EnableIPv4: true, EnableIPv6: true, Internal: true, Labels: { k: 'v' } }];
const history = [{ Id: `sha256:${id('1')}`, Created: now - 2 * DAY, CreatedBy: '/bin/sh -c #(nop)  CMD ["nginx" "-g" "daemon off;"] and more than forty-five characters', Tags: ['nginx:1.25'], Size: 0, Comment: 'buildkit' }, { Id: '<missing>', Created: 0, CreatedBy: 'a\tb', Tags: null, Size: 74_800_000, Comment: '' }];
const inspected = {
  Id: id('a'), Created: '2024-01-02T03:04:05.678901234Z', Path: 'sh', Args: ['-c', 'x'], State: { Status: 'running', Running: true, Paused: false, Restarting: false, OOMKilled: false, Dead: false, Pid: 4242, ExitCode: 0, Error: '', StartedAt: '2024-01-02T03:04:06Z', FinishedAt: '0001-01-01T00:00:00Z' },
  Image: `sha256:${id('1')}`, Name: '/web', RestartCount: 0, Driver: 'overlay2', Platform: 'linux', ExecIDs: null, Mounts: [{ Type: 'bind', Source: '/a', Destination: '/b', Mode: '', RW: true, Propagation: 'rprivate' }, { Type: 'volume', Name: 'v', Source: '/x', Destination: '/c', Driver: 'local', Mode: 'z', RW: false, Propagation: '' }],
  HostConfig: { Binds: null, NetworkMode: 'bridge', PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] }, RestartPolicy: { Name: 'no', MaximumRetryCount: 0 }, CapAdd: null, Memory: 9007199254740991, LogConfig: { Type: 'json-file', Config: {} } },
  Config: { Hostname: 'h', Env: ['A=1', 'B=x y'], Cmd: ['sh', '-c', 'x'], Image: 'nginx', Labels: { b: '2', a: '1' }, Entrypoint: null, Tty: false, ExposedPorts: { '80/tcp': {} } },
  NetworkSettings: { SandboxID: 's', Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }, { HostIp: '::', HostPort: '8080' }], '443/tcp': null, '9/udp': [{ HostIp: '127.0.0.1', HostPort: '9' }] }, IPAddress: '172.17.0.2', Networks: { bridge: { IPAddress: '172.17.0.2', Gateway: '172.17.0.1', Aliases: null, MacAddress: 'aa:bb' } } },
};
const info = {
  ID: 'X:Y', Containers: 3, ContainersRunning: 1, ContainersPaused: 0, ContainersStopped: 2, Images: 4, Driver: 'overlay2', DriverStatus: [['Backing Filesystem', 'extfs'], ['Supports d_type', 'true']], Plugins: { Volume: ['local'], Network: ['bridge', 'host'], Authorization: null, Log: ['json-file'] }, MemTotal: 25282420736, NCPU: 2,
  ServerVersion: '28.0.0', LoggingDriver: 'json-file', CgroupDriver: 'cgroupfs', CgroupVersion: '1', Swarm: { LocalNodeState: 'inactive' }, Runtimes: { runc: { path: 'runc' } }, DefaultRuntime: 'runc', InitBinary: 'docker-init', ContainerdCommit: { ID: 'c1' }, RuncCommit: { ID: 'r1' }, InitCommit: { ID: 'i1' }, SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
  KernelVersion: '6.1', OperatingSystem: 'Debian', OSType: 'linux', Architecture: 'x86_64', Name: 'host', DockerRootDir: '/var/lib/docker', Debug: false, Labels: ['a=b'], ExperimentalBuild: false, LiveRestoreEnabled: true, RegistryConfig: { InsecureRegistryCIDRs: ['127.0.0.0/8'], IndexConfigs: { 'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true } }, Mirrors: ['http://m/'] }, Warnings: ['WARNING: No swap limit support'], HttpProxy: 'http://p', DefaultAddressPools: [{ Base: '10.0.0.0/8', Size: 24 }],
};
const version = { Platform: { Name: 'P' }, Components: [{ Name: 'Engine', Version: '28.0.0', Details: { ApiVersion: '1.50', Arch: 'amd64', BuildTime: '2024-05-06T07:08:09.000000000+00:00', Experimental: 'false', GitCommit: 'g', GoVersion: 'go1', KernelVersion: '6', MinAPIVersion: '1.24', Os: 'linux' } }, { Name: 'containerd', Version: '2', Details: { GitCommit: 'c' } }], Version: '28.0.0', ApiVersion: '1.50', MinAPIVersion: '1.24', GitCommit: 'g', GoVersion: 'go1', Os: 'linux', Arch: 'amd64' };
const sample = {
  name: '/web', id: id('a'), read: '2024-01-01T00:00:01Z', cpu_stats: { cpu_usage: { total_usage: 3_000_000 }, system_cpu_usage: 40_000_000, online_cpus: 2 }, precpu_stats: { cpu_usage: { total_usage: 1_000_000 }, system_cpu_usage: 20_000_000 }, memory_stats: { usage: 50_000_000, limit: 25_282_420_736, stats: { inactive_file: 1_000_000 } },
  networks: { eth0: { rx_bytes: 12345, tx_bytes: 678 }, eth1: { rx_bytes: 5, tx_bytes: 1 } }, blkio_stats: { io_service_bytes_recursive: [{ op: 'Read', value: 4096 }, { op: 'write', value: 8_388_608 }] }, pids_stats: { current: 7 },
};
// Nanoseconds are more than a number holds: they go in as text.
const event = (action: string, timeNano: string): string => JSON.stringify({ status: action, id: id('a'), from: 'nginx', Type: 'container', Action: action, Actor: { ID: id('a'), Attributes: { image: 'nginx', name: 'web', a: '1' } }, scope: 'local', time: Number(timeNano.slice(0, 10)), timeNano: 0 }).replace('"timeNano":0', `"timeNano":${timeNano}`);
const df = { LayersSize: 199_000_000, Images: images, Containers: containers, Volumes: [{ ...volumes[0], UsageData: { Size: 5_000_000, RefCount: 0 } }, volumes[1]], BuildCache: [{ ID: 'abcdefghijklmnop', Type: 'regular', Description: 'd', InUse: true, Shared: false, Size: 1_234_567, CreatedAt: new Date((now - 3 * DAY) * 1000).toISOString(), LastUsedAt: new Date((now - 3 * HOUR) * 1000).toISOString(), UsageCount: 3 }] };
const frames = (...parts: readonly (readonly [number, string])[]): Uint8Array => Buffer.concat(parts.map(([stream, text]) => Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)])));
const multiplexed = { type: 'application/vnd.docker.multiplexed-stream', body: frames([1, 'out 1\n'], [1, 'out 2\n'], [2, 'err 1\n'], [1, 'out 3\n']) };
const failure = (status: number, message: string): Answer => ({ status, json: { message } });

const CASES: readonly (readonly [string, Record<string, Answer>])[] = [
  ...['ps -a', 'ps -a --no-trunc', 'ps -aq', 'ps -aq --no-trunc', 'ps -as', 'ps -a --format json', 'ps -a --format raw', 'ps -a --format table', 'ps -a --format {{json\u00a0.}}', 'ps -a --format {{.Names}}:\u00a0{{.Ports}}', 'ps -a --format table\u00a0{{.ID}}\\t{{.Labels}}\\t{{.Mounts}}\\t{{.Label\u00a0"com.example.some-label"}}',
    'ps -a --format table\u00a0{{.Names}}\\t{{.Size}}\\t{{.CreatedAt}}\\t{{.LocalVolumes}}\\t{{.Networks}}\\t{{.State}}', 'ps --format {{.Nope}}', 'ps --format {{.ID', 'ps --format {{nope}}', 'ps -q --format x', 'ps -a --format {{upper\u00a0.Names}}|{{.Image|title}}|{{truncate\u00a0.ID\u00a04}}|{{pad\u00a0.State\u00a01\u00a02}}|{{join\u00a0(split\u00a0.Status\u00a0"\u00a0")\u00a0"-"}}',
    'ps -a --format {{if\u00a0eq\u00a0.State\u00a0"running"}}R{{else\u00a0if\u00a0eq\u00a0.State\u00a0"exited"}}E{{else}}?{{end}}{{/*\u00a0c\u00a0*/}}\u00a0{{-\u00a0.Names\u00a0-}}\u00a0!', 'ps -a --format {{printf\u00a0"%-10s|%5.2s|%q"\u00a0.Names\u00a0.State\u00a0.Image}}', 'ps -a --format {{with\u00a0$x\u00a0:=\u00a0.Names}}{{$x}}{{len\u00a0$x}}{{end}}', 'ps -a --format {{range\u00a0$i,\u00a0$p\u00a0:=\u00a0split\u00a0.Status\u00a0"\u00a0"}}{{if\u00a0$i}},{{end}}{{$p}}{{end}}', 'ps -a --format table\u00a0{{upper\u00a0.Names}}\\t{{pad\u00a0.State\u00a02\u00a02}}',
  ].map((line) => [line, { 'GET /containers/json': { json: containers } }] as const),
  ['ps', { 'GET /containers/json': { json: [] } }],
  ...['images', 'images --digests', 'images --no-trunc', 'images -q', 'images -aq --no-trunc', 'images --format json', 'images --format {{.Repository}}:{{.Tag}}', 'images --format table\u00a0{{.ID}}\\t{{.Digest}}\\t{{.CreatedAt}}\\t{{.Size}}', 'images --format raw', 'images --digests --format table\u00a0{{.ID}}'].map((line) => [line, { 'GET /images/json': { json: images } }] as const),
  ...['volume ls', 'volume ls -q', 'volume ls --format json', 'volume ls --format table\u00a0{{.Name}}\\t{{.Mountpoint}}\\t{{.Labels}}\\t{{.Scope}}\\t{{.Size}}\\t{{.Links}}', 'volume ls --format raw'].map((line) => [line, { 'GET /volumes': { json: { Volumes: volumes, Warnings: null } } }] as const),
  ...['network ls', 'network ls -q', 'network ls --no-trunc', 'network ls --format table\u00a0{{.Name}}\\t{{.IPv6}}\\t{{.Internal}}\\t{{.Labels}}', 'network ls --format {{.Name}}={{.ID}}'].map((line) => [line, { 'GET /networks': { json: networks } }] as const),
  ...['history nginx', 'history --no-trunc nginx', 'history -q nginx', 'history -H=false nginx', 'history --format {{.CreatedBy}}|{{.Size}} nginx', 'history --format json nginx'].map((line) => [line, { 'GET /images/nginx/history': { json: history } }] as const),
  ...['inspect web', 'inspect -f {{.State.Status}} web', 'inspect -f {{json\u00a0.Config.Labels}} web', 'inspect -f {{.Config.Labels}} web', 'inspect -f {{index\u00a0.Config.Labels\u00a0"a"}} web', 'inspect -f {{index\u00a0.Config.Labels\u00a0"zz"}}. web', 'inspect -f {{.Config.Env}} web', 'inspect -f {{range\u00a0.Config.Env}}{{println\u00a0.}}{{end}} web', 'inspect -f {{(index\u00a0(index\u00a0.NetworkSettings.Ports\u00a0"80/tcp")\u00a00).HostPort}} web',
    'inspect -f {{range\u00a0$p,\u00a0$c\u00a0:=\u00a0.NetworkSettings.Ports}}{{$p}}={{if\u00a0$c}}{{(index\u00a0$c\u00a00).HostPort}}{{else}}none{{end}};{{end}} web', 'inspect -f {{range\u00a0.NetworkSettings.Networks}}{{.IPAddress}}{{end}} web', 'inspect -f {{.NetworkSettings.Networks.bridge.Gateway}} web', 'inspect -f {{.State.Health}} web', 'inspect -f {{if\u00a0.State.Health}}h{{else}}no{{end}} web', 'inspect -f {{.HostConfig.Binds}}{{.HostConfig.CapAdd}}{{.ExecIDs}} web', 'inspect -f {{json\u00a0.HostConfig.Binds}} web',
    'inspect -f {{.NoSuch}} web', 'inspect -f {{.State.NoSuch}} web', 'inspect -f {{.Mounts}} web', 'inspect -f {{.HostConfig.PortBindings}} web', 'inspect -f {{len\u00a0.Args}}{{.State.Pid}}{{.State.Running}} web', 'inspect -f json web', 'inspect -f {{json\u00a0.State.Pid}} web', 'inspect --format={{.Config.Cmd}} web web', 'inspect -f {{.HostConfig.Memory}} web', 'inspect -f {{slice\u00a0.Id\u00a00\u00a012}} web', 'inspect -f {{.Name\u00a0|\u00a0upper}} web', 'inspect -f {{eq\u00a0.State.ExitCode\u00a00}} web', 'inspect -f {{.HostConfig.RestartPolicy}} web', 'inspect -f {{.HostConfig.LogConfig}} web', 'inspect -f {{gt\u00a0.State.Pid\u00a05}}{{and\u00a0.State.Running\u00a0"x"}}{{or\u00a0.State.Paused\u00a0"y"}}{{not\u00a0.State.Dead}} web',
    'inspect -f {{.State.Status.X}} web', 'inspect -f {{index\u00a0.Args\u00a05}} web', 'inspect -f {{.Config.Labels.zz}} web', 'inspect -f {{.Config.Entrypoint}}{{.Config.ExposedPorts}} web', 'inspect -f {{html\u00a0"<a>"}}{{urlquery\u00a0"a\u00a0b"}}{{print\u00a01\u00a02\u00a0"x"}} web', 'inspect -f {{break}} web', 'inspect -f {{range\u00a0.Args}}{{if\u00a0eq\u00a0.\u00a0"x"}}{{break}}{{end}}{{.}}{{end}} web', 'inspect -f {{$x\u00a0:=\u00a01}}{{$x}}{{$x\u00a0=\u00a02}}{{$x}} web', 'inspect -f {{$y}} web', 'inspect -f {{end}} web', 'inspect -f {{if\u00a0.Id}}x web', 'inspect -f {{"a\\tb"}}{{`raw`}}{{1.5}}{{true}}{{nil}} web',
    'port web', 'port web 80', 'port web 9/udp', 'port web 443', 'port web 1',
  ].map((line) => [line, { 'GET /containers/web/json': { json: inspected } }] as const),
  ['inspect nosuch', { 'GET /containers/nosuch/json': failure(404, 'No such container: nosuch'), 'GET /images/nosuch/json': failure(404, 'No such image: nosuch'), 'GET /networks/nosuch': failure(404, 'network nosuch not found'), 'GET /volumes/nosuch': failure(404, 'no such volume'), 'GET /plugins/nosuch/json': failure(404, 'no such plugin'), 'GET /info': { json: info } }],
  ['inspect --type container nosuch', { 'GET /containers/nosuch/json': failure(404, 'No such container: nosuch') }],
  ['info', { 'GET /info': { json: info } }], ['info -f {{.Driver}}-{{.NCPU}}', { 'GET /info': { json: info } }], ['info -f {{json\u00a0.Plugins}}', { 'GET /info': { json: info } }], ['info -f {{.Nope}}', { 'GET /info': { json: info } }],
  ['version -f {{.Server.Version}}', { 'GET /version': { json: version } }], ['version -f {{json\u00a0.Server.Components}}', { 'GET /version': { json: version } }], ['version -f {{.Server.APIVersion}}\u00a0{{.Client.Version}}', { 'GET /version': { json: version } }], ['version -f {{range\u00a0.Server.Components}}{{.Name}};{{end}}', { 'GET /version': { json: version } }],
  ['stats --no-stream web', { 'GET /containers/web/stats': { json: sample } }], ['stats --no-stream --no-trunc --format {{.Name}}:{{.CPUPerc}}:{{.MemPerc}} web', { 'GET /containers/web/stats': { json: sample } }], ['stats --no-stream --format json web', { 'GET /containers/web/stats': { json: sample } }], ['stats --no-stream nosuch', { 'GET /containers/nosuch/stats': failure(404, 'No such container: nosuch') }],
  ...['events --until 0s', 'events --until 0s --format json', 'events --until 0s --format {{.Type}}/{{.Action}}/{{.Actor.Attributes.name}}/{{.ID}}/{{.Status}}/{{.Time}}', 'events --until 0s --format {{.Nope}}', 'events --until 0s --format {{.Ty'].map((line) => [line, { 'GET /events': { type: 'application/json', body: `${event('start', '1704164645123456789')}\n${event('die', '1704164646000000000')}\n` } }] as const),
  ['system df', { 'GET /system/df': { json: df } }], ['system df -v', { 'GET /system/df': { json: df } }], ['system df --format {{.Type}}={{.Reclaimable}}', { 'GET /system/df': { json: df } }], ['system df --format json', { 'GET /system/df': { json: df } }],
  ['top web', { 'GET /containers/web/top': { json: { Titles: ['UID', 'PID', 'A VERY LONG TITLE OF A COLUMN', 'CMD'], Processes: [['root', '1', 'x', 'sleep 5'], ['nobody', '12345', 'y', 'a command that is long']] } } }],
  ['diff web', { 'GET /containers/web/changes': { json: [{ Path: '/a', Kind: 0 }, { Path: '/a/b', Kind: 1 }, { Path: '/c', Kind: 2 }] } }], ['diff web', { 'GET /containers/web/changes': { json: null } }],
  ['logs web', { 'GET /containers/web/logs': multiplexed, 'GET /containers/web/json': { json: { ...inspected, Id: 'web' } } }], ['logs nosuch', { 'GET /containers/nosuch/json': failure(404, 'No such container: nosuch'), 'GET /containers/nosuch/logs': failure(404, 'No such container: nosuch') }],
  ['run busybox x', { [`POST /containers/${'c0ffee0123456789'.repeat(4)}/attach`]: { hijack: multiplexed.body }, [`POST /containers/${'c0ffee0123456789'.repeat(4)}/wait`]: { json: { StatusCode: 42 }, delay: 30 } }],
  ['run busybox x', { [`POST /containers/${'c0ffee0123456789'.repeat(4)}/start`]: failure(400, 'failed to create task: exec: "x": executable file not found in $PATH: unknown') }], ['run busybox x', { [`POST /containers/${'c0ffee0123456789'.repeat(4)}/start`]: failure(400, 'exec: "/x": permission denied: unknown') }],
  ['run -d busybox x', { [`POST /containers/${'c0ffee0123456789'.repeat(4)}/start`]: failure(500, 'boom') }], ['run --name x busybox', { 'POST /containers/create': failure(409, 'Conflict. The container name "/x" is already in use') }], ['create busybox', { 'POST /containers/create': { status: 201, json: { Id: 'x', Warnings: ['one', 'two'] } } }], ['run --pull never busybox', { 'POST /containers/create': failure(404, 'No such image: busybox:latest') }],
  ['run busybox', { 'POST /containers/create': failure(404, 'No such image: busybox:latest'), 'POST /images/create': { body: '{"status":"Pulling from library/busybox","id":"latest"}\n{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}\n{"status":"Downloading","progressDetail":{"current":5,"total":10},"progress":"[=>] 5B/10B","id":"abc"}\n{"status":"Pull complete","progressDetail":{},"id":"abc"}\n{"errorDetail":{"message":"toomanyrequests: slow down"},"error":"toomanyrequests: slow down"}\n' } }],
  ['pull busybox', { 'POST /images/create': { body: '{"status":"Pulling from library/busybox","id":"latest"}\n{"status":"Digest: sha256:abc"}\n{"status":"Status: Downloaded newer image for busybox:latest"}\n' } }], ['pull busybox', { 'POST /images/create': failure(404, 'pull access denied') }],
  ['rm a b c', { 'DELETE /containers/b': failure(409, 'cannot remove container "b": container is running'), 'DELETE /containers/c': failure(404, 'No such container: c') }], ['rm -f a b', { 'DELETE /containers/b': failure(404, 'No such container: b') }], ['stop a b', { 'POST /containers/a/stop': failure(404, 'No such container: a') }], ['start a b', { 'POST /containers/a/start': failure(404, 'No such container: a') }], ['start a', { 'POST /containers/a/start': { status: 304 } }],
  ['kill a', { 'POST /containers/a/kill': failure(409, 'cannot kill container: a: container is not running') }], ['rmi a b', { 'DELETE /images/a': failure(404, 'No such image: a:latest'), 'DELETE /images/b': { json: [{ Untagged: 'b:latest' }, { Deleted: 'sha256:1' }] } }], ['rmi -f a', { 'DELETE /images/a': failure(404, 'No such image: a:latest') }], ['rename a b', { 'POST /containers/a/rename': failure(409, 'Conflict') }], ['wait a b', { 'POST /containers/a/wait': { json: { StatusCode: 3 }, delay: 5 }, 'POST /containers/b/wait': failure(404, 'No such container: b') }],
  ['exec a x', { [`GET /exec/${'c0ffee0123456789'.repeat(4)}/json`]: { json: { ExitCode: 126, Running: false } }, [`POST /exec/${'c0ffee0123456789'.repeat(4)}/start`]: { hijack: multiplexed.body } }], ['exec a x', { 'GET /containers/a/json': failure(404, 'No such container: a'), 'POST /containers/a/exec': failure(404, 'No such container: a') }], ['exec a x', { 'POST /containers/a/exec': failure(409, 'container a is not running') }],
  ['container prune -f', { 'POST /containers/prune': { json: { ContainersDeleted: ['a', 'b'], SpaceReclaimed: 1_234_567 } } }], ['image prune -f', { 'POST /images/prune': { json: { ImagesDeleted: [{ Untagged: 'x:1' }, { Deleted: 'sha256:2' }], SpaceReclaimed: 999 } } }], ['volume prune -f', { 'POST /volumes/prune': { json: { VolumesDeleted: ['v'], SpaceReclaimed: 10_000 } } }], ['network prune -f', { 'POST /networks/prune': { json: { NetworksDeleted: ['n'] } } }],
  ['system prune -af --volumes', { 'POST /containers/prune': { json: { ContainersDeleted: ['a'], SpaceReclaimed: 1 } }, 'POST /images/prune': { json: { ImagesDeleted: [{ Deleted: 'sha256:2' }], SpaceReclaimed: 1000 } }, 'POST /volumes/prune': { json: { VolumesDeleted: ['v'], SpaceReclaimed: 5 } }, 'POST /networks/prune': { json: { NetworksDeleted: null } }, 'POST /build/prune': { json: { CachesDeleted: ['k'], SpaceReclaimed: 2 } } }],
  ['update -m 1g a', { 'POST /containers/a/update': { json: { Warnings: ['no swap'] } } }], ['load -q', { 'POST /images/load': { json: { stream: 'Loaded image: a:1\n' } } }], ['load', { 'POST /images/load': { json: { errorDetail: { message: 'invalid tar header' }, error: 'invalid tar header' } } }], ['search term', { 'GET /images/search': { json: [{ name: 'nginx', description: 'Official build of Nginx. And a long description of it', star_count: 123, is_official: true, is_automated: false }] } }],
  ['ps', { 'GET /containers/json': { status: 500, body: 'plain words' } }], ['ps', { 'GET /containers/json': { status: 500, json: {} } }],
];

let daemon: RecordingDaemon;
before(async () => {
  daemon = await startRecordingDaemon();
});
after(async () => {
  await daemon.close();
  rmSync(directory, { recursive: true });
});

describe('what Docker would print', () => {
  for (const [i, [line, answers]] of CASES.entries()) {
    test(`${i}: ${line.replaceAll('\u00a0', ' ')}`, async () => {
      daemon.answers.clear();
      for (const [request, answer] of Object.entries(answers)) daemon.answers.set(request, answer);
      const words = line.split(' ').map((word) => word.replaceAll('\u00a0', ' '));
      let docker = await runDocker(['-H', daemon.host, ...words], { env });
      const naru = await runCli(['-H', daemon.host, ...words], { env, program: 'docker' });
      // An age ("5 seconds ago") may have grown between the two.
      if (naru.out !== docker.out) docker = await runDocker(['-H', daemon.host, ...words], { env });
      assert.equal(naru.out, docker.out, 'stdout');
      assert.equal(naru.err, docker.err, 'stderr');
      assert.equal(naru.code, docker.code, 'exit status');
    });
  }
});
