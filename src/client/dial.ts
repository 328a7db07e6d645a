import { bunSockets, dialBunUnix } from './dial-bun.ts';
import type { TlsOptions } from './dial-node.ts';
import type { HostAddress } from './host-address.ts';
import type { Dial } from './wire.ts';

/** The way to reach `address`. What it needs is loaded when the first wire is opened. */
export function dialer(address: HostAddress, tls: TlsOptions | undefined): Dial {
  if (address.kind === 'ssh') return async () => (await import('./dial-ssh.ts')).dialSsh(address);
  const bun = bunSockets;
  if (bun !== undefined && address.kind === 'unix') return () => dialBunUnix(bun, address.path);
  return async () => (await import('./dial-node.ts')).dialNode(address, tls);
}
