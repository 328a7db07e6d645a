import { resolve } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { DEFAULT_ROOT, type RuntimeContext, type Verb } from './context.ts';
import { bool, parseFlags, text } from './flags.ts';
import { openLog } from './log.ts';
import { inUserNamespace } from './user-namespace.ts';

const GLOBAL_FLAGS = {
  root: text, log: text, 'log-format': text, debug: bool, 'systemd-cgroup': bool, rootless: text, criu: text,
  help: { kind: 'bool', short: 'h' }, version: { kind: 'bool', short: 'v' },
} as const;

/** Each verb is loaded only when it is called for. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  create: async () => (await import('./verbs/create.ts')).create,
  run: async () => (await import('./verbs/create.ts')).run,
  start: async () => (await import('./verbs/start.ts')).start,
  state: async () => (await import('./verbs/state.ts')).state,
  kill: async () => (await import('./verbs/kill.ts')).kill,
  delete: async () => (await import('./verbs/delete.ts')).remove,
  exec: async () => (await import('./verbs/exec.ts')).exec,
  ps: async () => (await import('./verbs/ps.ts')).ps,
  list: async () => (await import('./verbs/list.ts')).list,
  events: async () => (await import('./verbs/events.ts')).events,
  pause: async () => (await import('./verbs/pause.ts')).pause,
  resume: async () => (await import('./verbs/pause.ts')).resume,
  update: async () => (await import('./verbs/update.ts')).update,
  checkpoint: async () => (await import('./verbs/checkpoint.ts')).checkpoint,
  restore: async () => (await import('./verbs/restore.ts')).restore,
  features: async () => (await import('./verbs/features.ts')).features,
  spec: async () => (await import('./verbs/spec.ts')).spec,
};

/** What an engine that gave no --log reads from stderr when exec could not even begin. */
const EXEC_FAILED = 255;

export interface RuntimeProgram {
  readonly args: readonly string[];
  readonly version: string;
  /** The helper program (native/), as bytes. */
  helper(): Uint8Array;
}

/** `naru runtime …`, the command line that engines expect of runc. Resolves with the exit status; every failure is one
 *  sentence on stderr, and in the log. */
export async function runRuntime(program: RuntimeProgram): Promise<number> {
  let log = openLog(undefined, undefined);
  let verb: string | undefined;
  try {
    const { flags, rest } = parseFlags(program.args, GLOBAL_FLAGS, { stop: true });
    log = openLog(flags.log, flags['log-format']);
    if (flags.version) {
      process.stdout.write(`naru-runtime version ${program.version}\nspec: 1.2.0\n`);
      return 0;
    }
    verb = rest[0];
    if (flags.help || verb === undefined || verb === 'help' || rest.includes('--help')) {
      const { usage } = await import('./usage.ts');
      process.stdout.write(usage());
      return 0;
    }
    const load = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (load === undefined) throw new NaruError('invalid', `${JSON.stringify(verb)} is no command of naru runtime`, { hint: 'naru runtime --help lists them' });
    const context: RuntimeContext = {
      root: resolve(flags.root ?? defaultRoot()), systemdCgroup: flags['systemd-cgroup'], debug: flags.debug, criu: flags.criu ?? 'criu',
      rootless: flags.rootless === 'true' || (flags.rootless !== 'false' && (process.geteuid!() !== 0 || inUserNamespace())),
      version: program.version, helper: () => program.helper(), warn: (message) => log.write('warning', message),
    };
    return await (await load())(rest.slice(1), context);
  } catch (error) {
    log.fail(verb, error);
    return verb === 'exec' ? EXEC_FAILED : 1;
  }
}

const defaultRoot = (): string => {
  const { XDG_RUNTIME_DIR, USER } = process.env;
  // A rootless engine calls us as root of its user namespace: as runc, by whose user it says that it is.
  const user = process.geteuid!() !== 0 || (USER !== 'root' && inUserNamespace());
  return user && XDG_RUNTIME_DIR !== undefined ? `${XDG_RUNTIME_DIR}/naru-runtime` : DEFAULT_ROOT;
};
