import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fixture } from '../fixtures/make-images.ts';

/** Debian's kernel for virtual machines: 6.1 on bookworm, older than the overlay and cgroup features of newer kernels. */
const PACKAGE = process.arch === 'x64' ? 'linux-image-cloud-amd64' : 'linux-image-cloud-arm64';

/** What the guest loads by name or on demand. */
const MODULES = [
  'virtio_pci', 'virtio_blk', 'virtio_console', 'overlay', 'veth', 'bridge', 'dummy', 'ipvlan', 'tun', 'loop', 'bfq', 'nf_tables', 'nfnetlink', 'nf_conntrack', 'nf_conntrack_netlink', 'nft_meta_bridge',
  'nft_chain_nat', 'nft_ct', 'nft_nat', 'nft_masq', 'nft_redir', 'nft_fib', 'nft_fib_inet', 'nft_fib_ipv4', 'nft_fib_ipv6', 'nft_reject_inet', 'nft_numgen', 'nft_hash', 'nft_limit', 'nft_log', 'nft_objref',
  'unix_diag', 'inet_diag', 'tcp_diag', 'udp_diag', 'netlink_diag', 'af_packet_diag',
];

export interface GuestKernel {
  readonly version: string;
  readonly image: string;
  /** What belongs at /lib/modules/VERSION: MODULES and what they need, with an index for modprobe. */
  readonly moduleRoot: string;
}

function must(command: string, args: readonly string[], cwd?: string): string {
  const ran = spawnSync(command, args as string[], { encoding: 'utf8', cwd, maxBuffer: 64 << 20 });
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr || String(ran.error)}`);
  return ran.stdout;
}

/** The kernel from the machine's own apt sources, unpacked into the test cache; nothing is installed. */
export function guestKernel(): GuestKernel {
  const root = fixture('vm-kernel');
  // What was unpacked for another list of modules is not enough.
  const marker = join(root, 'complete');
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== MODULES.join('\n')) download(root);
  const version = readdirSync(join(root, 'lib/modules'))[0] as string;
  return { version, image: join(root, 'vmlinuz'), moduleRoot: join(root, 'lib/modules', version) };
}

const moduleName = (file: string): string => basename(file).replace(/\.ko.*$/, '').replaceAll('-', '_');

function download(root: string): void {
  const work = mkdtempSync(`${root}.`);
  try {
    const depends = /^Depends: (linux-image-\S+)/m.exec(must('apt-cache', ['show', PACKAGE]))?.[1];
    if (depends === undefined) throw new Error(`apt knows no kernel under the name ${PACKAGE}`);
    // A list that is older than the mirror names a package that is gone.
    const fetched = spawnSync('apt-get', ['download', depends], { cwd: work, encoding: 'utf8' });
    if (fetched.status !== 0) {
      must('apt-get', ['update', '-qq']);
      must('apt-get', ['download', depends], work);
    }
    const deb = readdirSync(work).find((f) => f.endsWith('.deb')) as string;
    must('dpkg-deb', ['-x', deb, 'all'], work);
    const version = readdirSync(join(work, 'all/lib/modules'))[0] as string;
    keepModules(join(work, 'all'), version);
    renameSync(join(work, 'all/boot', `vmlinuz-${version}`), join(work, 'all/vmlinuz'));
    rmSync(join(work, 'all/boot'), { recursive: true });
    rmSync(join(work, 'all/usr'), { recursive: true, force: true });
    writeFileSync(join(work, 'all/complete'), MODULES.join('\n'));
    rmSync(root, { recursive: true, force: true });
    renameSync(join(work, 'all'), root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Everything but MODULES and what they need goes; the rest gets an index. */
function keepModules(root: string, version: string): void {
  const top = join(root, 'lib/modules', version);
  const files = new Map((readdirSync(top, { recursive: true, encoding: 'utf8' })).filter((f) => f.endsWith('.ko')).map((f) => [moduleName(f), f]));
  const keep = new Set<string>();
  const visit = (name: string): void => {
    const file = files.get(name);
    if (file === undefined || keep.has(file)) return;
    keep.add(file);
    const info = /\0depends=([^\0]*)\0/.exec(readFileSync(join(top, file), 'latin1'))?.[1] ?? '';
    for (const needed of info.split(',')) if (needed !== '') visit(needed.replaceAll('-', '_'));
  };
  for (const name of MODULES) visit(name);
  for (const file of files.values()) if (!keep.has(file)) rmSync(join(top, file));
  mkdirSync(top, { recursive: true });
  must('busybox', ['depmod', '-b', root, version]);
}
