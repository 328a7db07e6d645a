import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { IMAGE_HEADERS, imageFormat, imageRows } from '../format/image-row.ts';
import { imageTree } from '../format/image-tree.ts';
import { renderTable } from '../format/table.ts';

const SUBCOMMANDS = ['build', 'history', 'import', 'inspect', 'list', 'load', 'ls', 'prune', 'pull', 'push', 'rm', 'save', 'tag'];

/** `images`. */
export const listImages: CommandRunner = async (context) => {
  const { flags, io, args, program } = context;
  const filters = flags.filters();
  const pattern = args[0];
  if (pattern !== undefined) filters.set('reference', [...(filters.get('reference') ?? []), pattern]);
  const quiet = flags.bool('quiet');
  const digests = flags.bool('digests');
  if (flags.bool('tree')) {
    if (quiet || digests || flags.bool('no-trunc') || flags.changed('format')) throw new NaruError('invalid', '--tree goes with neither --quiet, --digests, --no-trunc nor --format');
    io.out(imageTree(await context.client().images.list({ all: flags.bool('all'), filters, manifests: true })));
    return 0;
  }
  const images = await context.client().images.list({ all: flags.bool('all'), filters });
  const format = imageFormat(flags.string('format') || (quiet ? '' : (context.config().imagesFormat ?? '')), quiet, digests);
  const rows = images.flatMap((image) => imageRows(image, { trunc: !flags.bool('no-trunc'), digests, needDigest: digests || format.includes('{{.Digest}}') }));
  io.out(renderTable(rows, { format, headers: IMAGE_HEADERS, goType: '*formatter.imageContext' }));
  if (pattern !== undefined && images.length === 0 && context.commandPath === 'images' && SUBCOMMANDS.includes(pattern)) io.err(`\nNo images found matching ${JSON.stringify(pattern)}: did you mean "${program} image ${pattern}"?\n`);
  return 0;
};
