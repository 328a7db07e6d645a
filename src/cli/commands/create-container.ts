import type { CommandRunner } from '../command.ts';
import { createContainer, requestOf } from '../create/create-container.ts';
import { withHelp } from '../create/start-failure.ts';

/** `create`. */
export const create: CommandRunner = async (context) => {
  let request;
  try {
    request = requestOf(context);
  } catch (error) {
    throw withHelp(error, context.program, 'create');
  }
  context.io.out(`${await createContainer(context, request)}\n`);
  return 0;
};
