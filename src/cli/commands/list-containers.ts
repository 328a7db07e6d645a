import type { ContainerSummary } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { CONTAINER_HEADERS, containerFormat, containerRow } from '../format/container-row.ts';
import { executeRow, parseFormat, renderTable } from '../format/table.ts';

/** `ps`. */
export const listContainers: CommandRunner = async (context) => {
  const { flags, io } = context;
  const quiet = flags.bool('quiet');
  const asked = flags.string('format');
  if (asked !== '' && quiet) io.err('WARNING: Ignoring custom format, because both --format and --quiet are set.\n');
  const format = asked === '' ? (quiet ? '' : configured(context)) : asked;
  const limit = flags.number('last');
  let size = flags.bool('size');
  // Sizes cost the daemon much: they are asked for only where the template shows them.
  if (format !== '' && (usesSize(format === 'json' ? '{{json .}}' : format) && !quiet && !flags.changed('size'))) size = true;
  const containers = await context.client().containers.list({
    all: flags.bool('all'), size, filters: flags.filters(),
    ...(flags.bool('latest') && limit === -1 ? { limit: 1 } : limit > 0 ? { limit } : {}),
  });
  const trunc = !flags.bool('no-trunc');
  const rows = containers.map((container) => containerRow(container, trunc));
  io.out(renderTable(rows, { format: containerFormat(format, quiet, size), headers: CONTAINER_HEADERS, goType: '*formatter.ContainerContext' }));
  return 0;
};

const configured = (context: Parameters<CommandRunner>[0]): string => context.config().psFormat ?? '';

/** `ps` looks at its template before it asks the daemon, and words what is wrong with it so. */
function checked<T>(failure: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new NaruError('invalid', (cause as Error).message.replace(/^template parsing error/, failure), { cause });
  }
}

function usesSize(format: string): boolean {
  let used = false;
  const probe = containerRow({ Id: '', Names: [], Image: '', ImageID: '', Command: '', Created: 0, Ports: [], Labels: {}, State: 'running', Status: '', HostConfig: { NetworkMode: '' }, NetworkSettings: { Networks: {} }, Mounts: [] } as ContainerSummary, true);
  Object.defineProperty(probe, 'Size', { get: () => ((used = true), ''), enumerable: false, configurable: true });
  checked('failed to execute template', () => executeRow(checked('failed to parse template', () => parseFormat(format.replace(/^table ?/, ''))), probe, '*formatter.ContainerContext'));
  return used;
}
