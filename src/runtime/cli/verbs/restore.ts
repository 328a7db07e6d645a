import { bool, parseFlags, text } from '../flags.ts';
import type { Verb } from '../context.ts';
import { CRIU_FLAGS } from '../criu-flags.ts';
import { restoreContainer } from '../restore-container.ts';
import { onlyId } from '../words.ts';

// --no-subreaper turns off what is never on: orphans of a container are nobody's of ours.
const FLAGS = {
  ...CRIU_FLAGS, bundle: { kind: 'text', short: 'b' }, detach: { kind: 'bool', short: 'd' }, 'console-socket': text, 'pid-file': text, 'no-subreaper': bool, 'no-pivot': bool,
  'lsm-profile': text, 'lsm-mount-context': text,
} as const;
export type RestoreFlags = ReturnType<typeof parseFlags<typeof FLAGS>>['flags'];

/** `restore [options] ID`: a container from what `checkpoint` wrote. In the foreground it waits for its end and deletes it. */
export const restore: Verb = (words, context) => {
  const { flags, rest } = parseFlags(words, FLAGS);
  return restoreContainer(onlyId(rest, 'restore'), flags, context);
};
