/** One challenge of RFC 9110, section 11.6.1; names of schemes and parameters in lower case. */
export interface Challenge { scheme: string; parameters: Record<string, string> }

const MAX_HEADER_LENGTH = 16_384;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;

/** All challenges of a `WWW-Authenticate` header; stops quietly at what is malformed. */
export function parseChallenges(header: string): Challenge[] {
  const found: Challenge[] = [];
  if (header.length > MAX_HEADER_LENGTH) return found;
  let at = 0;
  const space = (): void => { while (at < header.length && ' \t'.includes(header[at] as string)) at++; };
  const token = (): string | undefined => {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(header);
    if (match === null) return undefined;
    at = TOKEN.lastIndex;
    return match[0];
  };
  const value = (): string | undefined => {
    if (header[at] !== '"') return token();
    let text = '';
    for (at++; at < header.length; at++) {
      if (header[at] === '"') { at++; return text; }
      if (header[at] === '\\') at++;
      text += header[at] ?? '';
    }
    return undefined;
  };
  for (;;) {
    while (at < header.length && ' \t,'.includes(header[at] as string)) at++;
    if (at >= header.length) return found;
    const name = token();
    if (name === undefined) return found;
    space();
    const current = found.at(-1);
    if (header[at] === '=' && current !== undefined) {
      at++;
      space();
      const text = value();
      if (text === undefined) return found;
      current.parameters[name.toLowerCase()] = text;
    } else {
      found.push({ scheme: name.toLowerCase(), parameters: Object.create(null) as Record<string, string> });
    }
  }
}

/** The inverse, for one challenge: every value quoted. */
export function formatChallenge(scheme: string, parameters: Record<string, string>): string {
  const fields = Object.entries(parameters).map(([name, text]) => `${name}="${text.replace(/[\r\n]/g, '').replace(/["\\]/g, '\\$&')}"`);
  return `${scheme} ${fields.join(',')}`;
}

/** A right that a token is asked for: https://distribution.github.io/distribution/spec/auth/scope/ */
export interface Scope { type: string; name: string; actions: string[] }

export const formatScope = (scope: Scope): string => `${scope.type}:${scope.name}:${scope.actions.join(',')}`;

export function parseScopes(text: string): Scope[] {
  return text.split(' ').flatMap((one) => {
    const match = /^([a-z]+(?:\([a-z]+\))?):(.+):([a-z*,]*)$/.exec(one);
    return match === null ? [] : [{ type: match[1] as string, name: match[2] as string, actions: (match[3] as string).split(',').filter((a) => a !== '') }];
  });
}
