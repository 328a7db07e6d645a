import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { fullName, isImageId, parseImageReference } from '../create/image-reference.ts';

/** `tag`. */
export const tagImage: CommandRunner = async ({ client, args }) => {
  const [source = '', target = ''] = args;
  const parse = (text: string): ReturnType<typeof parseImageReference> => {
    try {
      return parseImageReference(text);
    } catch (cause) {
      throw new NaruError('invalid', `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${(cause as Error).message}`, { cause });
    }
  };
  if (!isImageId(source)) parse(source);
  const reference = parse(target);
  if (reference.digest !== undefined) throw new NaruError('invalid', 'refusing to create a tag with a digest reference');
  await client().images.tag(source, fullName(reference), reference.tag ?? 'latest');
  return 0;
};
