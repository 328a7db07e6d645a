import type { DnsCounts } from '#spec/naru-api.ts';
import type { CommandRunner } from '../command.ts';
import { humanSize } from '../format/human-size.ts';
import { renderTable, shortId, type Row } from '../format/table.ts';

const COLUMNS = ['Queries', 'Local', 'Cached', 'Forwarded', 'Withheld', 'Failed', 'Refused', 'Timeouts', 'Mismatched', 'Tcp'] as const satisfies readonly (keyof DnsCounts)[];
const HEADERS = { Name: 'CONTAINER', ID: 'CONTAINER ID', ...Object.fromEntries(COLUMNS.map((name) => [name, name.toUpperCase()])) };

/** `network dns`: what the resolver of containers was asked, and what became of it. */
export const networkDns: CommandRunner = async ({ client, flags, io }) => {
  const report = await client().networks.dns();
  const asked = flags.string('format');
  if (asked === 'json') {
    io.out(`${JSON.stringify(report, null, 2)}\n`);
    return 0;
  }
  const row = (name: string, id: string, counts: DnsCounts): Row => ({ Name: name, ID: shortId(id), ...Object.fromEntries(COLUMNS.map((column) => [column, String(counts[column])])) });
  const format = asked === '' || asked === 'table' ? `table {{.Name}}\t${COLUMNS.map((name) => `{{.${name}}}`).join('\t')}` : asked;
  io.out(renderTable([...report.Containers.map((each) => row(each.Name, each.Id, each)), row('all since it started', '', report.Total)], { format, headers: HEADERS, goType: '*network.dnsContext' }));
  if (asked !== '') return 0;
  if (report.Pid === undefined) io.out('\nNo container needs the resolver: it does not run.\n');
  else {
    io.out(`\nprocess ${report.Pid}, up ${report.UptimeSeconds} s, ${humanSize(report.Memory ?? 0)}\n`);
    const answered = report.Latency.filter(({ Answers }) => Answers > 0).map(({ Most, Answers }) => `${Most === null ? 'more' : `<= ${Most} ms`}: ${Answers}`);
    if (answered.length > 0) io.out(`upstream answered  ${answered.join(', ')}\n`);
  }
  return 0;
};
