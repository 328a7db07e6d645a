import type { NamespaceType } from '#spec/oci-runtime.ts';
import type { SpecBuilder } from './spec-draft.ts';

/** New namespaces, joined ones, and those that the host's are kept for; host names and sysctls go with them. */
export const buildNamespaces: SpecBuilder = ({ spec, sources }, { doc, join, networkSysctls }) => {
  const { config, hostConfig } = doc;
  const namespaces: { type: NamespaceType; path?: string }[] = [];
  const add = (type: NamespaceType, mode: string | undefined, { flag, path }: { flag: string; path?: string | undefined }): void => {
    if (mode === 'host') return;
    if (path !== undefined) sources.set(`/linux/namespaces/${namespaces.length}`, `${flag} ${mode}`);
    namespaces.push(path === undefined ? { type } : { type, path });
  };
  add('mount', '', { flag: '' });
  add('network', hostConfig.NetworkMode, { flag: '--network', path: join.network });
  add('uts', hostConfig.UTSMode, { flag: '--uts' });
  add('pid', hostConfig.PidMode, { flag: '--pid', path: join.pid });
  add('ipc', hostConfig.IpcMode, { flag: '--ipc', path: join.ipc });
  add('cgroup', hostConfig.CgroupnsMode, { flag: '--cgroupns' });
  spec.linux.namespaces = namespaces;

  if (hostConfig.UTSMode !== 'host') {
    if (config.Hostname) spec.hostname = config.Hostname;
    if (config.Domainname) {
      spec.domainname = config.Domainname;
      sources.set('/domainname', `--domainname ${config.Domainname}`);
    }
  }
  const sysctl: Record<string, string> = { ...networkSysctls };
  if (join.network === undefined && hostConfig.NetworkMode !== 'host') {
    // As Docker: low ports and ping for every user, inside a network of the container's own.
    sysctl['net.ipv4.ip_unprivileged_port_start'] = '0';
    sysctl['net.ipv4.ping_group_range'] = '0 2147483647';
  }
  for (const [name, value] of Object.entries(hostConfig.Sysctls ?? {})) {
    sysctl[name] = value;
    sources.set(`/linux/sysctl/${name}`, `--sysctl ${name}=${value}`);
  }
  if (Object.keys(sysctl).length > 0) spec.linux.sysctl = sysctl;
};
