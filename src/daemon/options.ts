import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { RealtimeShare } from '#runtime/cgroups/share-realtime.ts';
import { NaruError } from '#spec/errors.ts';
import { DEFAULT_CONFIG_FILE, readDaemonConfig, type DaemonConfig } from './config-file.ts';

export interface DaemonOptions {
  /** Durable state: the database, blobs, layers, volumes. */
  readonly dataRoot: string;
  /** State that a reboot ends anyway: sockets, hosts files. */
  readonly stateDir: string;
  readonly hosts: readonly string[];
  readonly pidFile: string | undefined;
  readonly bridge: string;
  readonly subnet: string | undefined;
  /** What else `net` is told, word for word. */
  readonly network: { readonly ipv6?: string; readonly firewall?: 'open' | 'host'; readonly pools?: readonly string[]; readonly mtu?: number };
  readonly nftTable: string;
  readonly cgroupParent: string;
  /** Microseconds of real time that the groups above containers get. */
  readonly realtime: RealtimeShare;
  readonly tls: { ca?: string; cert?: string; key?: string; verify: boolean } | undefined;
  readonly insecureTcp: boolean;
  /** One file for each registry that needs words: mirrors, certificates (registry/client/host-config.ts). */
  readonly registries: string;
  /** Which repositories need whose signatures (engine/policy/image-policy.ts). */
  readonly imagePolicy: string;
  /** Percent of the disk; age in milliseconds. */
  readonly imageMarks: { readonly high: number; readonly low: number; readonly age: number } | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  /** Read again at SIGHUP. */
  readonly configFile: string;
  readonly config: DaemonConfig;
}

export const DEFAULT_DATA_ROOT = '/var/lib/naru';
export const DEFAULT_STATE_DIR = '/run/naru';
const DEFAULT_IMAGE_POLICY = '/etc/naru/image-policy.json';
const DEFAULT_REGISTRIES = '/etc/naru/registries.d';

export const DAEMON_HELP = `Usage: naru daemon [OPTIONS]

Runs the daemon in the foreground. Several can run side by side with different data roots.

Options:
      --data-root DIR        durable state (default ${DEFAULT_DATA_ROOT})
      --state-dir DIR        volatile state, on a tmpfs (default ${DEFAULT_STATE_DIR})
  -H, --host ADDRESS         unix:///path or tcp://address:port; may be given again (default unix://STATE-DIR/naru.sock)
      --pidfile FILE         where to write the process id
      --bridge NAME          the default bridge (default naru0; with another data root, a name made from it)
      --bip CIDR             the default bridge's subnet (default: the first free one from 172.17.0.0/16 on)
      --ipv6                 IPv6 on the default bridge too, with a subnet of our own unless --fixed-cidr-v6 names one
      --fixed-cidr-v6 CIDR   its IPv6 subnet
      --default-address-pool base=CIDR,size=N
                             where networks get their subnets that name none; may be given again, IPv4 and IPv6
      --mtu N                of networks that name none (default: that of the default route, at most 1500)
      --firewall MODE        open: published ports are open to everybody (default, as Docker's); host: they obey the host's
                             own input rules (ufw, firewalld, nft). A network says otherwise with -o naru.firewall=MODE
      --cgroup-parent PATH   where containers' cgroups go (default /naru or /naru-<data root>)
      --cpu-rt-period N      microseconds over which the share of real time of those groups is counted (cgroup v1)
      --cpu-rt-runtime N     that share, in microseconds; without it no container can have any
      --tlsverify            demand client certificates on tcp (with --tlscacert, --tlscert, --tlskey)
      --tls                  encrypt tcp without client certificates
      --insecure-tcp         allow tcp without TLS: whoever reaches the port owns the machine
      --registries-dir DIR   one <host>.json for each registry with mirrors or certificates (default ${DEFAULT_REGISTRIES})
      --image-high-water N   above N percent of the disk, images that nothing uses are removed, least recently used first (default: never)
      --image-low-water N    … until no more than N percent are used (default: 10 below the high-water mark)
      --image-min-age TIME   … none that was pulled, tagged or run more recently (default 2m)
      --image-policy FILE    which repositories need whose signatures, when the file is there (default ${DEFAULT_IMAGE_POLICY})
  -l, --log-level LEVEL      error, warn, info or debug (default info)
      --config-file FILE     Docker's daemon.json (default ${DEFAULT_CONFIG_FILE}); read again at SIGHUP
      --validate             check the configuration and exit
`;

/** Parses `naru daemon`'s words. Throws NaruError invalid. */
export function parseDaemonOptions(args: readonly string[]): DaemonOptions | 'help' | 'valid' {
  let values: Record<string, string | boolean | string[] | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        'data-root': { type: 'string' }, 'state-dir': { type: 'string' }, host: { type: 'string', short: 'H', multiple: true },
        pidfile: { type: 'string' }, bridge: { type: 'string' }, bip: { type: 'string' }, ipv6: { type: 'boolean' }, 'fixed-cidr-v6': { type: 'string' },
        'default-address-pool': { type: 'string', multiple: true }, mtu: { type: 'string' }, firewall: { type: 'string' }, 'cgroup-parent': { type: 'string' }, 'cpu-rt-period': { type: 'string' }, 'cpu-rt-runtime': { type: 'string' },
        tls: { type: 'boolean' }, tlsverify: { type: 'boolean' }, tlscacert: { type: 'string' }, tlscert: { type: 'string' },
        tlskey: { type: 'string' }, 'insecure-tcp': { type: 'boolean' }, 'registries-dir': { type: 'string' }, 'image-policy': { type: 'string' },
        'image-high-water': { type: 'string' }, 'image-low-water': { type: 'string' }, 'image-min-age': { type: 'string' }, 'log-level': { type: 'string', short: 'l' },
        'config-file': { type: 'string' }, validate: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new NaruError('invalid', `naru daemon: ${(error as Error).message}`, { hint: 'see naru daemon --help' });
  }
  if (values['help'] === true) return 'help';
  const given = values;
  const configFile = absolute('--config-file', (given['config-file'] as string | undefined) ?? DEFAULT_CONFIG_FILE);
  const config = readDaemonConfig(configFile, { required: given['config-file'] !== undefined });
  const twice = Object.keys(config.flags).filter((name) => given[name] !== undefined);
  if (twice.length > 0) {
    throw new NaruError('invalid', `unable to configure the Docker daemon with file ${configFile}: the following directives are specified both as a flag and in the configuration file: ${
      twice.map((name) => `${name}: (from flag: ${String(given[name])}, from file: ${String(config.flags[name])})`).join(', ')}`);
  }
  values = { ...given, ...(config.flags as typeof values) };
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const dataRoot = absolute('--data-root', text('data-root') ?? DEFAULT_DATA_ROOT);
  const stateDir = absolute('--state-dir', text('state-dir') ?? (dataRoot === DEFAULT_DATA_ROOT ? DEFAULT_STATE_DIR : `${dataRoot}/run`));
  // A second daemon must not share names in the kernel with the first: they are made from its data root.
  const tag = dataRoot === DEFAULT_DATA_ROOT ? '' : createHash('sha256').update(dataRoot).digest('hex').slice(0, 8);
  const level = text('log-level') ?? 'info';
  if (!['error', 'warn', 'info', 'debug'].includes(level)) throw new NaruError('invalid', `--log-level ${level}: not one of error, warn, info, debug`);
  const verify = values['tlsverify'] === true;
  if (values['validate'] === true) return 'valid';
  return {
    configFile, config,
    dataRoot,
    stateDir,
    hosts: (values['host'] as string[] | undefined) ?? [`unix://${stateDir}/naru.sock`],
    pidFile: text('pidfile'),
    bridge: text('bridge') ?? (tag === '' ? 'naru0' : `naru${tag}`),
    subnet: text('bip'),
    network: networkOptions(values),
    nftTable: tag === '' ? 'naru' : `naru_${tag}`,
    cgroupParent: text('cgroup-parent') ?? (tag === '' ? '/naru' : `/naru-${tag}`),
    realtime: { ...microseconds('period', text('cpu-rt-period')), ...microseconds('runtime', text('cpu-rt-runtime')) },
    tls: verify || values['tls'] === true ? { ...pick('ca', text('tlscacert')), ...pick('cert', text('tlscert')), ...pick('key', text('tlskey')), verify } : undefined,
    insecureTcp: values['insecure-tcp'] === true,
    registries: absolute('--registries-dir', text('registries-dir') ?? DEFAULT_REGISTRIES),
    imageMarks: marksOf({ high: text('image-high-water'), low: text('image-low-water'), age: text('image-min-age') }),
    imagePolicy: absolute('--image-policy', text('image-policy') ?? DEFAULT_IMAGE_POLICY),
    logLevel: level as DaemonOptions['logLevel'],
  };
}

function microseconds<K extends keyof RealtimeShare>(key: K, value: string | undefined): Partial<Record<K, number>> {
  if (value === undefined || value === '0') return {};
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new NaruError('invalid', `--cpu-rt-${key} ${value}: not a number of microseconds`);
  return { [key]: Number(value) } as Partial<Record<K, number>>;
}

function networkOptions(values: Record<string, string | boolean | string[] | undefined>): DaemonOptions['network'] {
  const { ipv6, firewall, mtu } = values;
  const six = (values['fixed-cidr-v6'] as string | undefined) ?? (ipv6 === true ? 'auto' : undefined);
  if (firewall !== undefined && firewall !== 'open' && firewall !== 'host') throw new NaruError('invalid', `--firewall ${String(firewall)}: not one of open, host`);
  if (mtu !== undefined && !(Number(mtu) >= 68 && Number(mtu) <= 65535)) throw new NaruError('invalid', `--mtu ${String(mtu)}: a number from 68 to 65535`);
  const pools = values['default-address-pool'] as string[] | undefined;
  return { ...(six === undefined ? {} : { ipv6: six }), ...(firewall === undefined ? {} : { firewall }), ...(pools === undefined ? {} : { pools }), ...(mtu === undefined ? {} : { mtu: Number(mtu) }) };
}

function marksOf(given: { high: string | undefined; low: string | undefined; age: string | undefined }): DaemonOptions['imageMarks'] {
  const percent = (flag: string, value: string): number => {
    const number = /^\d{1,3}%?$/.test(value) ? Number.parseInt(value, 10) : NaN;
    if (!(number >= 1 && number <= 100)) throw new NaruError('invalid', `${flag} ${value}: not a percentage from 1 to 100`);
    return number;
  };
  const time = /^(\d{1,9})(s|m|h)$/.exec(given.age ?? '2m');
  if (time === null) throw new NaruError('invalid', `--image-min-age ${given.age}: not a time like 90s, 2m or 1h`);
  const age = Number(time[1]) * { s: 1000, m: 60_000, h: 3_600_000 }[time[2] as 's' | 'm' | 'h'];
  if (given.high === undefined) {
    if (given.low !== undefined) throw new NaruError('invalid', '--image-low-water needs --image-high-water');
    return undefined;
  }
  const high = percent('--image-high-water', given.high);
  const low = given.low === undefined ? Math.max(1, high - 10) : percent('--image-low-water', given.low);
  if (low >= high) throw new NaruError('invalid', `--image-low-water ${low}: not below the high-water mark of ${high}`);
  return { high, low, age };
}

const pick = <K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> =>
  (value === undefined ? {} : { [key]: value }) as Partial<Record<K, string>>;

function absolute(flag: string, path: string): string {
  if (!path.startsWith('/')) throw new NaruError('invalid', `${flag} ${path}: the path must be absolute`);
  return path.replace(/\/+$/, '') || '/';
}
