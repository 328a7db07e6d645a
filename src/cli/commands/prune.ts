import type { PruneReport } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { humanSize } from '../format/human-size.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { confirm } from '../prompt.ts';

type Filters = Map<string, string[]>;
/** What was pruned: the text to show, and how much it freed. */
interface Pruned { readonly text: string; readonly freed: number }

const SURE = 'Are you sure you want to continue?';

/** The command line's filters and those of config.json that do not contradict them. */
function pruneFilters(context: CommandContext): Filters {
  const filters = context.flags.filters();
  for (const entry of context.config().pruneFilters ?? []) {
    const equals = entry.indexOf('=');
    if (equals < 0) continue;
    const [key, value] = [entry.slice(0, equals), entry.slice(equals + 1)];
    const opposite = key === 'label' ? 'label!' : key === 'label!' ? 'label' : undefined;
    if (opposite !== undefined && filters.get(opposite)?.includes(value) === true) continue;
    filters.set(key, [...(filters.get(key) ?? []), value]);
  }
  return filters;
}

async function asked(context: CommandContext, warning: string): Promise<boolean> {
  return context.flags.bool('force') || (await confirm(context.io, warning));
}

const listed = (title: string, names: readonly string[] | null | undefined): string => (names === null || names === undefined || names.length === 0 ? '' : `${title}\n${names.map((name) => `${name}\n`).join('')}`);
const freedIf = (text: string, report: PruneReport): Pruned => ({ text, freed: text === '' ? 0 : (report.SpaceReclaimed ?? 0) });

async function containers(context: CommandContext, filters: Filters): Promise<Pruned> {
  const report = await context.client().containers.prune(filters);
  return freedIf(listed('Deleted Containers:', report.ContainersDeleted), report);
}

async function networks(context: CommandContext, filters: Filters): Promise<Pruned> {
  return { text: listed('Deleted Networks:', (await context.client().networks.prune(filters)).NetworksDeleted), freed: 0 };
}

async function volumes(context: CommandContext, filters: Filters): Promise<Pruned> {
  const report = await context.client().volumes.prune(filters);
  return freedIf(listed('Deleted Volumes:', report.VolumesDeleted), report);
}

async function images(context: CommandContext, filters: Filters, all: boolean): Promise<Pruned> {
  const report = await context.client().images.prune(new Map([...filters, ['dangling', [...(filters.get('dangling') ?? []), String(!all)]]]));
  const lines = (report.ImagesDeleted ?? []).map((item) => (item.Untagged !== undefined && item.Untagged !== '' ? `untagged: ${item.Untagged}` : `deleted: ${item.Deleted ?? ''}`));
  return freedIf(listed('Deleted Images:', lines), report);
}

async function buildCache(context: CommandContext, filters: Filters, all: boolean): Promise<Pruned> {
  const keep = context.flags.changed('keep-storage') ? { keepStorage: context.flags.number('keep-storage') } : {};
  const report = await context.client().system.pruneBuildCache({ all, filters, ...keep });
  return freedIf(listed('Deleted build cache objects:', report.CachesDeleted), report);
}

function show({ io }: CommandContext, pruned: readonly Pruned[]): number {
  for (const { text } of pruned) if (text !== '') io.out(`${text}\n`);
  io.out(`Total reclaimed space: ${humanSize(pruned.reduce((sum, { freed }) => sum + freed, 0))}\n`);
  return 0;
}

export const pruneContainers: CommandRunner = async (context) => {
  if (!(await asked(context, `WARNING! This will remove all stopped containers.\n${SURE}`))) return 0;
  return show(context, [await containers(context, pruneFilters(context))]);
};

export const pruneImages: CommandRunner = async (context) => {
  const all = context.flags.bool('all');
  const what = all ? 'all images without at least one container associated to them' : 'all dangling images';
  if (!(await asked(context, `WARNING! This will remove ${what}.\n${SURE}`))) return 0;
  return show(context, [await images(context, pruneFilters(context), all)]);
};

export const pruneVolumes: CommandRunner = async (context) => {
  const all = context.flags.bool('all');
  const filters = pruneFilters(context);
  if (all) {
    if (filters.has('all')) throw new NaruError('invalid', 'conflicting options: cannot specify both --all and --filter all=1');
    filters.set('all', ['true']);
  }
  if (!(await asked(context, `WARNING! This will remove ${all ? 'all local' : 'anonymous local'} volumes not used by at least one container.\n${SURE}`))) return 0;
  return show(context, [await volumes(context, filters)]);
};

export const pruneNetworks: CommandRunner = async (context) => {
  if (!(await asked(context, `WARNING! This will remove all custom networks not used by at least one container.\n${SURE}`))) return 0;
  const { text } = await networks(context, pruneFilters(context));
  if (text !== '') context.io.out(`${text}\n`);
  return 0;
};

export const pruneBuildCache: CommandRunner = async (context) => {
  const all = context.flags.bool('all');
  if (!(await asked(context, `WARNING! This will remove all ${all ? 'build cache' : 'dangling build cache'}. ${SURE}`))) return 0;
  const { text, freed } = await buildCache(context, context.flags.filters(), all);
  context.io.out(`${text === '' ? '' : `${text}\n`}Total reclaimed space: ${humanSize(freed)}\n`);
  return 0;
};

export const pruneSystem: CommandRunner = async (context) => {
  const { flags } = context;
  const [all, withVolumes] = [flags.bool('all'), flags.bool('volumes')];
  const filters = pruneFilters(context);
  if (withVolumes && filters.has('until')) throw new NaruError('invalid', 'ERROR: The "until" filter is not supported with "--volumes"');
  if (!(await asked(context, systemWarning(all, withVolumes, filters)))) return 0;
  const pruned = [await containers(context, filters), await networks(context, filters)];
  if (withVolumes) pruned.push(await volumes(context, filters));
  pruned.push(await images(context, filters, all), await buildCache(context, filters, all));
  return show(context, pruned);
};

function systemWarning(all: boolean, withVolumes: boolean, filters: Filters): string {
  const what = [
    'all stopped containers', 'all networks not used by at least one container', ...(withVolumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images', all ? 'all build cache' : 'unused build cache',
  ];
  const only = ['label', 'label!', 'until'].flatMap((key) => (filters.get(key) ?? []).map((value) => `${key}=${value}`)).sort(naturalOrder);
  return `WARNING! This will remove:${what.map((item) => `\n  - ${item}`).join('')}\n${only.length === 0 ? '' : `\n  Items to be pruned will be filtered with:${only.map((item) => `\n  - ${item}`).join('')}\n`}\n${SURE}`;
}
