import type { NetlinkStep, NetworkStep, SendStep, SocketStep } from '#spec/network-steps.ts';
import { NaruError } from '#spec/errors.ts';
import type { Section } from '#runtime/plan/ops.ts';
import { ANY_ERRNO } from '#runtime/plan/plan.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT, SOCKET_SLOTS } from './slots.ts';

/** Patch kinds of the operation `netlink`. */
const PATCH = { slot: 1, ifindex: 2, childPid: 3, port: 4 } as const;

/** Names of sockets that the steps before have made, in the order of their slots. */
type SocketNames = string[];

/** parent: the steps in the host's network namespace, while the child waits. */
export function addHostNetwork(plan: PlanBuilder, steps: readonly NetworkStep[]): void {
  const host = steps.filter((step): step is NetlinkStep => step.where === 'host');
  const moves = host.some((step) => step.patches.some((p) => p.kind === 'child-netns-fd'));
  if (moves) plan.add('parent', 'child_ns', { slot: SLOT.childNet, name: 'net' }, { why: 'the child\'s network namespace', pointer: '/linux/namespaces' });
  for (const step of host) addNetlink(plan, 'parent', { step, sockets: [] });
}

/** child: the steps inside. */
export function addContainerNetwork(plan: PlanBuilder, steps: readonly NetworkStep[]): void {
  const sockets: SocketNames = [];
  for (const step of steps) {
    if (step.where !== 'container') continue;
    if (step.kind === 'socket') addSocket(plan, step, sockets);
    else if (step.kind === 'send') addSend(plan, step, sockets);
    else {
      if (step.patches.some((p) => p.kind !== 'ifindex' && p.kind !== 'port')) throw new NaruError('internal', `network step "${step.why}": only names and ports can be filled in inside the container`);
      addNetlink(plan, 'child', { step, sockets });
    }
  }
}

function addSocket(plan: PlanBuilder, step: SocketStep, sockets: SocketNames): void {
  const slot = SOCKET_SLOTS.first + sockets.push(step.name) - 1;
  if (slot > SOCKET_SLOTS.last) throw new NaruError('internal', `network step "${step.why}": more sockets than a plan has room for`);
  plan.add('child', 'socket', { slot, domain: step.domain, type: step.type, address: step.address, backlog: step.backlog }, reason(step));
}

function addSend(plan: PlanBuilder, step: SendStep, sockets: SocketNames): void {
  const slots = step.sockets.map((name) => slotOf(name, sockets, step.why));
  plan.add('child', 'send_fds', { path: step.path, slots, data: step.data }, { ...reason(step), ...(step.optional && { tolerate: [ANY_ERRNO] }) });
}

function slotOf(name: string, sockets: SocketNames, why: string): number {
  const at = sockets.indexOf(name);
  if (at < 0) throw new NaruError('internal', `network step "${why}": no step before it makes the socket ${name}`);
  return SOCKET_SLOTS.first + at;
}

const reason = (step: NetworkStep): { why: string; pointer?: string } => ({ why: step.why, ...(step.source !== undefined && { pointer: step.source }) });

function addNetlink(plan: PlanBuilder, section: Section, { step, sockets }: { step: NetlinkStep; sockets: SocketNames }): void {
  const names: string[] = [];
  const patches: number[] = [];
  for (const patch of step.patches) {
    if (patch.kind === 'child-netns-fd') {
      patches.push(PATCH.slot, patch.offset, SLOT.childNet);
    } else if (patch.kind === 'ifindex') {
      let at = names.indexOf(patch.name);
      if (at < 0) at = names.push(patch.name) - 1;
      patches.push(PATCH.ifindex, patch.offset, at);
    } else if (patch.kind === 'port') {
      patches.push(PATCH.port, patch.offset, slotOf(patch.socket, sockets, step.why));
    } else {
      patches.push(PATCH.childPid, patch.offset, 0);
    }
  }
  plan.add(section, 'netlink', { protocol: step.protocol, acks: step.acks, batch: step.batch, patches, names }, reason(step));
}
