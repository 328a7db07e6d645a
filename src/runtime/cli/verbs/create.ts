import { createContainer, forgetStartSocket, runPoststart, type CreateOptions } from '../create-container.ts';
import type { RuntimeContext, Verb } from '../context.ts';
import { bool, number, parseFlags, text } from '../flags.ts';
import { onlyId } from '../words.ts';

const COMMON = {
  bundle: { kind: 'text', short: 'b' }, 'console-socket': text, 'pid-file': text, 'no-pivot': bool, 'no-new-keyring': bool, 'preserve-fds': number,
} as const;

/** `create [options] ID`: everything but the program. */
export const create: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, COMMON);
  await createContainer({ ...optionsOf(flags, context), id: onlyId(rest, 'create'), mode: 'create' }, context);
  return 0;
};

/** `run [options] ID`: create, start, and (in the foreground) wait and delete; exits as the program did. */
export const run: Verb = async (words, context) => {
  // --no-subreaper turns off what is never on: orphans of a container are nobody's of ours.
  const { flags, rest } = parseFlags(words, { ...COMMON, detach: { kind: 'bool', short: 'd' }, 'no-subreaper': bool, keep: bool });
  const options = { ...optionsOf(flags, context), id: onlyId(rest, 'run') };
  if (flags.detach) {
    const created = await createContainer({ ...options, mode: 'detached' }, context);
    forgetStartSocket(created.directory);
    await runPoststart(created, context);
    return 0;
  }
  const { runForeground } = await import('../foreground.ts');
  return runForeground(options, { keep: flags.keep }, context);
};

type CommonFlags = ReturnType<typeof parseFlags<typeof COMMON>>['flags'];
const optionsOf = (flags: CommonFlags, _: RuntimeContext): Omit<CreateOptions, 'id' | 'mode'> => ({
  bundle: flags.bundle ?? '.', consoleSocket: flags['console-socket'], pidFile: flags['pid-file'],
  noPivot: flags['no-pivot'], noNewKeyring: flags['no-new-keyring'], preserveFds: flags['preserve-fds'],
});
