import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';

/** `system check`. Fails when something is wrong and stays wrong. */
export const checkSystem: CommandRunner = async ({ client, flags, io }) => {
  for await (const message of client().system.check({ repair: flags.bool('repair') })) {
    if ('Checked' in message) {
      const { Checked, Problems, Repaired } = message;
      io.out(`${Checked} checked, ${Problems} problems${flags.bool('repair') ? `, ${Repaired} repairs` : ''}\n`);
      if (Problems > 0 && !flags.bool('repair')) throw new NaruError('corrupt', 'the store is damaged', { hint: 'naru system check --repair puts right what can be' });
      return 0;
    }
    const { What, Problem, Images, Action } = message;
    io.out(`${What}${Images.length === 0 ? '' : ` (${Images.join(', ')})`}: ${Problem}${Action}\n`);
  }
  return 0;
};
