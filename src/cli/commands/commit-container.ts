import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { fullName, parseImageReference } from '../create/image-reference.ts';

/** `commit`. */
export const commitContainer: CommandRunner = async ({ client, flags, args, io }) => {
  const [container = '', name] = args;
  const reference = name === undefined || name === '' ? undefined : parseImageReference(name);
  if (reference?.digest !== undefined) throw new NaruError('invalid', 'refusing to create a tag with a digest reference');
  const answer = await client().containers.commit(container, {
    ...(reference === undefined ? {} : { repo: fullName(reference), tag: reference.tag ?? 'latest' }),
    comment: flags.string('message'), author: flags.string('author'), pause: flags.bool('pause'), changes: flags.list('change'),
  });
  io.out(`${answer.Id}\n`);
  return 0;
};
