import { NaruError } from '#spec/errors.ts';
import { USAGE_FAILURE } from '../exit-codes.ts';

/** How `run` and `create` say that they failed: with the program's name, the hint, and where to look. */
export function withHelp(error: unknown, program: string, command: string, exitCode = USAGE_FAILURE): unknown {
  if (!(error instanceof NaruError) || error.message === '') return error;
  const hint = error.hint === undefined || program === 'docker' ? '' : `\nhint: ${error.hint}`;
  return new NaruError(error.kind, `${program}: ${error.message}${hint}\n\nRun '${program} ${command} --help' for more information`, { exitCode: error.exitCode ?? exitCode, cause: error });
}

/** Docker's exit status for a container that could not be started: by the words of the message. */
export function startFailureStatus(error: unknown): number {
  const message = error instanceof Error ? error.message : '';
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message)) return 127;
  if (/permission denied|is a directory/.test(message)) return 126;
  return USAGE_FAILURE;
}
