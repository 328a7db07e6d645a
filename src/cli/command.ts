import type { Client } from '#client/client.ts';
import type { ConfigFile } from './config-file.ts';
import type { Completion, Flag } from './flags/flag.ts';
import type { ParsedFlags } from './flags/parse-flags.ts';
import type { Io } from './io.ts';

/** What a command is given. */
export interface CommandContext {
  /** `naru`, or `docker` when called so. */
  readonly program: string;
  /** The command as the user called it, without the program: `container ls`. */
  readonly commandPath: string;
  readonly env: NodeJS.ProcessEnv;
  readonly io: Io;
  readonly flags: ParsedFlags;
  readonly args: readonly string[];
  /** The daemon. Made at first use. */
  client(): Client;
  /** Docker's config.json. Read at first use. */
  config(): ConfigFile;
  /** Where it lies, when not in the usual place. */
  readonly configDirectory: string | undefined;
  /** The context in use: its name alone. */
  contextName(): string;
  /** The daemon's address that the context `default` stands for. */
  defaultHost(): string;
  readonly debug: boolean;
  /** The id under which the daemon records what this command's requests do (`--trace`). */
  readonly traceId: string | undefined;
}

/** Returns the exit status; throws NaruError with its message (and `exitCode`, else 1). */
export type CommandRunner = (context: CommandContext) => Promise<number>;

/** One command of the table, from which parsing, help and completion are made. */
export interface Command {
  /** All its full names: the usual one first. */
  readonly names: readonly string[];
  /** What follows the name in the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** More than the summary, for its own help page. */
  readonly details?: string;
  /** How many arguments: at least, at most. */
  readonly args: readonly [number, number];
  /** Made when needed. */
  flags(): readonly Flag[];
  /** Flags end at the first argument. */
  readonly flagsFirst?: boolean;
  readonly completes?: Completion;
  /** Completes only this many arguments. */
  readonly completeArgs?: number;
  readonly hidden?: boolean;
  /** naru's own: not there for who calls us docker. */
  readonly naru?: boolean;
  /** On the front page of help. */
  readonly common?: boolean;
  /** Exit status of its failures, when not 1. */
  readonly failure?: number;
  load(): Promise<CommandRunner>;
}

/** A word that only groups commands: `container`, `image`. */
export interface CommandGroup { readonly name: string; readonly summary: string; readonly hidden?: boolean }
