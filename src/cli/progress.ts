import type { ProgressMessage } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { humanSize } from './format/human-size.ts';
import type { Io } from './io.ts';

const CLEAR_LINE = '\x1b[2K';

/**
 * Prints a stream of progress messages to stdout or stderr (`fd`), or nowhere. On a terminal the lines of one id are redrawn in
 * place. Throws the daemon's error when one comes.
 */
export async function displayProgress(messages: AsyncIterable<ProgressMessage>, io: Io, fd: 1 | 2 | undefined): Promise<void> {
  const terminal = fd !== undefined && io.isTerminal(fd);
  const columns = terminal ? ((await io.size())?.columns ?? 200) : 200;
  const print = (text: string): void => {
    if (fd === 1) io.out(text);
    else if (fd === 2) io.err(text);
  };
  let lines = new Map<string, number>();
  for await (const message of messages) {
    if (message.errorDetail !== undefined || message.error !== undefined) throw new NaruError('internal', message.errorDetail?.message ?? message.error ?? '');
    if (message.aux !== undefined) continue;
    const bar = message.progressDetail === undefined ? undefined : progressBar(message.progressDetail.current ?? 0, message.progressDetail.total ?? 0, columns);
    let text = '';
    let up = 0;
    if (message.id !== undefined && message.id !== '' && (message.progressDetail !== undefined || (message.progress ?? '') !== '')) {
      const known = lines.get(message.id);
      const line = known ?? lines.size;
      if (known === undefined) {
        lines.set(message.id, line);
        if (terminal) text += '\n';
      }
      up = lines.size - line;
      if (terminal) text += `\x1b[${up}A`;
    } else lines = new Map();
    const redraw = terminal && message.stream === undefined && message.progressDetail !== undefined;
    // Without a terminal only what is final is of interest.
    if (!redraw && bar !== undefined && bar !== '') continue;
    if (redraw) text += `${CLEAR_LINE}\r`;
    if (message.id !== undefined && message.id !== '') text += `${message.id}: `;
    if (redraw) text += `${message.status ?? ''} ${bar ?? ''}\r`;
    else if (message.progress !== undefined && message.progress !== '') text += `${message.status ?? ''} ${message.progress}`;
    else if (message.stream !== undefined) text += message.stream;
    else text += `${message.status ?? ''}\n`;
    if (terminal && up > 0) text += `\x1b[${up}B`;
    print(text);
  }
}

function progressBar(current: number, total: number, columns: number): string {
  if (current <= 0 && total <= 0) return '';
  if (total <= 0) return humanSize(current).padStart(8);
  const half = Math.min(50, Math.trunc(Math.trunc((current / total) * 100) / 2));
  const box = columns > 110 ? `[${'='.repeat(half)}>${' '.repeat(50 - half)}] ` : '';
  return box + (current > total ? humanSize(current).padStart(8) : `${humanSize(current).padStart(8)}/${humanSize(total)}`);
}
