import { registryError } from './error-codes.ts';

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags */
export interface PageRequest { limit: number; last: string | undefined }

/** `?n=&last=`. More than `most` are never given at once: the Link header tells of the rest. Throws PAGINATION_NUMBER_INVALID. */
export function parsePageRequest(query: URLSearchParams, most: number): PageRequest {
  const n = query.get('n');
  if (n !== null && !/^\d{1,9}$/.test(n)) throw registryError('PAGINATION_NUMBER_INVALID', `invalid number of results ${JSON.stringify(n.slice(0, 40))}`);
  return { limit: n === null ? most : Math.min(Number(n), most), last: query.get('last') ?? undefined };
}

/** RFC 8288: `Link: <path?query>; rel="next"`. */
export function formatNextLink(path: string, parameters: Record<string, string>): string {
  return `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"`;
}

/** The target of the first link with rel=next. */
export function parseNextLink(header: string | null | undefined): string | undefined {
  for (const match of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[^,;<]+)*)/g)) {
    if (/;\s*rel\s*=\s*"?next"?(?:\s*;|\s*$)/i.test(match[2] as string)) return match[1];
  }
  return undefined;
}
