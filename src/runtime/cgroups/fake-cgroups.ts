import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CgroupHost, detectCgroups } from './detect-cgroups.ts';

export interface FakeCgroups extends Disposable {
  /** Stands for `/`. */
  readonly root: string;
  readonly host: CgroupHost;
}

/** A directory that looks like a machine's /proc and /sys/fs/cgroup, for tests: `files` by their absolute paths. */
export function fakeCgroups(files: Readonly<Record<string, string>>): FakeCgroups {
  const root = mkdtempSync(join(tmpdir(), 'naru-cgroups-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const dispose = (): void => rmSync(root, { recursive: true, force: true });
  try {
    return { root, host: detectCgroups({ root }), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

const V2_MOUNT = '27 23 0:24 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';

/** A machine with cgroup v2 only. */
export const UNIFIED: Readonly<Record<string, string>> = {
  '/proc/self/mountinfo': `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${V2_MOUNT}`,
  '/proc/self/cgroup': '0::/system.slice/naru.service\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids rdma misc\n',
  '/sys/fs/cgroup/cgroup.subtree_control': 'cpu memory\n',
  '/sys/fs/cgroup/io.cost.qos': '',
  '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0\n',
};

/** A machine with v1, `cpu` and `cpuacct` together, and no v2. */
export const LEGACY: Readonly<Record<string, string>> = {
  '/proc/self/mountinfo': [
    '30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
    '31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    '32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
    '33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '34 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset',
    '35 30 0:31 / /sys/fs/cgroup/net_cls,net_prio rw - cgroup cgroup rw,net_cls,net_prio',
    '36 30 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio',
    '37 30 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices',
    '38 1 0:29 / /mnt/again\\040here rw - cgroup cgroup rw,memory',
  ].join('\n'),
  '/proc/self/cgroup': '6:memory:/user.slice\n3:cpu,cpuacct:/\n1:name=systemd:/user.slice/session-1.scope\n',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/memory/user.slice/memory.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/cpuset/cpuset.cpus': '0-3\n',
  '/sys/fs/cgroup/cpuset/cpuset.mems': '0\n',
  '/sys/fs/cgroup/cpu,cpuacct/cpu.shares': '1024\n',
  '/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device': '',
};
