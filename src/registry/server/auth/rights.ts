import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { namePattern } from '../name-pattern.ts';

export const ACTIONS = ['pull', 'push', 'delete'] as const;
export type Action = (typeof ACTIONS)[number];

/** Who calls, and what they may do. `user` undefined: nobody in particular. */
export interface Caller {
  user: string | undefined;
  /** Has proven who they are. */
  known: boolean;
  may(name: RepositoryName, action: Action): boolean;
  /** May ask for lists at all; they hold only what the caller may pull. */
  mayList: boolean;
  /** Sees every name in the catalog (a token's right on registry:catalog). */
  seesAll?: boolean;
}

/** One line of the access list: these users (`*`: whoever has logged in) may do this to these repositories. */
export interface AccessRule { users: string[]; repositories: string; actions: Action[] }

/** No authentication is set up: everybody may do everything. */
export const EVERYBODY: Caller = { user: undefined, known: false, may: () => true, mayList: true };

/** Rights of somebody who gave no credentials: pull of what the patterns match, if anything. */
export function anonymousCaller(patterns: readonly string[]): Caller {
  const matchers = patterns.map(namePattern);
  return { user: undefined, known: false, may: (name, action) => action === 'pull' && matchers.some((matches) => matches(name)), mayList: matchers.length > 0 };
}

/** Rights of a user of the password file. Without any rule everybody who can log in may do everything. `delete` includes nothing else. */
export function userCaller(user: string, rules: readonly AccessRule[], anonymous: Caller): Caller {
  if (rules.length === 0) return { user, known: true, may: () => true, mayList: true };
  const mine = rules.filter((rule) => rule.users.includes(user) || rule.users.includes('*')).map((rule) => ({ ...rule, matches: namePattern(rule.repositories) }));
  return {
    user, known: true, mayList: true,
    may: (name, action) => mine.some((rule) => rule.actions.includes(action) && rule.matches(name)) || anonymous.may(name, action),
  };
}
