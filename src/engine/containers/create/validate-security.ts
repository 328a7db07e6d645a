import { NaruError } from '#spec/errors.ts';
import type { HostConfig } from '#spec/engine-api.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

export interface SecurityOptions {
  /** Undefined: the default profile. Otherwise `unconfined` or a profile's JSON. */
  readonly seccomp: string | undefined;
  readonly noNewPrivileges: boolean;
  /** `systempaths=unconfined`: nothing is masked or read-only. */
  readonly unconfinedPaths: boolean;
  /** `writable-cgroups=true`: its own cgroups can be written from inside. */
  readonly writableCgroups: boolean;
}

/** `--security-opt` values. Throws invalid for what is unknown, unsupported for a security module that is not there. */
export function parseSecurityOptions(options: readonly string[] | null | undefined): SecurityOptions {
  let seccomp: string | undefined;
  let noNewPrivileges = false;
  let unconfinedPaths = false;
  let writableCgroups = false;
  for (const option of options ?? []) {
    if (option === 'no-new-privileges') {
      noNewPrivileges = true;
      continue;
    }
    if (option === 'disable' || option === 'label=disable' || option === 'label:disable') continue;
    const at = option.search(/[=:]/);
    if (at < 0) throw invalid(`invalid --security-opt 1: ${JSON.stringify(option)}`);
    const value = option.slice(at + 1);
    switch (option.slice(0, at)) {
      case 'label':
        break; // SELinux labels mean nothing where there is no SELinux, as with Docker
      case 'seccomp':
        seccomp = value === 'builtin' ? undefined : value;
        if (seccomp !== undefined && seccomp !== 'unconfined') checkProfile(seccomp);
        break;
      case 'no-new-privileges':
        if (!['true', 'false'].includes(value)) throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
        noNewPrivileges = value === 'true';
        break;
      case 'writable-cgroups':
        if (!['true', 'false'].includes(value)) throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
        writableCgroups = value === 'true';
        break;
      case 'systempaths':
        if (value !== 'unconfined') throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
        unconfinedPaths = true;
        break;
      case 'apparmor':
        if (!['unconfined', ''].includes(value)) throw new NaruError('unsupported', `apparmor profile ${JSON.stringify(value)}: AppArmor is not enabled on this engine`);
        break;
      default:
        throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
    }
  }
  return { seccomp, noNewPrivileges, unconfinedPaths, writableCgroups };
}

const MAXIMUM_PROFILE = 4 * 1024 * 1024;

function checkProfile(text: string): void {
  if (text.length > MAXIMUM_PROFILE) throw invalid('seccomp profile is too large');
  try {
    const profile: unknown = JSON.parse(text);
    if (profile === null || typeof profile !== 'object' || Array.isArray(profile)) throw new Error('not an object');
  } catch (cause) {
    throw new NaruError('invalid', `Decoding seccomp profile failed: ${(cause as Error).message}`, { cause, hint: 'give the path of a JSON profile, or unconfined' });
  }
}

/** `--device-cgroup-rule`: `c 1:3 rwm`. Throws invalid. */
export function parseDeviceRule(rule: string): { type: 'a' | 'b' | 'c'; major: number | undefined; minor: number | undefined; access: string } {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(rule);
  if (match === null) throw invalid(`invalid device cgroup rule format: '${rule}'`);
  const number = (text: string): number | undefined => (text === '*' ? undefined : Number(text));
  return { type: match[1] as 'a', major: number(match[2]!), minor: number(match[3]!), access: match[4]! };
}

/** Devices' permissions and paths. Throws invalid. */
export function validateDevices(host: HostConfig): void {
  for (const device of host.Devices ?? []) {
    if (!/^[rwm]{0,3}$/.test(device.CgroupPermissions ?? '')) throw invalid(`invalid device mode: ${device.CgroupPermissions}`);
    if (!device.PathOnHost?.startsWith('/')) throw invalid(`bad format for path: ${device.PathOnHost}`);
    if (device.PathInContainer && !device.PathInContainer.startsWith('/')) throw invalid(`${device.PathInContainer} is not an absolute path`);
  }
  for (const rule of host.DeviceCgroupRules ?? []) parseDeviceRule(rule);
}
