import type { ByteStream } from './byte-stream.ts';

/** A line longer than this is no progress message. */
const MAX_LINE = 64 << 20;

/** The values of a stream of JSON texts, one a line (the daemon writes `\n` or `\r\n` after each). */
export async function* jsonStream<T>(source: ByteStream, parse: (line: string) => T = (line) => JSON.parse(line) as T): AsyncGenerator<T, void> {
  const decoder = new TextDecoder();
  let held = '';
  try {
    for (let chunk = await source.read(); chunk !== undefined; chunk = await source.read()) {
      held += decoder.decode(chunk, { stream: true });
      let from = 0;
      for (let at = held.indexOf('\n'); at >= 0; at = held.indexOf('\n', from)) {
        const line = held.slice(from, at).trim();
        from = at + 1;
        if (line !== '') yield parse(line);
      }
      held = held.slice(from);
      if (held.length > MAX_LINE) throw new Error('the daemon sent an endless line');
    }
    if (held.trim() !== '') yield parse(held);
  } finally {
    source.cancel();
  }
}
