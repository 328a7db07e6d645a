import { NaruError } from '#spec/errors.ts';
import type { OciSeccomp } from '#spec/oci-runtime.ts';
import { multiplexed } from './multiplexed-calls.ts';
import type { Condition, Rule } from './rule.ts';
import { COMPARATORS, RET_NOTIFY, SECCOMP_POINTER, isPermissive, returnValue } from './seccomp-numbers.ts';
import { type SyscallAbi, syscallNumbers } from './syscall-numbers.ts';

/** One ABI's part of a profile. */
export interface AbiRules {
  readonly abi: SyscallAbi;
  /** By call number. The first rule that matches decides; an unconditional one is alone. None matches: `fallback`. */
  readonly calls: ReadonlyMap<number, readonly Rule[]>;
  readonly fallback: number;
  /** The largest number that the profile knows: calls above it fail with ENOSYS. undefined: there is no such limit. */
  readonly last: number | undefined;
}

interface NamedRule {
  readonly name: string;
  readonly alternatives: readonly (readonly Condition[])[];
  readonly result: number;
}

/** Calls that are made between the filter and its agent's hearing of it: ours, and runc's. */
const HANDING_OVER = new Set(['sendmsg', 'write']);

const MAX_ARGUMENT = 2n ** 64n - 1n;
const ENOSYS = 38;

/**
 * Check a profile and resolve its names for each ABI, with the semantics that runc and libseccomp have given such profiles:
 * - a rule whose result is the default's is dropped;
 * - several rules for one call are alternatives; an unconditional rule beats conditional ones, and the first such rule wins;
 * - the arguments of a rule must all hold, but a rule that names one argument twice becomes a rule for each comparison;
 * - names that an ABI does not have are skipped;
 * - unless the default lets calls through, a call newer than any that the profile names fails with ENOSYS, so that programs
 *   fall back to older calls.
 * Throws `invalid`, naming the field.
 */
export function resolveRules(profile: OciSeccomp, abis: readonly SyscallAbi[]): AbiRules[] {
  const fallback = returnValue(profile.defaultAction, profile.defaultErrnoRet, { action: '/defaultAction', errno: '/defaultErrnoRet' });
  if (fallback === RET_NOTIFY) throw new NaruError('invalid', `${SECCOMP_POINTER}/defaultAction: SCMP_ACT_NOTIFY cannot be the default action`);
  const limited = !isPermissive(profile.defaultAction) && profile.defaultErrnoRet !== ENOSYS;
  const rules = (profile.syscalls ?? []).flatMap((rule, index) => parseRule(rule, `/syscalls/${index}`));
  return abis.map((abi) => resolveAbi(abi, rules, { fallback, limited }));
}

function parseRule(rule: NonNullable<OciSeccomp['syscalls']>[number], at: string): NamedRule[] {
  if (!Array.isArray(rule.names) || rule.names.length === 0) throw new NaruError('invalid', `${SECCOMP_POINTER}${at}/names: missing or empty`);
  const result = returnValue(rule.action, rule.errnoRet, { action: `${at}/action`, errno: `${at}/errnoRet` });
  const conditions = (rule.args ?? []).map((arg, index) => parseCondition(arg, `${at}/args/${index}`));
  const repeated = new Set(conditions.map((condition) => condition.index)).size < conditions.length;
  const alternatives = repeated ? conditions.map((condition) => [condition]) : [conditions];
  return rule.names.map((name) => {
    if (typeof name !== 'string' || name === '') throw new NaruError('invalid', `${SECCOMP_POINTER}${at}/names: an empty name is not a system call`);
    if (result === RET_NOTIFY && HANDING_OVER.has(name)) {
      throw new NaruError('invalid', `${SECCOMP_POINTER}${at}/action: SCMP_ACT_NOTIFY cannot be used for the ${name} system call`, {
        hint: 'The container itself needs it to hand over the listener, and would wait for ever.',
      });
    }
    return { name, alternatives, result };
  });
}

function parseCondition(arg: { index: number; value: number | string; valueTwo?: number | string; op: string }, at: string): Condition {
  if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5) {
    throw new NaruError('invalid', `${SECCOMP_POINTER}${at}/index: ${String(arg.index)} is not between 0 and 5`);
  }
  const op = COMPARATORS.find((name) => name === arg.op);
  if (op === undefined) {
    throw new NaruError('invalid', `${SECCOMP_POINTER}${at}/op: unknown comparator ${JSON.stringify(arg.op)}`, { hint: `One of ${COMPARATORS.join(', ')}.` });
  }
  return { index: arg.index, op, value: parseArgument(arg.value, `${at}/value`), valueTwo: parseArgument(arg.valueTwo ?? 0, `${at}/valueTwo`) };
}

function parseArgument(value: number | string, at: string): bigint {
  const exact = typeof value === 'string' ? /^(\d+|0x[0-9a-fA-F]+)$/.test(value) : Number.isSafeInteger(value);
  const number = exact ? BigInt(value) : -1n;
  if (number < 0n || number > MAX_ARGUMENT) {
    throw new NaruError('invalid', `${SECCOMP_POINTER}${at}: ${JSON.stringify(value)} is not an unsigned 64-bit integer`, {
      hint: 'Numbers beyond 2^53 are written as decimal strings.',
    });
  }
  return number;
}

function resolveAbi(abi: SyscallAbi, rules: readonly NamedRule[], options: { fallback: number; limited: boolean }): AbiRules {
  const numbers = syscallNumbers(abi);
  const calls = new Map<number, Rule[]>();
  let last = -1;
  const add = (number: number, rule: Rule): void => {
    const existing = calls.get(number);
    if (existing === undefined) calls.set(number, [rule]);
    else if (existing[0]!.conditions.length === 0) return;
    else if (rule.conditions.length === 0) calls.set(number, [rule]);
    else existing.push(rule);
  };
  for (const { name, alternatives, result } of rules) {
    const number = numbers.get(name);
    if (number !== undefined) last = Math.max(last, number);
    if (result === options.fallback) continue;
    for (const conditions of alternatives) {
      if (number !== undefined) add(number, { conditions, result });
      const shared = abi === 'x86' ? multiplexed(name, { conditions, result, fallback: options.fallback }) : undefined;
      if (shared !== undefined) add(numbers.get(shared.name)!, shared.rule);
    }
  }
  return { abi, calls, fallback: options.fallback, last: options.limited && last >= 0 ? last : undefined };
}
