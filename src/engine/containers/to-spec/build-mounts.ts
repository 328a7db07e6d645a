import type { OciMount } from '#spec/oci-runtime.ts';
import { defaultMounts } from '#runtime/spec/default-spec.ts';
import { DEFAULT_SHM_SIZE } from '../create/default-host-config.ts';
import type { SpecBuilder, SpecInput } from './spec-draft.ts';

/** Docker's mounts with what the modes change. Privileged: sysfs and cgroups can be written. */
function baseMounts({ doc, sharedMemory, security }: SpecInput): OciMount[] {
  const { hostConfig } = doc;
  const mounts: OciMount[] = [];
  for (const mount of defaultMounts()) {
    const writable = hostConfig.Privileged === true || (mount.type === 'cgroup' && security.writableCgroups);
    const options = writable ? mount.options?.map((option) => (option === 'ro' ? 'rw' : option)) : mount.options;
    if (mount.destination !== '/dev/shm') mounts.push(options === undefined ? mount : { ...mount, options });
    else if (sharedMemory !== undefined) mounts.push({ destination: '/dev/shm', type: 'bind', source: sharedMemory.source, options: ['bind', 'rprivate', 'nosuid', 'noexec', 'nodev', ...sharedMemory.options] });
    else if (hostConfig.IpcMode !== 'none') {
      mounts.push({ ...mount, options: [...(options ?? []).filter((option) => !option.startsWith('size=')), `size=${hostConfig.ShmSize ?? DEFAULT_SHM_SIZE}`] });
    }
  }
  return mounts;
}

const depth = (path: string): number => path.split('/').filter((part) => part !== '').length;

/** The defaults, without those that the user mounts over; then the user's and the /etc files, parents before children. */
export const buildMounts: SpecBuilder = ({ spec, sources }, input) => {
  const { doc, userMounts, files } = input;
  const { hostConfig } = doc;
  const taken = new Set(userMounts.map(({ mount }) => mount.destination));
  const defaults = baseMounts(input).filter(({ destination }) => !taken.has(destination) && !(taken.has('/dev') && destination.startsWith('/dev/')) && !(taken.has('/sys') && destination.startsWith('/sys/')));
  const later: { mount: OciMount; flag: string | undefined }[] = [...userMounts];
  if (files !== undefined) {
    const readOnly = hostConfig.ReadonlyRootfs === true ? ['ro'] : [];
    for (const [destination, source] of [['/etc/resolv.conf', files.resolvConf], ['/etc/hostname', files.hostname], ['/etc/hosts', files.hosts]] as const) {
      if (!taken.has(destination)) later.push({ mount: { destination, type: 'bind', source, options: ['rbind', 'rprivate', ...readOnly] }, flag: undefined });
    }
  }
  later.sort((a, b) => depth(a.mount.destination) - depth(b.mount.destination));
  for (const mount of defaults) {
    if (mount.destination === '/dev/shm' && hostConfig.ShmSize !== DEFAULT_SHM_SIZE && hostConfig.ShmSize !== undefined) sources.set(`/mounts/${spec.mounts.length}`, `--shm-size ${hostConfig.ShmSize}`);
    spec.mounts.push(mount);
  }
  for (const { mount, flag } of later) {
    if (flag !== undefined) sources.set(`/mounts/${spec.mounts.length}`, flag);
    spec.mounts.push(mount);
  }
  // A mount that must reach the host's tree, or be reached by it, needs a root that lets it through.
  const propagations = userMounts.flatMap(({ mount }) => mount.options ?? []);
  if (propagations.some((option) => option === 'shared' || option === 'rshared')) spec.linux.rootfsPropagation = 'shared';
  else if (propagations.some((option) => option === 'slave' || option === 'rslave')) spec.linux.rootfsPropagation = 'rslave';
  if (hostConfig.ReadonlyRootfs === true) {
    spec.root = { path: 'rootfs', readonly: true };
    sources.set('/root/readonly', '--read-only');
  }
};
