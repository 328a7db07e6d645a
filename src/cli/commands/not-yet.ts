import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';

/** `build`. */
export const build: CommandRunner = async () => {
  throw new NaruError('unsupported', 'naru cannot build images yet', { hint: 'build elsewhere and bring the image with `load`, or make one with `commit` or `import`' });
};
