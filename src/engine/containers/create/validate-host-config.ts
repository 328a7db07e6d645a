import { NaruError } from '#spec/errors.ts';
import type { HostConfig, RestartPolicy } from '#spec/engine-api.ts';
import { portRequests } from './ports.ts';
import { parseSecurityOptions, validateDevices } from './validate-security.ts';
import { validateSysctls } from './validate-sysctls.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

export const RUNTIMES: readonly string[] = ['naru', 'runc', 'io.containerd.runc.v2'];

/** What may follow an unhealthy verdict. */
export const HEALTH_ACTIONS: readonly string[] = ['none', 'kill', 'restart', 'stop'];
/** The same for clients that have no flag for it (Docker's, Compose). */
export const HEALTH_ACTION_LABEL = 'naru.health-on-failure';

/** The machine-dependent part of a request (limits and mounts have their own checks). Throws invalid in Docker's words. */
export function validateHostConfig(host: HostConfig): void {
  if (host.RestartPolicy !== undefined) validateRestartPolicy(host.RestartPolicy);
  if (host.AutoRemove === true && !['', 'no'].includes(host.RestartPolicy?.Name ?? '')) {
    throw invalid("can't create 'AutoRemove' container with restart policy");
  }
  for (const entry of host.ExtraHosts ?? []) checkExtraHost(entry);
  portRequests(host.PortBindings, [], false);
  parseSecurityOptions(host.SecurityOpt);
  validateSysctls(host);
  validateDevices(host);
  if ((host.ShmSize ?? 0) < 0) throw invalid('SHM size can not be less than 0');
  const score = host.OomScoreAdj ?? 0;
  if (!Number.isInteger(score) || score < -1000 || score > 1000) throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  if (host.Isolation && host.Isolation !== 'default') throw invalid(`invalid isolation '${host.Isolation}' on linux`);
  if (host.Runtime && !RUNTIMES.includes(host.Runtime)) throw invalid(`unknown or invalid runtime name: ${host.Runtime}`);
  if (host.Annotations && Object.hasOwn(host.Annotations, '')) throw invalid('invalid Annotations: the empty string is not permitted as an annotation key');
  if (Object.keys(host.StorageOpt ?? {}).length > 0) {
    const unknown = Object.keys(host.StorageOpt!).find((key) => key.toLowerCase() !== 'size');
    if (unknown !== undefined) throw invalid(`Unknown option ${unknown}`);
    throw invalid("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  }
  if (!HEALTH_ACTIONS.includes(host['naru.HealthOnFailure'] ?? 'none')) {
    throw invalid(`invalid action on health failure: ${host['naru.HealthOnFailure']}: use one of ${HEALTH_ACTIONS.join(', ')}`);
  }
  for (const group of host.GroupAdd ?? []) if (group === '' || /[\0:\n]/.test(group)) throw invalid(`invalid group: ${JSON.stringify(group)}`);
  for (const server of host.Dns ?? []) if (!isAddress(server)) throw invalid(`${server} is not an ip address`);
  if (host.CgroupParent?.split('/').includes('..')) throw invalid(`invalid cgroup parent: ${host.CgroupParent}`);
}

/** Throws invalid in Docker's words. */
export function validateRestartPolicy({ Name = '', MaximumRetryCount = 0 }: RestartPolicy): void {
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(Name)) {
    throw invalid(`invalid restart policy: unknown policy '${Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
  if (MaximumRetryCount < 0) throw invalid(`invalid restart policy: maximum retry count cannot be negative`);
  if (MaximumRetryCount !== 0 && Name !== 'on-failure') {
    throw invalid(`invalid restart policy: maximum retry count can only be used with 'on-failure'`);
  }
}

/** An IPv4 or IPv6 address, with or without a zone. */
export const isAddress = (text: string): boolean => /^(\d{1,3}\.){3}\d{1,3}$/.test(text) ? text.split('.').every((part) => Number(part) < 256) : /^[0-9a-fA-F:]+(%[\w.]+)?$/.test(text) && text.includes(':');

function checkExtraHost(entry: string): void {
  const at = entry.indexOf(':');
  const name = entry.slice(0, at);
  if (at <= 0 || /[\s\0]/.test(name)) throw invalid(`bad format for add-host: ${JSON.stringify(entry)}`);
  const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (address !== 'host-gateway' && !isAddress(address)) throw invalid(`invalid IP address in add-host: ${JSON.stringify(address)}`);
}
