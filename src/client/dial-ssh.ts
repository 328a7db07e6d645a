import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { wireOverDuplex } from './dial-node.ts';
import type { HostAddress } from './host-address.ts';
import type { Wire } from './wire.ts';

/** A wire through `ssh … docker system dial-stdio`, as Docker's own client does. */
export async function dialSsh(address: Extract<HostAddress, { kind: 'ssh' }>): Promise<Wire> {
  const remote = address.socket === undefined ? ['docker', 'system', 'dial-stdio'] : ['docker', '-H', `unix://${address.socket}`, 'system', 'dial-stdio'];
  const args = ['-o', 'ConnectTimeout=30', '-T', ...(address.port === undefined ? [] : ['-p', address.port]), '--', address.destination, ...remote];
  const child = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < 8192) complaint += chunk.toString();
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new NaruError('unavailable', `cannot run ssh: ${error.message}`, { cause: error })));
  });
  const duplex = Duplex.from({ readable: child.stdout, writable: child.stdin } as unknown as NodeJS.ReadableStream);
  child.once('exit', (code) => {
    if (code !== 0 && code !== null) duplex.destroy(new NaruError('unavailable', `error during connect: ssh ${address.destination} exited with ${code}: ${complaint.trim()}`));
  });
  const wire = wireOverDuplex(duplex);
  return {
    ...wire,
    get listener() { return wire.listener; },
    set listener(listener) { wire.listener = listener; },
    destroy() {
      wire.destroy();
      child.kill();
    },
  };
}
