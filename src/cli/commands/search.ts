import type { CommandRunner } from '../command.ts';
import { ellipsis } from '../format/display-width.ts';
import { renderTable, type Row } from '../format/table.ts';

const HEADERS = { Name: 'NAME', Description: 'DESCRIPTION', StarCount: 'STARS', IsOfficial: 'OFFICIAL', IsAutomated: 'AUTOMATED' };

/** `search`. */
export const search: CommandRunner = async ({ client, flags, args, io }) => {
  const results = await client().images.search(args[0] as string, { ...(flags.changed('limit') ? { limit: flags.number('limit') } : {}), filters: flags.filters() });
  const rows = results.map((result): Row => ({
    Name: result.name, Description: flags.bool('no-trunc') ? result.description.replace(/[\r\n]/g, ' ') : ellipsis(result.description.replace(/[\r\n]/g, ' '), 45), StarCount: String(result.star_count), IsOfficial: result.is_official ? '[OK]' : '', IsAutomated: result.is_automated ? '[OK]' : '',
  }));
  io.out(renderTable(rows, { format: flags.string('format') || 'table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}', headers: HEADERS, goType: '*registry.searchContext' }));
  return 0;
};
