import { NaruError } from '#spec/errors.ts';
import type { NetlinkStep } from '#spec/network-steps.ts';
import type { NetworkNamespace } from '#sys/network-namespace.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { findLink } from './host-network.ts';

/** Do for a container that runs what its shim does with the steps of one that starts. */
export function runSteps(steps: readonly NetlinkStep[], host: NetlinkSocket, namespace: NetworkNamespace): void {
  for (const step of steps) {
    if (step.where === 'host') {
      send(step, host, namespace);
      continue;
    }
    // A socket stays in the namespace that it was made in.
    const socket = namespace.within(() => new NetlinkSocket(step.protocol));
    try {
      send(step, socket, namespace);
    } finally {
      socket.close();
    }
  }
}

function send(step: NetlinkStep, socket: NetlinkSocket, namespace: NetworkNamespace): void {
  const bytes = step.batch.slice();
  const view = new DataView(bytes.buffer);
  for (const patch of step.patches) {
    if (patch.kind === 'child-netns-fd') view.setUint32(patch.offset, namespace.fd, true);
    else if (patch.kind === 'ifindex') {
      const link = findLink(socket, patch.name);
      if (link === undefined) throw new NaruError('not-found', `${step.why}: there is no interface ${patch.name}`);
      view.setUint32(patch.offset, link.index, true);
    }
  }
  socket.exchange(bytes, step.acks, () => step.why);
}
