import { NaruError } from '#spec/errors.ts';
import type { HostConfig } from '#spec/engine-api.ts';
import { networkOf } from './validate-modes.ts';

const IPC = new Set([
  'kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced',
]);

/** Only kernel parameters that belong to a namespace of the container's own may be set, and never by a name that leads elsewhere
 *  (CVE-2022-0811: a value or name that smuggles another setting). Throws invalid. */
export function validateSysctls(host: HostConfig): void {
  for (const [name, value] of Object.entries(host.Sysctls ?? {})) {
    // The kernel takes both separators; the dotted form is compared.
    const dotted = name.includes('/') && !name.includes('.') ? name.replaceAll('/', '.') : name;
    if (!/^[a-zA-Z0-9_./-]+$/.test(name) || dotted.includes('..') || name.startsWith('/') || name.endsWith('/')) {
      throw new NaruError('invalid', `invalid sysctl name: ${JSON.stringify(name)}`);
    }
    if (typeof value !== 'string' || /[\0\n]/.test(value)) throw new NaruError('invalid', `invalid value for sysctl ${name}`);
    const ipc = IPC.has(dotted) || dotted.startsWith('fs.mqueue.');
    const net = dotted.startsWith('net.');
    if (!ipc && !net) throw new NaruError('invalid', `sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`);
    if (net && networkOf(host) === 'host') throw new NaruError('invalid', `sysctl ${JSON.stringify(name)} not allowed in host network namespace`);
    if (ipc && host.IpcMode === 'host') throw new NaruError('invalid', `sysctl ${JSON.stringify(name)} not allowed in host ipc namespace`);
  }
}
