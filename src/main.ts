import { setJitReluctance } from '#sys/jit-policy.ts';

/** Called by one of these names it is an OCI runtime, whatever the first word is. */
const RUNTIME_NAMES = new Set(['runc', 'crun', 'naru-runtime']);

/** What runs longer than this has loops that are worth compiling, milliseconds. */
const SHORT_LIFE_MS = 150;
/** 150 times exec, create, start, wait and delete took the daemon 5.3 s of CPU and 38 MiB with 100, 6.6 s and 51 MiB with 1. */
const DAEMON_JIT_RELUCTANCE = 100;
/** Jobs on images spend their time in loops of C. To pull 402 MB their processes took 1.95 s of CPU with 1, 1.65 s with 10; to load 121 MB of
 *  small files 1.40 and 1.16 s, and with 100 again 1.26 s. */
const JOB_JIT_RELUCTANCE = 10;

/**
 * The executable's one entrance: chooses the link of the chain by the name it was called by and by the first word, and loads
 * only that. `docker` (an executable or link of that name) is Docker's command line.
 */
async function main(): Promise<void> {
  // In a compiled executable argv0 is what the user typed; in development it is bun, and the name is naru.
  const compiled = process.argv[1]?.startsWith('/$bunfs/') ?? false;
  const program = compiled ? process.argv0.slice(process.argv0.lastIndexOf('/') + 1) : 'naru';
  const args = process.argv.slice(2);
  const self = compiled ? [process.execPath] : [process.execPath, process.argv[1] as string];

  const runtime = RUNTIME_NAMES.has(program);
  if (runtime || (args[0] === 'runtime' && program !== 'docker')) {
    const [{ runRuntime }, { embeddedHelper }, { VERSION }] = await Promise.all([import('#runtime/cli/main.ts'), import('#daemon/embedded.ts'), import('#daemon/version.ts')]);
    process.exit(await runRuntime({ args: runtime ? args : args.slice(1), version: VERSION, helper: embeddedHelper }));
  }
  if (args[0] === 'internal') {
    setJitReluctance(args[1] === 'core' ? JOB_JIT_RELUCTANCE : 1);
    const { runInternal } = await import('#daemon/internal.ts');
    await runInternal(args.slice(1));
    return;
  }
  if (args[0] === 'daemon' && program !== 'docker') {
    setJitReluctance(DAEMON_JIT_RELUCTANCE);
    const { runDaemon } = await import('#daemon/run-daemon.ts');
    // Not exitCode: the connections to the shims of what runs on would keep the process.
    process.exit(await runDaemon(args.slice(1), self));
  }
  if (args[0] === 'registry' && program !== 'docker') {
    setJitReluctance(1);
    const { runRegistry } = await import('#registry/server/command.ts');
    process.exitCode = await runRegistry(args.slice(1));
    return;
  }
  setTimeout(setJitReluctance, SHORT_LIFE_MS, 1).unref();
  const { run } = await import('#cli/main.ts');
  // Not exitCode: a read of stdin that nobody can take back would keep the process.
  process.exit(await run(args, { program, daemonCommand: [...self, 'daemon'] }));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
