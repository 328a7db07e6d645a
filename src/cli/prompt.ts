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
