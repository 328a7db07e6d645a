import { displayWidth, ellipsis } from '../format/display-width.ts';
import type { Topology, TopologyContainer } from './topology.ts';

/** Pixels. Text is monospaced, so that widths are known without a font. */
const GLYPH = 7;
const LINE = 17;
const MARGIN = 24;
const HEADER = 78;
const BOX_WIDTH = 210;
const ROW_GAP = 22;
const LONGEST_LABEL = 40;
/** Told apart in light and dark, and by most of those who see fewer colours. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#56b4e9', '#7b5ea7', '#6b6b6b'];

const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');

/**
 * A drawing in which nothing can overlap: each network is a vertical line, each container a row; a dot stands where a container
 * is on a network, with its address; published ports come in from the left. One self-contained SVG document, the same for
 * the same topology. Names from outside are escaped.
 */
export function drawSvg(topology: Topology): string {
  const portsWidth = Math.max(0, ...topology.containers.flatMap((container) => container.ports.map((port) => width(port)))) + (topology.containers.some((c) => c.ports.length > 0) ? 40 : 0);
  const boxLeft = MARGIN + portsWidth;
  const columns: { id: string; x: number; colour: string; title: string; facts: string[] }[] = [];
  let x = boxLeft + BOX_WIDTH + 40;
  topology.networks.forEach((network, index) => {
    const title = ellipsis(network.name, LONGEST_LABEL);
    const facts = [[network.driver, ...(network.internal ? ['internal'] : [])].join(', '), ...network.subnets].map((fact) => ellipsis(fact, LONGEST_LABEL));
    const addresses = topology.containers.flatMap((container) => container.endpoints.filter((e) => e.networkId === network.id).flatMap((e) => e.addresses));
    columns.push({ id: network.id, x, colour: COLOURS[index % COLOURS.length] as string, title, facts });
    x += Math.max(...[title, ...facts, ...addresses].map((text) => width(text)), 60) + 36;
  });
  const deepest = Math.max(0, ...columns.map((column) => column.facts.length - 2)) * LINE;
  let y = MARGIN + HEADER + deepest;
  const rows = topology.containers.map((container) => {
    const row = { container, y, height: Math.max(2 * LINE + 14, container.ports.length * LINE + 10, addressLines(container) * LINE + 10) };
    y += row.height + ROW_GAP;
    return row;
  });
  const bottom = y + MARGIN - ROW_GAP;
  const parts: string[] = [];
  for (const column of columns) {
    parts.push(`<line x1="${column.x}" y1="${MARGIN + HEADER + deepest - 12}" x2="${column.x}" y2="${bottom - MARGIN + 8}" stroke="${column.colour}" stroke-width="3" stroke-linecap="round"/>`);
    parts.push(text(column.x, MARGIN + 12, column.title, `fill="${column.colour}" font-weight="bold"`));
    column.facts.forEach((fact, index) => parts.push(text(column.x, MARGIN + 12 + (index + 1) * LINE, fact, 'class="dim"')));
  }
  for (const { container, y: top, height } of rows) {
    const middle = top + height / 2;
    const on = columns.filter((column) => container.endpoints.some((endpoint) => endpoint.networkId === column.id));
    const farthest = on.at(-1);
    if (farthest !== undefined) parts.push(`<line x1="${boxLeft + BOX_WIDTH}" y1="${middle}" x2="${farthest.x}" y2="${middle}" class="wire"/>`);
    for (const column of on) {
      parts.push(`<circle cx="${column.x}" cy="${middle}" r="6" fill="${column.colour}"/>`);
      const addresses = container.endpoints.find((endpoint) => endpoint.networkId === column.id)?.addresses ?? [];
      addresses.forEach((address, index) => parts.push(text(column.x + 11, middle - 7 - (addresses.length - 1 - index) * LINE, address, 'class="address"')));
    }
    parts.push(`<rect x="${boxLeft}" y="${top}" width="${BOX_WIDTH}" height="${height}" rx="6" class="${container.state === 'running' ? 'box' : 'box stopped'}"/>`);
    const room = Math.floor((BOX_WIDTH - 20) / GLYPH);
    parts.push(text(boxLeft + 10, middle - 3, ellipsis(container.name, room), 'font-weight="bold"'));
    parts.push(text(boxLeft + 10, middle + LINE - 3, ellipsis(subtitle(container), room), 'class="dim"'));
    container.ports.forEach((port, index) => {
      const line = middle + (index - (container.ports.length - 1) / 2) * LINE;
      parts.push(text(MARGIN, line + 4, port, ''));
      parts.push(`<path d="M${MARGIN + width(port) + 6} ${line}H${boxLeft - 3}m-6 -4l6 4l-6 4" class="port"/>`);
    });
  }
  const whole = Math.max(x, boxLeft + BOX_WIDTH + MARGIN);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${bottom}" viewBox="0 0 ${whole} ${bottom}" role="img" aria-label="Networks and containers">
<style>text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24}.dim{fill:#6a737d}.address{font-size:11px}.box{fill:#f6f8fa;stroke:#57606a}.stopped{stroke-dasharray:4 3;fill:none}.wire{stroke:#8c959f;stroke-width:1.5}.port{fill:none;stroke:#57606a;stroke-width:1.5}.ground{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#8b949e}.box{fill:#161b22;stroke:#8b949e}.stopped{fill:none}.port{stroke:#8b949e}.ground{fill:#0d1117}}</style>
<rect class="ground" width="100%" height="100%"/>
${parts.join('\n')}
</svg>
`;
}

const width = (value: string): number => displayWidth(value) * GLYPH;
const addressLines = (container: TopologyContainer): number => 2 * Math.max(0, ...container.endpoints.map((endpoint) => endpoint.addresses.length));
const subtitle = (container: TopologyContainer): string => [container.shares === undefined ? container.image : `network of ${container.shares}`, ...(container.state === 'running' ? [] : [container.state])].join(' · ');
const text = (x: number, y: number, value: string, attributes: string): string => `<text x="${x}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escape(value)}</text>`;
