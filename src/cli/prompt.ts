import { NaruError } from '#spec/errors.ts';
import type { Io } from './io.ts';

/** Asks; true for y. The end of stdin is a no. */
export async function confirm(io: Io, message: string): Promise<boolean> {
  return /^y$/i.test((await readLine(io, `${message} [y/N] `)).trim());
}

/** Asks for a line. */
export async function readLine(io: Io, message: string): Promise<string> {
  io.out(message);
  let text = '';
  for await (const chunk of io.input()) {
    text += new TextDecoder().decode(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

/** Asks for a line that is not shown. */
export async function readSecret(io: Io, message: string): Promise<string> {
  const { rawTerminal } = await import('./session/raw-terminal.ts');
  const restore = await rawTerminal();
  let text = '';
  try {
    io.out(message);
    for await (const chunk of io.input()) {
      for (const c of new TextDecoder().decode(chunk)) {
        if (c === '\r' || c === '\n') return text;
        if (c === '\x03') throw new NaruError('canceled', '', { exitCode: 130 });
        text = c === '\x7f' ? text.slice(0, -1) : text + c;
      }
    }
    return text;
  } finally {
    restore();
    io.out('\n');
  }
}
