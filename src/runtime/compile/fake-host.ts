import type { TaskRequest } from '#core/tasks/port.ts';
import type { CompileHost } from './compile-host.ts';

/** For tests: a machine with cgroup v2 alone, a new overlay and every right. */
export const FAKE_HOST: CompileHost = {
  cgroups: {
    version: 2, hybrid: false, unifiedRoot: '/sys/fs/cgroup', cpus: '', mems: '', hugePageSizes: [],
    hierarchies: [{ name: 'cgroup', mountPoint: '/sys/fs/cgroup', unified: true, controllers: ['cpu', 'memory', 'pids'], options: [], aliases: [], own: '/', files: new Set(), filesComplete: false }],
  },
  overlayAppend: true, overlayDefaults: [], capabilities: (1n << 41n) - 1n, seccomp: true, apparmor: false, selinux: false, timeNamespace: true,
  hardLimits: undefined, oomScoreAdj: 0, minOomScoreAdj: -1000,
};

/** For tests: the smallest request, `change`d. */
export function fakeRequest(change?: (request: { -readonly [K in keyof TaskRequest]: TaskRequest[K] }) => void): TaskRequest {
  const request: { -readonly [K in keyof TaskRequest]: TaskRequest[K] } = {
    id: 'c1',
    spec: {
      ociVersion: '1.2.0',
      process: { user: { uid: 0, gid: 0 }, args: ['sh'], env: ['PATH=/usr/bin:/bin'], cwd: '/' },
      mounts: [],
      linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }], cgroupsPath: '/naru/c1' },
    },
    rootfs: { kind: 'overlay', lowers: ['/l/2', '/l/1'], upper: '/u', work: '/w', volatile: true },
    stateDir: '/run/c1', exitFile: '/data/c1/exit', durable: true, io: { mode: 'pipes', stdin: 'none' }, network: [], init: false,
  };
  change?.(request);
  return request;
}
