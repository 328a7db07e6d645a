/** What every verb is given: the global flags, and where the helper is. */
export interface RuntimeContext {
  /** --root: a directory for each container. */
  readonly root: string;
  readonly systemdCgroup: boolean;
  readonly rootless: boolean;
  readonly criu: string;
  readonly debug: boolean;
  /** naru's own. */
  readonly version: string;
  /** The helper program (native/), as bytes. */
  helper(): Uint8Array;
  /** What the user can be told that is no failure. */
  warn(message: string): void;
}

/** A verb of the command line: its words in, its exit status out. */
export type Verb = (words: readonly string[], context: RuntimeContext) => number | Promise<number>;

export const DEFAULT_ROOT = '/run/naru-runtime';
