import { closeSync, openSync } from 'node:fs';
import type { Plan } from '#runtime/plan/plan.ts';
import { RunningTask } from '#runtime/driver/running-task.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { dupDescriptor } from '#sys/descriptors.ts';
import { launchHelper } from './launch-helper.ts';

/** The descriptors of one request, in slots 0..: the caller's three streams, sockets of ours, then --preserve-fds. */
export class RequestSlots {
  readonly #descriptors: number[];
  readonly #own: number[];

  /** `terminal`: the program has streams of its own, and whoever reads the caller's must not wait for its end. */
  constructor({ terminal }: { readonly terminal: boolean }) {
    // (The number 0 in a list of streams to hand on is taken for "none given" by Bun.)
    const first = terminal ? openSync('/dev/null', 'r+') : dupDescriptor(0);
    this.#own = [first];
    this.#descriptors = terminal ? [first, first, first] : [first, 1, 2];
  }

  /** Takes the descriptor; returns its slot. */
  add(fd: number): number {
    this.#own.push(fd);
    return this.#descriptors.push(fd) - 1;
  }

  /** --preserve-fds: the caller's descriptors 3.. */
  preserve(count: number | undefined): { slot: number; count: number } | undefined {
    if (count === undefined || count === 0) return undefined;
    const slot = this.#descriptors.length;
    for (let fd = 3; fd < 3 + count; fd++) this.#descriptors.push(fd);
    return { slot, count };
  }

  get descriptors(): readonly number[] {
    return this.#descriptors;
  }

  close(): void {
    for (const fd of this.#own) closeSync(fd);
    this.#own.length = 0;
  }
}

export interface RunRequest {
  readonly id: string;
  readonly spec: OciSpec;
  readonly verb: 'create' | 'exec';
  readonly plan: Plan;
  readonly helper: Uint8Array;
  readonly slots: RequestSlots;
  /** The shim does not stay: that it has gone says nothing about the process. */
  readonly leaves: boolean;
}

/** A task over a helper of its own. */
export const runtimeTask = ({ id, spec, verb, plan, helper, slots, leaves }: RunRequest): RunningTask => new RunningTask({
  id, spec, verb: verb === 'create' ? 'runtime create' : 'runtime exec',
  compile: () => plan,
  spawn: async (all) => launchHelper(helper, all),
  descriptors: slots.descriptors,
  exec: () => {
    throw new NaruError('unsupported', 'exec: another command');
  },
  lostExit: () => (leaves ? { code: 0, signal: 0, oomKills: 0, at: 0n } : undefined),
});
