/** What a flag's words are parsed to (flags/flag-types.ts). */
export type FlagType =
  | 'bool' | 'string' | 'int' | 'int64' | 'uint' | 'uint16' | 'duration' | 'list' | 'strings' | 'map' | 'pairs' | 'bytes' | 'memory-swap' | 'cpus'
  | 'filter' | 'mount' | 'gpus' | 'network' | 'ulimit' | 'attach' | 'env' | 'label' | 'add-host' | 'ip' | 'dns-search' | 'device-rule'
  | 'throttle-bps' | 'throttle-iops' | 'weight' | 'link' | 'sysctl' | 'trace';

/** One flag of a command. */
export interface Flag {
  readonly name: string;
  readonly short: string | undefined;
  readonly type: FlagType;
  readonly help: string;
  /** As the user would write it. Left out: the type's zero. */
  readonly default?: string;
  readonly hidden?: boolean;
  /** What to use instead. */
  readonly deprecated?: string;
  /** Another name of that flag. */
  readonly aliasOf?: string;
  /** naru's own: not there for who calls us docker. */
  readonly naru?: boolean;
  /** What its value can be completed with. */
  readonly completes?: Completion;
}

/** What a word can be completed with. */
export type Completion = 'containers' | 'running' | 'stopped' | 'images' | 'volumes' | 'networks' | 'contexts' | 'files' | 'mounts' | 'none';

type FlagExtras = Omit<Partial<Flag>, 'name' | 'short' | 'type' | 'help'>;

/** `flag('all,a', 'bool', 'Show all')`: the name, and a comma and the one-letter name when there is one. */
export function flag(names: string, type: FlagType, help: string, extras?: FlagExtras): Flag {
  const comma = names.indexOf(',');
  const plain = { name: comma < 0 ? names : names.slice(0, comma), short: comma < 0 ? undefined : names.slice(comma + 1), type, help };
  return extras === undefined ? plain : { ...plain, ...extras };
}

/** Of a command without flags. */
export const noFlags = (): readonly Flag[] => [];
