import { NaruError } from '#spec/errors.ts';
import type { Handler } from './call.ts';

/**
 * One line of the route table. `path` is literal segments and `{name}` variables; `{name…}` takes one or more segments
 * (image references contain slashes). `options.takesOver`: the answer may be the connection itself.
 */
export type Route = readonly [method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE', path: string, handler: Handler, options?: RouteOptions];
export interface RouteOptions { readonly takesOver?: boolean }

export interface Match { readonly handler: Handler; readonly params: Readonly<Record<string, string>>; readonly takesOver: boolean; readonly name: string }

interface Pattern { readonly segments: readonly string[]; readonly greedy: number; readonly route: Route }

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
const GREEDY_END = '…}';

/** Exact paths by one look-up, the others by first segment, in the order of the table. */
export class Router {
  readonly #exact = new Map<string, Match>();
  readonly #patterns = new Map<string, Pattern[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
  }

  /**
   * `path` as sent. Nothing is normalised: another case, an empty or dot segment is another path, and no route's. undefined:
   * no such route. Errors: invalid when a variable is not decodable.
   */
  match(method: string, path: string): Match | undefined {
    const exact = this.#exact.get(`${method} ${path}`);
    if (exact !== undefined) return exact;
    const segments = path.split('/');
    segments.shift();
    for (const pattern of this.#patterns.get(`${method} ${segments[0]}`) ?? []) {
      const params = matchPattern(pattern, segments);
      if (params !== undefined) return { handler: pattern.route[2], params, takesOver: takesOver(pattern.route), name: nameOf(pattern.route) };
    }
    return undefined;
  }

  #add(route: Route): void {
    const [method, path, handler] = route;
    if (!path.includes('{')) {
      this.#exact.set(`${method} ${path}`, { handler, params: NO_PARAMS, takesOver: takesOver(route), name: nameOf(route) });
      return;
    }
    const segments = path.slice(1).split('/');
    const key = `${method} ${segments[0]}`;
    const patterns = this.#patterns.get(key) ?? [];
    patterns.push({ segments, greedy: segments.findIndex((segment) => segment.endsWith(GREEDY_END)), route });
    this.#patterns.set(key, patterns);
  }
}

const takesOver = (route: Route): boolean => route[3]?.takesOver === true;
const nameOf = (route: Route): string => `${route[0]} ${route[1]}`;

function matchPattern({ segments, greedy }: Pattern, actual: readonly string[]): Record<string, string> | undefined {
  const extra = actual.length - segments.length;
  if (greedy < 0 ? extra !== 0 : extra < 0) return undefined;
  // What most patterns differ in, before anything is made.
  if (greedy < 0) for (let i = segments.length - 1; i > 0; i--) if (segments[i] !== actual[i] && !segments[i]!.startsWith('{')) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0, j = 0; i < segments.length; i++) {
    const wanted = segments[i]!;
    const width = i === greedy ? 1 + extra : 1;
    const given = actual.slice(j, j + width);
    j += width;
    if (!wanted.startsWith('{')) {
      if (given[0] !== wanted) return undefined;
      continue;
    }
    if (given.some((segment) => segment === '' || segment === '.' || segment === '..')) return undefined;
    const name = wanted.slice(1, i === greedy ? -GREEDY_END.length : -1);
    params[name] = decode(given.join('/'), i === greedy);
  }
  return params;
}

/** Errors: invalid for broken escapes, control characters, and for dot segments or slashes that hide behind escapes. */
function decode(text: string, slashesAllowed: boolean): string {
  if (!text.includes('%')) return text;
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch (cause) {
    throw new NaruError('invalid', `malformed escape in the path: ${text}`, { cause });
  }
  const dots = decoded.split('/').some((segment) => segment === '' || segment === '.' || segment === '..');
  if (dots || (!slashesAllowed && decoded.includes('/')) || /[\x00-\x1f\x7f]/.test(decoded)) {
    throw new NaruError('invalid', `forbidden character in the path: ${text}`);
  }
  return decoded;
}
