import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { DeviceRule, OciMount, OciSpec } from '#spec/oci-runtime.ts';
import { DEFAULT_CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import { defaultSeccompProfile, hostArchitecture } from '#runtime/seccomp/default-profile.ts';

export const OCI_VERSION = '1.2.0';

/** Docker's hidden paths (moby, oci/defaults.go). The thermal_throttle of each CPU is added where it exists. */
const MASKED_PATHS = [
  '/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/sched_debug',
  '/proc/scsi', '/proc/timer_list', '/proc/timer_stats', '/sys/devices/virtual/powercap', '/sys/firmware',
] as const;
export const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const MAX_CPUS = 8192;
let masked: readonly string[] | undefined;

/** What Docker hides on this machine. */
export function maskedPaths(): readonly string[] {
  if (masked === undefined) {
    const found: string[] = [...MASKED_PATHS];
    for (let cpu = 0; cpu < MAX_CPUS; cpu++) {
      const path = `/sys/devices/system/cpu/cpu${cpu}`;
      if (!existsSync(path)) break;
      if (existsSync(`${path}/thermal_throttle`)) found.push(`${path}/thermal_throttle`);
    }
    masked = found;
  }
  return masked;
}

const SHM_SIZE = 64 * 1024 * 1024;

/** Docker's mounts of a container without a volume. */
export const defaultMounts = (): OciMount[] => [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro', 'nosuid', 'noexec', 'nodev'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${SHM_SIZE}`] },
];

/** Docker's device list: nothing but null, zero, full, random, urandom, tty, console, ptmx, pts; never fuse; nodes may be made. */
export const defaultDeviceRules = (): DeviceRule[] => {
  const allow = (major: number, minor: number): DeviceRule => ({ allow: true, type: 'c', major, minor, access: 'rwm' });
  return [
    { allow: false, access: 'rwm' },
    allow(1, 5), allow(1, 3), allow(1, 9), allow(1, 8), allow(5, 0), allow(5, 1),
    { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
  ];
};

/**
 * A container as Docker makes it when nobody asks for anything: 14 capabilities (bounding, permitted, effective; neither
 * inheritable nor ambient), all namespaces but the user's, the default seccomp profile. A fresh object: change it freely,
 * except for `linux.seccomp`, which is shared.
 */
export function defaultSpec(): OciSpec {
  const capabilities: string[] = [...DEFAULT_CAPABILITIES];
  return {
    ociVersion: OCI_VERSION,
    process: {
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, permitted: [...capabilities], effective: [...capabilities] },
      oomScoreAdj: 0,
    },
    root: { path: 'rootfs' },
    mounts: defaultMounts(),
    linux: {
      namespaces: [{ type: 'mount' }, { type: 'network' }, { type: 'uts' }, { type: 'pid' }, { type: 'ipc' }, { type: 'cgroup' }],
      resources: { devices: defaultDeviceRules() },
      seccomp: defaultSeccompProfile({ capabilities, architecture: hostArchitecture(), kernel: release() }),
      maskedPaths: [...maskedPaths()],
      readonlyPaths: [...READONLY_PATHS],
    },
  };
}
