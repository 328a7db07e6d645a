import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { alignTabs } from '../format/tab-writer.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { failTogether } from '../many.ts';
import { reachTable } from './port-reach.ts';

const KINDS = ['C', 'A', 'D'];

export const diff: CommandRunner = async ({ client, args, io }) => {
  for (const change of await client().containers.changes(args[0] as string)) io.out(`${KINDS[change.Kind] ?? ''} ${change.Path}\n`);
  return 0;
};

export const rename: CommandRunner = async ({ client, args, io, program }) => {
  const [from = '', to = ''] = args.map((name) => name.trim());
  if (from === '' || to === '') throw new NaruError('invalid', 'Error: Neither old nor new names may be empty');
  try {
    await client().containers.rename(from, to);
  } catch (error) {
    io.err(`${(error as Error).message}\n`);
    const hint = error instanceof NaruError && program !== 'docker' && error.hint !== undefined ? { hint: error.hint } : {};
    throw new NaruError('conflict', `Error: failed to rename container named ${from}`, hint);
  }
  return 0;
};

export const port: CommandRunner = async ({ client, flags, args, io }) => {
  const [name = '', wanted] = args;
  if (flags.bool('who')) {
    const [container, networks] = await Promise.all([client().containers.inspect(name), client().networks.list()]);
    io.out(reachTable(container, networks));
    return 0;
  }
  const { Ports } = (await client().containers.inspect(name)).NetworkSettings;
  const address = (ip: string, number: string): string => `${ip.includes(':') ? `[${ip}]` : ip}:${number}`;
  const lines: string[] = [];
  if (wanted === undefined) {
    for (const [inner, bindings] of Object.entries(Ports ?? {})) for (const binding of bindings ?? []) lines.push(`${inner} -> ${address(binding.HostIp, binding.HostPort)}`);
  } else {
    const [number = '', proto = ''] = wanted.split('/');
    if (!/^\d+$/.test(number) || Number(number) > 65535) throw new NaruError('invalid', `Error: invalid port (${number}): strconv.ParseUint: parsing ${JSON.stringify(number)}: ${/^\d+$/.test(number) ? 'value out of range' : 'invalid syntax'}`);
    const bindings = Ports?.[`${number}/${proto === '' ? 'tcp' : proto}`] ?? [];
    if (bindings.length === 0) throw new NaruError('not-found', `Error: No public port '${wanted}' published for ${name}`);
    for (const binding of bindings) lines.push(address(binding.HostIp, binding.HostPort));
  }
  for (const line of lines.sort(naturalOrder)) io.out(`${line}\n`);
  return 0;
};

export const top: CommandRunner = async ({ client, args, io }) => {
  const [name = '', ...psArgs] = args;
  const table = await client().containers.top(name, psArgs.join(' '));
  io.out(alignTabs([table.Titles, ...(table.Processes ?? [])].map((row) => `${row.join('\t')}\n`).join(''), { minimum: 20, padding: 3 }));
  return 0;
};

/** One after the other, in their order. */
export const wait: CommandRunner = async ({ client, args, io }) => {
  const errors: unknown[] = [];
  for (const name of args) {
    try {
      io.out(`${(await (await client().containers.wait(name)).done).StatusCode}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  failTogether(errors);
  return 0;
};
