import type { AttachEnd, AttachRequest, ExecRequest, ExitStatus, PreparedExec, PreparedTask, Task } from '#core/tasks/port.ts';
import { type OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, pidfdOfLiving, pidfdSignal, sealedMemfd, socketpair } from '#sys/descriptors.ts';
import { ERRNO } from '#sys/errno.ts';
import { currentTrace, span, type Trace } from '#sys/trace.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import type { Plan } from '#runtime/plan/plan.ts';
import { exitCode } from './exit-record.ts';
import { type ShimMessage, TO_SHIM } from './messages.ts';
import { ShimConnection } from './shim-connection.ts';
import { startError, type StartVerb } from './start-errors.ts';
import { type TaskEvent, type TaskState, transition } from './task-states.ts';
import { causeOf } from '#runtime/plan/print.ts';

/** A start includes hooks, which may have their own limits; beyond this the shim is taken for hung. */
const START_DEADLINE_MS = 300_000;
/** What was said is heard in a turn of the event loop or two; beyond this something else is wrong. */
const CATCH_UP_MS = 1000;
const SIGKILL = 9;

export interface Launch {
  readonly id: string;
  readonly spec: OciSpec;
  readonly verb: StartVerb;
  /** Compiled only now: at `start`. */
  compile(): Plan;
  /** For what can be made before it is started: undefined when this cannot. */
  compileAhead?(): Plan | undefined;
  /** Ask for a shim: the spawner, or a container's shim. The descriptors (those for slots 0.. last) stay the caller's. */
  spawn(descriptors: readonly number[]): Promise<void>;
  /** For the plan's slots 0... */
  readonly descriptors?: readonly number[];
  /** The task that exec starts inside of `task`. */
  exec(task: RunningTask, request: ExecRequest): PreparedExec;
  /** What is known of the end when the shim died without a word. */
  lostExit(): ExitStatus | undefined;
}

/** A task from its preparation to its end, over one shim connection. */
export class RunningTask implements Task, PreparedTask {
  readonly id: string;
  pid = 0;
  startedAt = 0n;
  wasGone = false;
  readonly exited: Promise<ExitStatus>;
  readonly #launch: Launch;
  readonly #conn: ShimConnection;
  /** The shim's end, until it was sent. */
  #peer: number;
  #state: TaskState = 'prepared';
  #pidfd = -1;
  #plan: Plan | undefined;
  #trace: Trace | undefined;
  readonly #created = Promise.withResolvers<void>();
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<ExitStatus>();
  readonly #oomListeners: ((kills: number) => void)[] = [];

  constructor(launch: Launch, connection?: { fd: number }) {
    this.#launch = launch;
    this.id = launch.id;
    this.exited = this.#exited.promise;
    this.#started.promise.catch(() => {});
    let fd: number;
    [fd, this.#peer] = connection === undefined ? socketpair('seqpacket') : [connection.fd, -1];
    this.#conn = new ShimConnection(fd, { message: (m) => this.#receive(m), close: () => this.#lost() });
  }

  /** Execute the plan. Resolves when the program runs. */
  start(): Promise<Task> {
    return this.#state === 'waiting' ? this.#goOn() : this.#execute(this.#started.promise);
  }

  /** Do all of `start` that nobody can see. Whatever goes wrong, `ahead` is false then, and `start` of another says what it is. */
  async makeAhead(): Promise<void> {
    if (this.#state !== 'prepared') return;
    try {
      const plan = this.#launch.compileAhead?.();
      if (plan === undefined) return;
      this.#plan = plan;
      this.#move('ahead');
      await this.#spawn(encodePlan(plan));
    } catch {
      this.abandon();
    }
  }

  get ahead(): boolean {
    // What it says before it is asked is that it could not, or had to go.
    return this.#state === 'waiting' && !this.#conn.unheard();
  }

  async #goOn(): Promise<Task> {
    this.#move('start');
    try {
      if (!this.#conn.send(TO_SHIM.start)) {
        this.wasGone = true;
        this.#lost();
      }
      await this.#withDeadline(this.#started.promise);
      return this;
    } catch (error) {
      this.#move('failed');
      this.#conn.close();
      throw error;
    }
  }

  /** Execute a plan that has an `await`, up to there (OCI create). */
  create(): Promise<Task> {
    return this.#execute(Promise.race([this.#created.promise, this.#started.promise]));
  }

  /** Let a created task's program begin (OCI start). Resolves when it runs. */
  async release(): Promise<Task> {
    if (this.#state !== 'created') throw new NaruError('conflict', `cannot start ${this.id}: it is ${this.#state}`);
    this.#conn.send(TO_SHIM.start);
    await this.#withDeadline(this.#started.promise);
    return this;
  }

  async #execute(until: Promise<void>): Promise<Task> {
    if (this.#state !== 'prepared') throw new NaruError('conflict', `task ${this.id} is ${this.#state}`);
    this.#trace = currentTrace();
    try {
      const plan = span('runtime', 'compile config.json', () => this.#launch.compile());
      this.#plan = plan;
      const bytes = span('runtime', 'encode the plan', () => encodePlan(plan, { trace: this.#trace !== undefined }));
      this.#move('spawn');
      await this.#spawn(bytes);
      await this.#withDeadline(until);
      return this;
    } catch (error) {
      this.#move('failed');
      this.#conn.close();
      closeQuietly(this.#peer);
      this.#peer = -1;
      throw error;
    }
  }

  async #spawn(plan: Uint8Array): Promise<void> {
    const memory = sealedMemfd('naru-plan', plan);
    try {
      await this.#launch.spawn([this.#peer, memory, ...(this.#launch.descriptors ?? [])]);
    } finally {
      closeQuietly(memory);
      closeQuietly(this.#peer);
      this.#peer = -1;
    }
    // The helper is at work meanwhile: what it says waits in the socket.
    await this.#conn.listen();
  }

  /** A descriptor of its first process, which stays this task's; -1 when it is not known to run. */
  get pidfd(): number {
    return this.#pidfd;
  }

  /** Take up a task that runs already. Resolves with how it is. */
  async resume(deadlineMs: number): Promise<'running' | ExitStatus | undefined> {
    this.#move('spawn');
    await this.#conn.listen();
    if (!this.#conn.send(TO_SHIM.subscribe)) return undefined;
    const timer = Promise.withResolvers<undefined>();
    const handle = setTimeout(() => timer.resolve(undefined), deadlineMs);
    const alive = Promise.race([this.#created.promise, this.#started.promise]);
    const known = await Promise.race([alive.then(() => 'running' as const, () => undefined), this.#exited.promise, timer.promise]);
    clearTimeout(handle);
    if (known === undefined) this.#conn.close();
    // An ended shim says both in one go: the second word counts.
    if (known === 'running') await Promise.resolve();
    return (this.#state as TaskState) === 'exited' ? this.#exited.promise : known;
  }

  abandon(): void {
    if (this.#move('abandon') === undefined) return;
    this.#conn.close();
    closeQuietly(this.#peer);
    this.#peer = -1;
  }

  attach(request: AttachRequest): Promise<{ readonly ended: Promise<AttachEnd> }> {
    return this.#conn.attach(request, this.#state === 'running' || this.#state === 'created');
  }

  resize(rows: number, columns: number): void {
    this.#conn.send(TO_SHIM.resize, [rows, columns]);
  }

  async caughtUp(): Promise<void> {
    const deadline = performance.now() + CATCH_UP_MS;
    if (!this.#conn.unheard()) return;
    // Once more after the last message: by then its consequences are drawn.
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#conn.unheard() && performance.now() < deadline);
  }

  signal(signal: number): boolean {
    if (this.#state !== 'running' && this.#state !== 'created') return false;
    // The shim's own pidfd is as safe; ours is there so that a stopped shim does not matter.
    return this.#pidfd >= 0 ? pidfdSignal(this.#pidfd, signal) : this.#conn.send(TO_SHIM.signal, [signal]);
  }

  closeStdin(): void {
    this.#conn.send(TO_SHIM.closeStdin);
  }

  onOom(listener: (kills: number) => void): void {
    this.#oomListeners.push(listener);
  }

  exec(request: ExecRequest): PreparedExec {
    return this.#launch.exec(this, request);
  }

  /** Ask this task's shim for another one (exec). */
  async spawnInside(descriptors: readonly number[]): Promise<void> {
    if (this.#state !== 'running' || !this.#conn.send(TO_SHIM.spawn, [], descriptors)) {
      throw new NaruError('conflict', `container ${this.id} is not running`);
    }
  }

  #move(event: TaskEvent): TaskState | undefined {
    const next = transition(this.#state, event);
    if (next !== undefined) this.#state = next;
    return next;
  }

  #receive(message: ShimMessage): void {
    switch (message.type) {
      case 'created':
        if (this.#move('created') === undefined) return;
        this.pid = message.pid;
        this.#created.resolve();
        return;
      case 'started':
        if (this.#move('started') === undefined) return;
        this.pid = message.pid;
        this.startedAt = message.at;
        this.#pidfd = pidfdOfLiving(message.pid); // -1: its exit is on the way
        if (this.#trace === undefined) this.#plan = undefined; // a hundred kilobytes, for errors of the start and for traces
        this.#started.resolve();
        return;
      case 'failed':
        if (this.#move('failed') === undefined) return;
        this.wasGone = message.errno === ERRNO.ECHILD && this.#plan?.ops[message.op]?.name === 'await';
        this.#started.reject(startError(this.#plan ?? { ops: [] }, message, { spec: this.#launch.spec, verb: this.#launch.verb }));
        return;
      case 'exited':
        // Of a resumed task it may be the first word.
        if (this.#state === 'starting') this.#move('started');
        if (this.#move('exited') === undefined) return;
        this.#finish({ code: exitCode(message.code, message.signal), signal: message.signal, oomKills: message.oomKills, at: message.at });
        return;
      case 'oom':
        for (const listener of this.#oomListeners) listener(message.kills);
        return;
      case 'trace':
        this.#record(message.stamps);
        return;
      default:
        return;
    }
  }

  /** The shim has gone. Without an exit message it was killed: then nobody watches the program any more, so it goes too. */
  #lost(): void {
    const before = this.#state;
    if (this.#move('lost') === undefined) return;
    if (before === 'starting' || before === 'created') this.#started.reject(new NaruError('internal', `the shim of ${this.id} ended before the program ran`, { hint: 'it was killed, or the machine is out of memory' }));
    if (before !== 'running') return;
    const recorded = this.#launch.lostExit();
    if (recorded === undefined && this.#pidfd >= 0) pidfdSignal(this.#pidfd, SIGKILL);
    this.#finish(recorded ?? { code: exitCode(0, SIGKILL), signal: SIGKILL, oomKills: 0, at: BigInt(Date.now()) * 1_000_000n });
  }

  #finish(status: ExitStatus): void {
    closeQuietly(this.#pidfd);
    this.#pidfd = -1;
    this.#exited.resolve(status);
  }

  #record(stamps: readonly { op: number; start: bigint; end: bigint }[]): void {
    for (const { op, start, end } of stamps) {
      const executed = this.#plan?.ops[op];
      if (executed === undefined) continue;
      // exec does not return: its stamp has no end.
      this.#trace?.spans.push({ link: 'native', name: executed.name, start, end: end < start ? start : end, detail: `${executed.section}: ${executed.why} (${causeOf(executed, true)})` });
    }
  }

  async #withDeadline(work: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => late.reject(new NaruError('unavailable', `${this.id} did not start within ${START_DEADLINE_MS / 1000} s`)), START_DEADLINE_MS);
    await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
  }
}
