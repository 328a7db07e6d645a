import { NaruError } from '#spec/errors.ts';

export const MAX_API_VERSION = '1.51';
export const MIN_API_VERSION = '1.24';

/** The minor number of a `1.x` version, which is all that this server speaks: 51 for `1.51`. */
export type ApiMinor = number;
export const LATEST_MINOR: ApiMinor = 51;

const SHAPE = /^[0-9]{1,4}(?:\.[0-9]{1,4})*$/;

/** What the `/v…` prefix asks for. Errors: invalid, in Docker's words, when it is too new or too old. */
export function negotiateVersion(asked: string): ApiMinor {
  if (!SHAPE.test(asked)) throw new NaruError('invalid', `malformed API version: ${asked}`);
  const [major = 0, minor = 0, ...rest] = asked.split('.').map(Number);
  if (major > 1 || (major === 1 && (minor > LATEST_MINOR || (minor === LATEST_MINOR && rest.some((part) => part > 0))))) {
    throw new NaruError('invalid', `client version ${asked} is too new. Maximum supported API version is ${MAX_API_VERSION}`);
  }
  if (major < 1 || minor < 24) {
    throw new NaruError('invalid', `client version ${asked} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`);
  }
  return minor;
}
