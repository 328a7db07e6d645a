import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { renderTable } from '../format/table.ts';
import { VOLUME_HEADERS, volumeRow } from '../format/volume-row.ts';
import { failTogether } from '../many.ts';

/** `volume create`. */
export const createVolume: CommandRunner = async ({ client, flags, args, io }) => {
  if (args[0] !== undefined && flags.string('name') !== '') throw new NaruError('invalid', 'conflicting options: cannot specify a volume-name through both --name and as a positional arg');
  const labels = Object.fromEntries(flags.list('label').map((label) => [label.split('=')[0] as string, label.includes('=') ? label.slice(label.indexOf('=') + 1) : '']));
  const volume = await client().volumes.create({ Name: args[0] ?? flags.string('name'), Driver: flags.string('driver'), DriverOpts: flags.map('opt'), Labels: labels });
  io.out(`${volume.Name}\n`);
  return 0;
};

/** `volume ls`. */
export const listVolumes: CommandRunner = async ({ client, flags, io, config }) => {
  const quiet = flags.bool('quiet');
  const answer = await client().volumes.list(flags.filters());
  const asked = flags.string('format') || (quiet ? '' : (config().volumesFormat ?? ''));
  const format = asked === '' || asked === 'table' ? (quiet ? '{{.Name}}' : 'table {{.Driver}}\t{{.Name}}') : asked === 'raw' ? (quiet ? 'name: {{.Name}}' : 'name: {{.Name}}\\ndriver: {{.Driver}}\\n') : asked;
  const volumes = [...(answer.Volumes ?? [])].sort((a, b) => naturalOrder(a.Name, b.Name));
  io.out(renderTable(volumes.map(volumeRow), { format, headers: VOLUME_HEADERS, goType: '*formatter.volumeContext' }));
  return 0;
};

/** `volume rm`. */
export const removeVolumes: CommandRunner = async ({ client, flags, args, io }) => {
  const errors: unknown[] = [];
  for (const name of args) {
    try {
      await client().volumes.remove(name, { force: flags.bool('force') });
      io.out(`${name}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  failTogether(errors);
  return 0;
};
