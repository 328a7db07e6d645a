import { randomBytes, randomInt } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A user's name without its leading slash. Throws invalid in Docker's words. */
export function checkName(name: string): string {
  const bare = name.startsWith('/') ? name.slice(1) : name;
  if (!NAME.test(bare)) {
    throw new NaruError('invalid', `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  return bare;
}

/** 64 hex digits whose first twelve are not a number (a tool could take them for one). */
export function newContainerId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d{12}/.test(id)) return id;
  }
}

const ADJECTIVES = [
  'able', 'airy', 'amber', 'ample', 'azure', 'balmy', 'brave', 'breezy', 'bright', 'brisk', 'calm', 'candid', 'clear', 'clever', 'cosy',
  'crisp', 'curious', 'daring', 'deft', 'eager', 'early', 'fair', 'fleet', 'fond', 'fresh', 'gentle', 'glad', 'golden', 'grand', 'happy',
  'hardy', 'honest', 'jolly', 'keen', 'kind', 'lively', 'loyal', 'lucid', 'lucky', 'mellow', 'merry', 'mild', 'modest', 'neat', 'nimble',
  'noble', 'patient', 'placid', 'plucky', 'polite', 'proud', 'quick', 'quiet', 'rapid', 'ready', 'serene', 'sharp', 'silent', 'sleek',
  'smooth', 'snug', 'sober', 'solid', 'spry', 'steady', 'still', 'sunny', 'swift', 'tidy', 'tranquil', 'upbeat', 'valiant', 'vivid', 'warm',
  'wise', 'witty', 'young', 'zesty',
];
/** People who moved water, ships, letters and programs. */
const SURNAMES = [
  'ampere', 'aristarchus', 'babbage', 'barents', 'bering', 'bernoulli', 'boole', 'brunel', 'cabot', 'cartier', 'champollion', 'church', 'clarke',
  'cook', 'cousteau', 'darwin', 'davis', 'drebbel', 'earhart', 'eckert', 'ericsson', 'euler', 'faraday', 'fitzroy', 'flinders', 'floyd',
  'franklin', 'fulton', 'gauss', 'goldberg', 'hadley', 'halley', 'hamming', 'harrison', 'hertz', 'hoare', 'holberton', 'hudson', 'humboldt',
  'huygens', 'iverson', 'jacquard', 'jang', 'karp', 'kelvin', 'kepler', 'knox', 'kowalevski', 'lamarr', 'lamport', 'laplace', 'lavoisier',
  'liskov', 'magellan', 'marconi', 'maury', 'mccarthy', 'mercator', 'meitner', 'milner', 'morse', 'nansen', 'naur', 'newcomen', 'noether',
  'nygaard', 'ohm', 'papin', 'pascal', 'peary', 'perlis', 'poisson', 'ramanujan', 'reynolds', 'ritchie', 'savery', 'sejong', 'shannon',
  'stokes', 'strachey', 'tasman', 'telford', 'tereshkova', 'torvalds', 'turing', 'ustinov', 'vinton', 'watt', 'wilkes', 'wirth', 'yi', 'zuse',
];

/** `adjective_surname` that `taken` does not know; a digit is added when luck runs out. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${ADJECTIVES[randomInt(ADJECTIVES.length)]}_${SURNAMES[randomInt(SURNAMES.length)]}${attempt < 6 ? '' : randomInt(10 ** Math.min(9, attempt - 5))}`;
    if (!taken(name)) return name;
  }
}
