import type { CommandRunner } from '../command.ts';
import { requestOf } from '../create/create-container.ts';
import { withHelp } from '../create/start-failure.ts';

/** `plan run`: the operations that `run` with these words would have executed, without running them. */
export const planRun: CommandRunner = async (context) => {
  const { flags, io, program } = context;
  let request;
  try {
    request = requestOf(context);
  } catch (error) {
    throw withHelp(error, program, 'plan run');
  }
  if (flags.bool('detach')) request.AttachStdin = request.AttachStdout = request.AttachStderr = request.StdinOnce = false;
  const text = await context.client().system.plan(request, flags.string('name') === '' ? {} : { name: flags.string('name') });
  io.out(text.endsWith('\n') ? text : `${text}\n`);
  return 0;
};
