import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';

export const copy: CommandRunner = async () => {
  throw new NaruError('unsupported', 'cp: not yet');
};
