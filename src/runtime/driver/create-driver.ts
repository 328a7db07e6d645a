import { openSync, readdirSync, rmSync } from 'node:fs';
import type { ExecRequest, ExitStatus, HostFacts, PreparedTask, RecoverRequest, Task, TaskDriver, TaskRequest } from '#core/tasks/port.ts';
import { type ExecCompiler, execCompiler } from '#runtime/compile/exec-compiler.ts';
import type { CompileHost } from '#runtime/compile/compile-host.ts';
import { cgroupPathOf, compileTask } from '#runtime/compile/compile-task.ts';
import { hookState } from '#runtime/compile/compile-hooks.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { shimSocketName } from '#runtime/plan/language.ts';
import { printPlan } from '#runtime/plan/print.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, connectSeqpacket } from '#sys/descriptors.ts';
import { hasRealtime, type RealtimeShare } from '#runtime/cgroups/share-realtime.ts';
import { cgroupAccess } from './cgroup-access.ts';
import { detectHost } from './detect-host.ts';
import { readExitRecord } from './exit-record.ts';
import { type Launch, RunningTask } from './running-task.ts';
import { runHook } from './run-hook.ts';
import { taskCompiler } from '#runtime/compile/task-compiler.ts';
import { startSpawner } from './spawner.ts';

/** How long a shim may take to say how its task is. */
const RECOVER_DEADLINE_MS = 5000;
/** When a daemon has probably become idle. */
const WARM_UP_AFTER_MS = 100;
/** Of any version. */
const SHIM_SOCKET = /^shim(?:-[0-9a-f]{8})?\.sock$/;
/** Where the first descriptor that is sent along stands in the plan. */
const FIRST_SLOT = 0;
/** sun_path, its NUL included. */
const MAX_SOCKET_PATH = 108;

export interface DriverOptions {
  /** The helper program (native/), as bytes. */
  readonly helper: Uint8Array;
  /** The machine; default: this one. */
  readonly host?: CompileHost;
  /** What the groups above containers get of the machine's real time; default: nothing. */
  readonly realtime?: RealtimeShare;
}

export type NaruTaskDriver = TaskDriver & {
  readonly facts: CompileHost;
  /** Ends the spawner. Tasks live on. */
  close(): void;
};

/** naru's own runtime behind core's port. Starts one process, the spawner. */
export async function createDriver(options: DriverOptions): Promise<NaruTaskDriver> {
  const facts = options.host ?? detectHost();
  const spawner = startSpawner(options.helper);
  const cgroups = cgroupAccess(facts.cgroups, options.realtime);
  const compile = taskCompiler(facts, { cgroupParentsReady: true });

  const launchOf = (request: { id: string; exitFile: string }, spec: Launch['spec'], { compile, foreign = false }: { compile: Launch['compile']; /** Its shim is of another build. */ foreign?: boolean }): Launch => {
    const execs = execCompiler({ containerId: request.id, ...(foreign ? { targetSlot: FIRST_SLOT } : {}) }, facts);
    return {
      id: request.id, spec, verb: 'create', compile,
      spawn: (descriptors) => spawner.spawn(descriptors),
      exec: (task, exec) => (foreign ? prepareExecBeside : prepareExec)(task, exec, execs),
      lostExit: () => readExitRecord(request.exitFile),
    };
  };
  const prepareTask = (request: TaskRequest): RunningTask => new RunningTask(launchOf(request, request.spec, { compile() {
    const plan = compile(request);
    cgroups.prepareParents(cgroupPathOf(request.id, request.spec.linux?.cgroupsPath));
    return plan;
  } }));

  const execLaunch = (request: ExecRequest): Pick<Launch, 'id' | 'spec' | 'verb' | 'exec' | 'lostExit'> => ({
    id: request.execId, spec: request.spec, verb: 'exec',
    exec: () => {
      throw new NaruError('unsupported', 'exec inside an exec: use the container');
    },
    lostExit: (): ExitStatus | undefined => (request.exitFile === undefined ? undefined : readExitRecord(request.exitFile)),
  });

  function prepareExec(container: RunningTask, request: ExecRequest, execs: ExecCompiler): RunningTask {
    return new RunningTask({
      ...execLaunch(request), compile: () => execs.compile(request), compileAhead: () => execs.compileAhead(request),
      spawn: (descriptors) => container.spawnInside(descriptors),
    });
  }

  /** The container's shim was started by another version of this program, and may not know what our plans say: the exec has one of ours. */
  function prepareExecBeside(container: RunningTask, request: ExecRequest, execs: ExecCompiler): RunningTask {
    return new RunningTask({
      ...execLaunch(request), compile: () => execs.compile(request),
      async spawn(descriptors) {
        if (container.pidfd < 0) throw new NaruError('conflict', `container ${container.id} is not running`);
        await spawner.spawn([...descriptors, container.pidfd]);
      },
    });
  }

  // The first container would pay some 20 ms for compiling the default filter and for cold code.
  const warm = setTimeout(() => warmUp(facts), WARM_UP_AFTER_MS);
  warm.unref();

  return {
    facts,
    host: hostFacts(facts),
    prepare: prepareTask,
    async start(request: TaskRequest, prepared?: PreparedTask): Promise<Task> {
      const task = prepared ?? prepareTask(request);
      if (!(task instanceof RunningTask)) throw new NaruError('internal', 'start: prepared by another driver');
      await task.start().catch((error: unknown) => {
        cgroups.forgetParents();
        throw error;
      });
      // After the program began, before anybody hears of it; a failure is a warning (runtime-spec, "Poststart").
      const { hooks } = request.spec;
      for (const hook of hooks?.poststart ?? []) {
        await runHook(hook, hookState(request.spec, { id: request.id, bundle: request.stateDir, status: 'running', pid: task.pid })).catch(() => {});
      }
      return task;
    },
    plan: (request) => printPlan(compileTask(request, facts), { flags: request.sources !== undefined }),
    async recover(request: RecoverRequest) {
      const found = connectShim(request.stateDir);
      if (found !== undefined) {
        const { fd, foreign } = found;
        const spec = { ociVersion: '1.2.0' };
        const task = new RunningTask(launchOf(request, spec, { compile: () => ({ ops: [] }), foreign }), { fd });
        const known = await task.resume(RECOVER_DEADLINE_MS);
        if (known === 'running') return { task };
        if (known !== undefined) return { exited: known };
      }
      const exited = readExitRecord(request.exitFile);
      return exited === undefined ? undefined : { exited };
    },
    async cleanUp({ stateDir, cgroupPath }) {
      await cgroups.remove(cgroupPath);
      removeSockets(stateDir);
    },
    stats: cgroups.stats,
    pids: cgroups.pids,
    freeze: cgroups.freeze,
    update: cgroups.update,
    close() {
      clearTimeout(warm);
      spawner.close();
    },
  };
}

function warmUp(facts: CompileHost): void {
  const spec = defaultSpec();
  spec.linux!.cgroupsPath = '/naru/warm-up';
  try {
    encodePlan(compileTask({
      id: 'warm-up', spec, rootfs: { kind: 'directory', path: '/' }, stateDir: '/', exitFile: '/', durable: false,
      io: { mode: 'null', stdin: 'none' }, network: [], init: false,
    }, facts));
  } catch {
    // What this machine lacks is said when a container asks for it.
  }
}

const hostFacts = (facts: CompileHost): HostFacts => ({
  cgroupVersion: facts.cgroups.version,
  hybrid: facts.cgroups.hybrid,
  controllers: [...new Set(facts.cgroups.hierarchies.flatMap((h) => h.controllers))].sort(),
  seccomp: facts.seccomp,
  realtime: hasRealtime(facts.cgroups),
  apparmor: facts.apparmor,
});

/** A connection to the shim that listens in stateDir, `foreign`: of a build whose plans say something else; undefined when none does. */
function connectShim(stateDir: string): { fd: number; foreign: boolean } | undefined {
  const own = shimSocketName();
  const names = socketsIn(stateDir).sort((a, b) => Number(b === own) - Number(a === own));
  for (const name of names) {
    const fd = connectSocket(stateDir, name);
    if (fd !== undefined) return { fd, foreign: name !== own };
  }
  return undefined;
}

function connectSocket(directory: string, name: string): number | undefined {
  const path = `${directory}/${name}`;
  let handle = -1;
  try {
    if (Buffer.byteLength(path) < MAX_SOCKET_PATH) return connectSeqpacket(path);
    handle = openSync(directory, 'r');
    return connectSeqpacket(`/proc/self/fd/${handle}/${name}`);
  } catch {
    return undefined;
  } finally {
    closeQuietly(handle);
  }
}

function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => SHIM_SOCKET.test(name));
  } catch {
    return [];
  }
}

/** The socket of a shim that was killed; the directory itself is the caller's. */
const removeSockets = (stateDir: string): void => {
  for (const name of socketsIn(stateDir)) rmSync(`${stateDir}/${name}`, { force: true });
};
