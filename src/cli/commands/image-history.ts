import type { CommandRunner } from '../command.ts';
import { platformOf } from '../create/create-container.ts';
import { ellipsis } from '../format/display-width.ts';
import { humanSize } from '../format/human-size.ts';
import { humanAge, rfc3339 } from '../format/human-time.ts';
import { renderTable, shortId, type Row } from '../format/table.ts';

const HEADERS = { ID: 'IMAGE', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', CreatedBy: 'CREATED BY', Size: 'SIZE', Comment: 'COMMENT' };
/** Nothing was built before 2000: such times mean that there is none. */
const EPOCH = Date.UTC(2000, 0, 1) / 1000;

/** `history`. */
export const history: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const platform = platformOf(context);
  const items = await context.client().images.history(args[0] as string, platform === undefined ? {} : { platform });
  const human = flags.bool('human');
  const trunc = !flags.bool('no-trunc');
  const rows = items.map((item): Row => {
    const by = item.CreatedBy.replaceAll('\t', ' ');
    const at = rfc3339(item.Created);
    return {
      Comment: item.Comment, CreatedAt: at, CreatedBy: trunc ? ellipsis(by, 45) : by, CreatedSince: !human ? at : item.Created <= EPOCH ? 'N/A' : humanAge(item.Created),
      ID: trunc ? shortId(item.Id) : item.Id, Size: human ? humanSize(item.Size, 3) : String(item.Size),
    };
  });
  const asked = flags.string('format');
  const standard = flags.bool('quiet') ? '{{.ID}}' : `table {{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`;
  io.out(renderTable(rows, { format: asked === '' || asked === 'table' ? standard : asked, headers: human ? HEADERS : { ...HEADERS, CreatedSince: 'CREATED AT' }, goType: '*image.historyContext' }));
  return 0;
};
