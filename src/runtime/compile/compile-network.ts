import type { NetlinkStep } from '#spec/network-steps.ts';
import { NaruError } from '#spec/errors.ts';
import type { Section } from '#runtime/plan/ops.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

/** Patch kinds of the operation `netlink`. */
const PATCH = { slot: 1, ifindex: 2, childPid: 3 } as const;

/** parent: the steps in the host's network namespace, while the child waits. */
export function addHostNetwork(plan: PlanBuilder, steps: readonly NetlinkStep[]): void {
  const host = steps.filter((step) => step.where === 'host');
  const moves = host.some((step) => step.patches.some((p) => p.kind === 'child-netns-fd'));
  if (moves) plan.add('parent', 'child_ns', { slot: SLOT.childNet, name: 'net' }, { why: 'the child\'s network namespace', pointer: '/linux/namespaces' });
  for (const step of host) addNetlink(plan, 'parent', step);
}

/** child: the steps inside. */
export function addContainerNetwork(plan: PlanBuilder, steps: readonly NetlinkStep[]): void {
  for (const step of steps) {
    if (step.where !== 'container') continue;
    if (step.patches.some((p) => p.kind !== 'ifindex')) throw new NaruError('internal', `network step "${step.why}": only names can be filled in inside the container`);
    addNetlink(plan, 'child', step);
  }
}

function addNetlink(plan: PlanBuilder, section: Section, step: NetlinkStep): void {
  const names: string[] = [];
  const patches: number[] = [];
  for (const patch of step.patches) {
    if (patch.kind === 'child-netns-fd') {
      patches.push(PATCH.slot, patch.offset, SLOT.childNet);
    } else if (patch.kind === 'ifindex') {
      let at = names.indexOf(patch.name);
      if (at < 0) at = names.push(patch.name) - 1;
      patches.push(PATCH.ifindex, patch.offset, at);
    } else {
      patches.push(PATCH.childPid, patch.offset, 0);
    }
  }
  plan.add(section, 'netlink', { protocol: step.protocol, acks: step.acks, batch: step.batch, patches, names }, { why: step.why, ...(step.source !== undefined && { pointer: step.source }) });
}
