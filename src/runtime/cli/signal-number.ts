import { constants } from 'node:os';
import { NaruError } from '#spec/errors.ts';

const MAX_SIGNAL = 64;
const RTMIN = 34;
const RTMAX = 64;

/** `KILL`, `SIGKILL`, `9`, `RTMIN+3`: its number. Throws `invalid`. */
export function signalNumber(word: string): number {
  const number = /^\d+$/.test(word) ? Number(word) : named(word.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined || number > MAX_SIGNAL) throw new NaruError('invalid', `unknown signal ${JSON.stringify(word)}`);
  return number;
}

function named(name: string): number | undefined {
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime === null) return (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  const number = (realTime[1] === 'MIN' ? RTMIN : RTMAX) + (realTime[2] === '-' ? -1 : 1) * Number(realTime[3] ?? 0);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}
