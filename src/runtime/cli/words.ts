import { NaruError } from '#spec/errors.ts';

/** The one word that a command takes. */
export function onlyId(rest: readonly string[], verb: string): string {
  if (rest.length !== 1) throw new NaruError('invalid', `${verb}: requires exactly 1 argument, the container's id (${rest.length} were given)`);
  return rest[0]!;
}
