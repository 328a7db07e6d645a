import type { WaitResponse } from '#spec/engine-api.ts';
import type { Io } from '../io.ts';

/** The exit status of a container from its wait; 125, with a word, when the daemon could not tell. */
export async function exitStatus(wait: Promise<WaitResponse>, io: Io): Promise<number> {
  try {
    const response = await wait;
    if (response.Error === undefined || response.Error === null || response.Error.Message === '') return response.StatusCode;
    io.err(`Error waiting for container: ${response.Error.Message}\n`);
  } catch (error) {
    io.err(`error waiting for container: ${(error as Error).message}\n`);
  }
  return 125;
}
