import type { TraceSpan } from '#client/system-client.ts';
import { fs } from './on-demand.ts';
import type { CommandContext } from './command.ts';

export interface Span { readonly link: string; readonly name: string; readonly start: bigint; readonly end: bigint; readonly detail: string | undefined }

/** The chain, from the user to the kernel: a trace's rows of one moment come in this order. */
const LINKS = ['cli', 'api', 'engine', 'core', 'runtime', 'net', 'native', 'container'];

/** What `--trace` gathers: our own spans, and the daemon's under the same id. Times are nanoseconds of some clock. */
export class CliTrace {
  readonly id: string;
  readonly #spans: Span[] = [];
  readonly #start = process.hrtime.bigint();

  constructor(id: string) {
    this.id = id;
  }

  async span<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = process.hrtime.bigint();
    try {
      return await work();
    } finally {
      this.#spans.push({ link: 'cli', name, start, end: process.hrtime.bigint(), detail: undefined });
    }
  }

  /** Fetches the daemon's part and prints the table, or writes the file. */
  async show(context: CommandContext): Promise<void> {
    this.#spans.push({ link: 'cli', name: `${context.program} ${context.commandPath}`, start: this.#start, end: process.hrtime.bigint(), detail: undefined });
    let theirs: Span[] = [];
    try {
      theirs = aligned(this.#spans, (await context.client().system.trace(this.id)).map(fromWire));
    } catch (error) {
      context.io.err(`hint: the daemon has no trace of it: ${(error as Error).message}\n`);
    }
    const spans = [...this.#spans, ...theirs].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.end > b.end ? -1 : a.end < b.end ? 1 : rank(a) - rank(b)));
    const path = context.flags.string('trace');
    if (path === '' || path === '-') context.io.err(traceTable(spans));
    else fs().writeFileSync(path, traceEvents(spans));
  }
}

const rank = (span: Span): number => (LINKS.indexOf(span.link) + LINKS.length + 1) % (LINKS.length + 1);
const fromWire = (span: TraceSpan): Span => ({ link: span.link, name: span.name, start: BigInt(span.start), end: BigInt(span.end), detail: span.detail });
const milliseconds = (nanoseconds: bigint): string => (Number(nanoseconds) / 1e6).toFixed(3);

/** Requests that the daemon has done with when we have its answer: the name of our span, and the daemon's of it. */
const ANSWERED: readonly (readonly [string, RegExp])[] = [['create', /^POST .*\/containers\/create$/], ['start', /^POST .*\/containers\/[^/]+\/start$/]];

/**
 * The daemon's spans on our clock. Its clock is another (Bun's counts from the start of the process; the daemon may be on
 * another machine), but what it did for a request happened between our asking and its answer: that leaves little room.
 */
export function aligned(ours: readonly Span[], theirs: readonly Span[]): Span[] {
  let least: bigint | undefined;
  let most: bigint | undefined;
  for (const [name, pattern] of ANSWERED) {
    const mine = ours.find((span) => span.name === name);
    const its = theirs.findLast((span) => span.link === 'api' && pattern.test(span.name));
    if (mine === undefined || its === undefined) continue;
    if (least === undefined || mine.start - its.start > least) least = mine.start - its.start;
    if (most === undefined || mine.end - its.end < most) most = mine.end - its.end;
  }
  if (least === undefined || most === undefined) return [...theirs];
  const offset = least <= 0n && most >= 0n ? 0n : (least + most) / 2n;
  return theirs.map((span) => ({ ...span, start: span.start + offset, end: span.end + offset }));
}

/** One line a span, in order of start, indented below the span that it is within. */
export function traceTable(spans: readonly Span[]): string {
  const zero = spans[0]?.start ?? 0n;
  const open: Span[] = [];
  const rows = spans.map((span) => {
    while (open.length > 0 && (open.at(-1) as Span).end < span.end) open.pop();
    const row = { at: milliseconds(span.start - zero), took: milliseconds(span.end - span.start), link: span.link, name: `${'  '.repeat(open.length)}${span.name}${span.detail === undefined ? '' : `  ${span.detail}`}` };
    open.push(span);
    return row;
  });
  const line = (at: string, took: string, link: string, name: string): string => `${at.padStart(10)} ${took.padStart(10)}  ${link.padEnd(9)} ${name}`.trimEnd();
  return [line('AT ms', 'TOOK ms', 'LINK', 'WHAT'), ...rows.map((row) => line(row.at, row.took, row.link, row.name)), ''].join('\n');
}

/** Spans of one link on as few tracks as hold them: what a track shows lies within what it began in, or after it. */
function tracksOf(spans: readonly Span[]): number[] {
  const tracks: Span[][] = [];
  return spans.map((span) => {
    const fits = (open: Span[]): boolean => {
      while (open.length > 0 && (open.at(-1) as Span).end <= span.start) open.pop();
      return open.length === 0 || (open.at(-1) as Span).end >= span.end;
    };
    let track = tracks.findIndex(fits);
    if (track < 0) track = tracks.push([]) - 1;
    tracks[track]!.push(span);
    return track;
  });
}

/**
 * The Trace Event format that browsers' tracing pages open: a track for each link, and more where its spans cross.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export function traceEvents(spans: readonly Span[]): string {
  const zero = spans[0]?.start ?? 0n;
  const micro = (nanoseconds: bigint): number => Number(nanoseconds) / 1e3;
  const names: object[] = [];
  const events: object[] = [];
  let tid = 0;
  for (const link of [...new Set(spans.map((span) => span.link))].sort((a, b) => LINKS.indexOf(a) - LINKS.indexOf(b))) {
    const own = spans.filter((span) => span.link === link);
    const tracks = tracksOf(own);
    own.forEach((span, i) => events.push({
      name: span.name, cat: link, ph: 'X', ts: micro(span.start - zero), dur: micro(span.end - span.start), pid: 1, tid: tid + 1 + tracks[i]!,
      ...(span.detail === undefined ? {} : { args: { detail: span.detail } }),
    }));
    for (let i = Math.max(...tracks); i >= 0; i--) names.push({ name: 'thread_name', ph: 'M', pid: 1, tid: ++tid, args: { name: link } }, { name: 'thread_sort_index', ph: 'M', pid: 1, tid, args: { sort_index: tid } });
  }
  return `${JSON.stringify({ displayTimeUnit: 'ms', traceEvents: [...names, ...events] })}\n`;
}
