import type { CommandRunner } from '../command.ts';
import { parseImageReference } from '../create/image-reference.ts';
import { platformOf } from '../create/create-container.ts';
import { displayProgress } from '../progress.ts';
import { readFile } from './load-images.ts';

/** `import`. */
export const importImage: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const [source = '', repo] = args;
  const remote = /^https?:\/\//.test(source);
  const archive = remote ? undefined : source === '-' ? io.input() : readFile(source);
  if (repo !== undefined && repo !== '') parseImageReference(repo);
  const platform = platformOf(context);
  const messages = context.client().images.import(remote ? source : '-', archive, {
    ...(repo === undefined || repo === '' ? {} : { repo }), ...(flags.string('message') === '' ? {} : { message: flags.string('message') }), changes: flags.list('change'), ...(platform === undefined ? {} : { platform }),
  });
  await displayProgress(messages, io, 1);
  return 0;
};
