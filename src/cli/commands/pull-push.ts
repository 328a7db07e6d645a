import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { platformOf } from '../create/create-container.ts';
import { apiTag, fullName, parseImageReference, type ImageReference } from '../create/image-reference.ts';
import { displayProgress } from '../progress.ts';
import { registryAuth } from '../registry-auth.ts';

/** `pull`. */
export const pull: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const quiet = flags.bool('quiet');
  const all = flags.bool('all-tags');
  const reference = parseName(args[0] as string, all);
  if (!all && reference.tag === undefined && reference.digest === undefined && !quiet) io.out('Using default tag: latest\n');
  const platform = platformOf(context);
  const auth = await registryAuth(context.config(), reference.domain);
  const messages = context.client().images.pull(fullName(reference), all ? '' : apiTag(reference), { ...(platform === undefined ? {} : { platform }), ...(auth === undefined ? {} : { auth }), ...(flags.bool('referrers') ? { referrers: true } : {}) });
  await displayProgress(messages, io, quiet ? undefined : 1);
  io.out(`${printedName(reference, all)}\n`);
  return 0;
};

/** `push`. */
export const push: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const quiet = flags.bool('quiet');
  const all = flags.bool('all-tags');
  const reference = parseName(args[0] as string, all);
  if (reference.digest !== undefined) throw new NaruError('invalid', 'cannot push a digest reference');
  if (!all && reference.tag === undefined && !quiet) io.out('Using default tag: latest\n');
  const platform = platformOf(context);
  const auth = (await registryAuth(context.config(), reference.domain)) ?? Buffer.from('{}').toString('base64url');
  const messages = context.client().images.push(fullName(reference), all ? '' : apiTag(reference), { auth, ...(platform === undefined ? {} : { platform }), ...(flags.changed('compression') ? { compression: flags.string('compression') } : {}), ...(flags.changed('compression-level') ? { compressionLevel: flags.number('compression-level') } : {}) });
  await displayProgress(messages, io, quiet ? undefined : 1);
  if (quiet) io.out(`${printedName(reference, all)}\n`);
  return 0;
};

function parseName(text: string, all: boolean): ImageReference {
  const reference = parseImageReference(text);
  if (all && (reference.tag !== undefined || reference.digest !== undefined)) throw new NaruError('invalid', "tag can't be used with --all-tags/-a");
  return reference;
}

function printedName(reference: ImageReference, all: boolean): string {
  const tag = reference.tag ?? (all || reference.digest !== undefined ? undefined : 'latest');
  return `${fullName(reference)}${tag === undefined ? '' : `:${tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`;
}
