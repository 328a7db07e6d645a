import { registryError } from './error-codes.ts';

/** Both ends are in it. */
export interface ByteRange { start: number; end: number }

const CHUNK = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/;
const REQUEST = /^bytes=(\d{0,15})-(\d{0,15})$/;

/** `Content-Range` of a chunk: `<start>-<end>` (distribution-spec), also as RFC 9110 writes it. Throws RANGE_INVALID. */
export function parseChunkRange(text: string): ByteRange {
  const match = CHUNK.exec(text.trim());
  const start = Number(match?.[1]);
  const end = Number(match?.[2]);
  if (match !== null && end >= start) return { start, end };
  throw registryError('BLOB_UPLOAD_INVALID', `invalid Content-Range ${JSON.stringify(text.slice(0, 80))}`, { hint: 'write <first byte>-<last byte>', status: 416 });
}

/**
 * `Range` of a GET (RFC 9110, section 14.2) against a size. `undefined`: there is none, or it is of a kind that may be ignored
 * (several ranges, another unit). Throws RANGE_INVALID when nothing of it exists.
 */
export function parseRequestRange(text: string | undefined, size: number): ByteRange | undefined {
  const match = text === undefined ? null : REQUEST.exec(text.trim());
  if (match === null) return undefined;
  const [, first, last] = match as unknown as [string, string, string];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start < size && end >= start && (first !== '' || Number(last) > 0)) return { start, end };
  throw registryError('RANGE_INVALID', `range ${text as string} is outside of the ${size} bytes`, { headers: { 'Content-Range': `bytes */${size}` } });
}

export const formatContentRange = (range: ByteRange, size: number): string => `bytes ${range.start}-${range.end}/${size}`;

/** The `Range` header of an upload: what the server has. Nothing at all reads `0-0`, as every registry writes it. */
export const formatUploadRange = (received: number): string => `0-${Math.max(0, received - 1)}`;
