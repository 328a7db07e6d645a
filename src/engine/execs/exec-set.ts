import { NaruError } from '#spec/errors.ts';
import type { Exec } from './exec.ts';
import { MadeAhead } from './made-ahead.ts';

/** A finished exec can be inspected for so long, in milliseconds. */
export const KEEP_FINISHED_MS = 5 * 60_000;
/** One that nobody started. */
export const KEEP_UNSTARTED_MS = 60 * 60_000;
/** Execs of one container at a time, finished ones included. */
export const EXEC_LIMIT = 4096;

/** All execs by id. They live in memory only: an exec ends with its container, and what a client could ask ends with the daemon. */
export class ExecSet {
  readonly ahead = new MadeAhead();
  readonly #byId = new Map<string, { exec: Exec; expires: number }>();
  readonly #byContainer = new Map<string, Set<Exec>>();
  #nextSweep = 0;

  add(exec: Exec): void {
    this.#sweep();
    let own = this.#byContainer.get(exec.containerId);
    if (own === undefined) this.#byContainer.set(exec.containerId, (own = new Set()));
    if (own.size >= EXEC_LIMIT) throw new NaruError('unavailable', `too many execs in container ${exec.containerId}: ${own.size}`, { hint: 'start or wait for those that exist' });
    own.add(exec);
    this.#byId.set(exec.id, { exec, expires: performance.now() + KEEP_UNSTARTED_MS });
  }

  /** By id or unambiguous prefix. Throws not-found in Docker's words. */
  find(id: string): Exec {
    const exact = this.#byId.get(id);
    if (exact !== undefined) return exact.exec;
    const matches = /^[0-9a-f]{4,63}$/.test(id) ? [...this.#byId.values()].filter(({ exec }) => exec.id.startsWith(id)) : [];
    if (matches.length === 1) return matches[0]!.exec;
    throw new NaruError('not-found', `No such exec instance: ${id}`);
  }

  /** Ids that inspect lists: those not finished; null when there is none. */
  idsOf(containerId: string): string[] | null {
    const own = this.#byContainer.get(containerId);
    if (own === undefined) return null;
    const ids = [...own].filter((exec) => exec.state !== 'exited').map((exec) => exec.id);
    return ids.length === 0 ? null : ids;
  }

  finished(exec: Exec, exitCode: number): void {
    exec.state = 'exited';
    exec.exitCode = exitCode;
    exec.pid = 0;
    exec.task = undefined;
    const entry = this.#byId.get(exec.id);
    if (entry !== undefined) entry.expires = performance.now() + KEEP_FINISHED_MS;
  }

  /** Its processes died with it: those that nobody told us of yet count as killed; those never started can start no more. */
  containerExited(containerId: string): void {
    this.ahead.drop(containerId);
    for (const exec of this.#byContainer.get(containerId) ?? []) if (exec.state === 'created') this.#drop(exec);
  }

  forgetContainer(containerId: string): void {
    this.ahead.drop(containerId);
    for (const exec of this.#byContainer.get(containerId) ?? []) this.#byId.delete(exec.id);
    this.#byContainer.delete(containerId);
  }

  #drop(exec: Exec): void {
    this.#byId.delete(exec.id);
    const own = this.#byContainer.get(exec.containerId);
    own?.delete(exec);
    if (own?.size === 0) this.#byContainer.delete(exec.containerId);
  }

  #sweep(): void {
    const now = performance.now();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + 30_000;
    for (const { exec, expires } of [...this.#byId.values()]) {
      if (expires < now && (exec.state === 'exited' || exec.state === 'created')) this.#drop(exec);
    }
  }
}
