import { isKind, NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { failTogether, inParallel } from '../many.ts';

/** Runs `change` for every container named, several at a time, and prints the names in their order. */
async function eachContainer(context: CommandContext, change: (name: string) => Promise<void>, forgiveMissing = false): Promise<number> {
  const errors: unknown[] = [];
  await inParallel(context.args, change, (name, error) => {
    if (error === undefined) context.io.out(`${name}\n`);
    else if (forgiveMissing && isKind(error, 'not-found')) context.io.err(`${(error as Error).message}\n`);
    else errors.push(error);
  });
  failTogether(errors);
  return 0;
}

function stopOptions(context: CommandContext): { signal?: string; timeout?: number } {
  const { flags } = context;
  return { ...(flags.string('signal') === '' ? {} : { signal: flags.string('signal') }), ...(flags.changed('timeout') ? { timeout: flags.number('timeout') } : {}) };
}

export const stop: CommandRunner = (context) => {
  const options = stopOptions(context);
  return eachContainer(context, (name) => context.client().containers.stop(name, options));
};

/** One after the other, as Docker does. */
export const restart: CommandRunner = async (context) => {
  const options = stopOptions(context);
  const errors: unknown[] = [];
  for (const name of context.args) {
    try {
      await context.client().containers.restart(name, options);
    } catch (error) {
      errors.push(error);
      continue;
    }
    context.io.out(`${name}\n`);
  }
  failTogether(errors);
  return 0;
};

export const kill: CommandRunner = (context) => {
  const signal = context.flags.string('signal');
  return eachContainer(context, (name) => context.client().containers.kill(name, signal === '' ? undefined : signal));
};

export const pause: CommandRunner = (context) => eachContainer(context, (name) => context.client().containers.pause(name));
export const unpause: CommandRunner = (context) => eachContainer(context, (name) => context.client().containers.unpause(name));

export const remove: CommandRunner = (context) => {
  const { flags } = context;
  const options = { force: flags.bool('force'), volumes: flags.bool('volumes'), link: flags.bool('link') };
  const removeOne = async (name: string): Promise<void> => {
    const bare = name.replace(/^\/+|\/+$/g, '');
    if (bare === '') throw new NaruError('invalid', 'container name cannot be empty');
    await context.client().containers.remove(bare, options);
  };
  return eachContainer(context, removeOne, options.force);
};
