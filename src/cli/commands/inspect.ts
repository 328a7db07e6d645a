import type { Client } from '#client/client.ts';
import { isKind, NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { platformOf } from '../create/create-container.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { inspectData, missingInspectField } from '../format/inspect-data.ts';
import { reindentJson } from '../format/json-indent.ts';
import { template, type Template } from '../format/template.ts';

/** Fetches one object as the daemon's own JSON text. */
type Fetch = (name: string) => Promise<string>;

const TYPES = ['config', 'container', 'image', 'network', 'node', 'plugin', 'secret', 'service', 'task', 'volume'];
/** Exit status of a template that cannot be parsed. */
const BAD_TEMPLATE = 64;

/** Fetches every name, prints what there is, and fails with what there is not. */
export async function inspectEach({ flags, args, io }: CommandContext, fetch: Fetch): Promise<number> {
  const format = flags.string('format');
  const parsed = format === '' || format === 'json' ? undefined : parse(format);
  const found: string[] = [];
  const errors: unknown[] = [];
  for (const name of args) {
    try {
      const text = await fetch(name);
      found.push(parsed === undefined ? text.trim() : `${render(parsed, text)}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  if (parsed !== undefined) io.out(found.length === 0 ? '\n' : found.join(''));
  else io.out(found.length === 0 ? '[]\n' : `${reindentJson(`[${found.join(',')}]`, format === '' ? '    ' : '')}\n`);
  if (errors.length === 0) return 0;
  throw new NaruError('not-found', errors.map((error) => (error as Error).message).join('\n'), { exitCode: exitCodeOf(errors[0]) || 1, ...(errors.length === 1 && errors[0] instanceof NaruError && errors[0].hint !== undefined ? { hint: errors[0].hint } : {}) });
}

function parse(format: string): Template {
  try {
    return template(format);
  } catch (cause) {
    throw new NaruError('invalid', `template parsing error: ${(cause as Error).message}`, { exitCode: BAD_TEMPLATE, cause });
  }
}

function render(parsed: Template, text: string): string {
  try {
    return parsed.execute(inspectData(text), { missing: missingInspectField, untyped: true });
  } catch (cause) {
    throw new NaruError('invalid', `template parsing error: ${(cause as Error).message}`, { cause });
  }
}

export const inspectContainers: CommandRunner = (context) => inspectEach(context, (name) => context.client().containers.inspectText(name, { size: context.flags.bool('size') }));
export const inspectVolumes: CommandRunner = (context) => inspectEach(context, (name) => context.client().volumes.inspectText(name));
export const inspectNetworks: CommandRunner = (context) => inspectEach(context, (name) => context.client().networks.inspectText(name, { verbose: context.flags.bool('verbose') }));
export const inspectImages: CommandRunner = (context) => {
  const platform = platformOf({ ...context, env: {} });
  return inspectEach(context, (name) => context.client().images.inspectText(name, platform === undefined ? {} : { platform }));
};

/** `inspect`: of any kind, the first that there is of container, image, network, volume. */
export const inspect: CommandRunner = (context) => {
  const { flags, io } = context;
  const type = flags.string('type');
  if (flags.changed('type') && type === '') throw new NaruError('invalid', `type is empty: must be one of "${TYPES.join('", "')}"`);
  if (type !== '' && !TYPES.includes(type)) throw new NaruError('invalid', `unknown type: ${JSON.stringify(type)}: must be one of "${TYPES.join('", "')}"`);
  const size = flags.bool('size');
  const kinds = fetchers(context.client(), size).filter(([kind]) => type === '' || kind === type);
  return inspectEach(context, async (name) => {
    for (const [kind, fetch] of kinds) {
      try {
        const text = await fetch(name);
        if (size && kind !== 'container') io.err(`WARNING: --size ignored for ${kind}\n`);
        return text;
      } catch (error) {
        if (type !== '' || !skippable(error)) throw error;
      }
    }
    throw new NaruError('not-found', `Error: No such object: ${name}`);
  });
};

function fetchers(client: Client, size: boolean): (readonly [string, Fetch])[] {
  return [
    ['container', (name) => client.containers.inspectText(name, { size })],
    ['image', (name) => client.images.inspectText(name)],
    ['network', (name) => client.networks.inspectText(name)],
    ['volume', (name) => client.volumes.inspectText(name)],
  ];
}

const skippable = (error: unknown): boolean => isKind(error, 'not-found') || /not supported|invalid reference format/.test((error as Error).message);
