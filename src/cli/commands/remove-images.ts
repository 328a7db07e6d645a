import { isKind } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { normalizePlatform } from '../create/platform.ts';
import { failTogether } from '../many.ts';

/** `rmi`. */
export const removeImages: CommandRunner = async ({ client, flags, args, io }) => {
  const platforms = flags.list('platform').map((text) => {
    const [os, architecture, variant] = normalizePlatform(text).split('/');
    return JSON.stringify({ architecture, os, ...(variant === undefined ? {} : { variant }) });
  });
  const errors: unknown[] = [];
  for (const name of args) {
    try {
      const items = await client().images.remove(name, { force: flags.bool('force'), noPrune: flags.bool('no-prune'), platforms });
      for (const item of items) io.out(item.Deleted === undefined || item.Deleted === '' ? `Untagged: ${item.Untagged}\n` : `Deleted: ${item.Deleted}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  // With --force only what could not be done fails; what is not there is said.
  if (flags.bool('force') && errors.every((error) => isKind(error, 'not-found'))) {
    for (const error of errors) io.err(`${(error as Error).message}\n`);
    return 0;
  }
  failTogether(errors);
  return 0;
};
