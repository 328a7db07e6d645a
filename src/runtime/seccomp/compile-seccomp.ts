import { NaruError } from '#spec/errors.ts';
import type { OciSeccomp } from '#spec/oci-runtime.ts';
import { assembleFilter } from './assemble-filter.ts';
import { type HostArchitecture, hostArchitecture } from './default-profile.ts';
import { FilterGraph, type Interval, OFFSET_ARCH, OFFSET_NR } from './filter-graph.ts';
import { type AbiRules, resolveRules } from './resolve-rules.ts';
import { ARCHITECTURES, AUDIT_ARCH, FLAGS, FLAG_NEW_LISTENER, RET_KILL_PROCESS, RET_NOTIFY, SECCOMP_POINTER } from './seccomp-numbers.ts';
import { type SyscallAbi, X32_BIT } from './syscall-numbers.ts';

export interface CompiledSeccomp {
  /** An array of struct sock_filter, for seccomp(SECCOMP_SET_MODE_FILTER). Shared between callers: do not change it. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** SECCOMP_FILTER_FLAG_* bits, NEW_LISTENER included. */
  readonly flags: number;
  /** Some rule notifies: seccomp(2) returns a descriptor that belongs to `listenerPath`. */
  readonly listener: boolean;
}

export interface CompileOptions {
  /** Default: this machine's. */
  readonly architecture?: HostArchitecture;
}

const NATIVE: Readonly<Record<HostArchitecture, SyscallAbi>> = { amd64: 'x86_64', arm64: 'aarch64' };
const RET_ENOSYS = 0x00050000 + 38;
/** Calls of architectures that the profile does not list. */
const RET_FOREIGN = RET_KILL_PROCESS;
/** What a tracer writes to cancel a call: never counted as x32's. */
const NO_CALL = 0xffffffff;

const byIdentity = new WeakMap<OciSeccomp, Map<HostArchitecture, CompiledSeccomp>>();
const byContent = new Map<string, CompiledSeccomp>();
const CONTENT_LIMIT = 64;

/**
 * Compile an OCI profile (config.json linux.seccomp) to a filter. Rules mean what they mean to runc: see `resolveRules`. The
 * native ABI is always part of the filter; calls of an ABI that the profile does not list end the process (x32's too).
 * Compiling the same object, or an equal one, again costs nothing or a comparison: profiles must not be changed once compiled.
 * Throws `invalid` naming the field, `too-large` when the kernel would not take the program.
 */
export function compileSeccomp(profile: OciSeccomp, options: CompileOptions = {}): CompiledSeccomp {
  const architecture = options.architecture ?? hostArchitecture();
  let known = byIdentity.get(profile);
  if (known === undefined) byIdentity.set(profile, known = new Map());
  let compiled = known.get(architecture);
  if (compiled === undefined) {
    // The text itself: to load node:crypto for a hash costs a command line 4 ms, a hundred times the comparison.
    const key = `${architecture}\n${JSON.stringify(profile)}`;
    compiled = byContent.get(key) ?? compile(profile, architecture);
    if (byContent.size >= CONTENT_LIMIT) byContent.clear();
    byContent.set(key, compiled);
    known.set(architecture, compiled);
  }
  return compiled;
}

function compile(profile: OciSeccomp, architecture: HostArchitecture): CompiledSeccomp {
  const parts = resolveRules(profile, listedAbis(profile, NATIVE[architecture]));
  const listener = parts.some((part) => [...part.calls.values()].some((rules) => rules.some((rule) => rule.result === RET_NOTIFY)));
  const graph = new FilterGraph();
  const tokens = new Map<number, AbiRules[]>();
  for (const part of parts) tokens.set(AUDIT_ARCH[part.abi], [...(tokens.get(AUDIT_ARCH[part.abi]) ?? []), part]);
  const root = [...tokens].reduceRight(
    (otherwise, [token, abis]) => graph.jump('eq', token, { yes: graph.load(OFFSET_NR, graph.select(intervals(graph, abis))), no: otherwise }),
    graph.return(RET_FOREIGN),
  );
  return { program: assembleFilter(graph, graph.load(OFFSET_ARCH, root)), flags: filterFlags(profile, listener), listener };
}

/** The native ABI first: its calls are the ones that are made. */
function listedAbis(profile: OciSeccomp, native: SyscallAbi): SyscallAbi[] {
  const abis = new Set<SyscallAbi>([native]);
  (profile.architectures ?? []).forEach((name, index) => {
    if (!ARCHITECTURES.has(name)) {
      throw new NaruError('invalid', `${SECCOMP_POINTER}/architectures/${index}: unknown architecture ${JSON.stringify(name)}`);
    }
    const abi = ARCHITECTURES.get(name);
    if (abi !== undefined) abis.add(abi);
  });
  return [...abis];
}

/** All 2^32 call numbers of one architecture, which x86_64 and x32 share. */
function intervals(graph: FilterGraph, parts: readonly AbiRules[]): Interval[] {
  const main = parts.find((part) => part.abi !== 'x32');
  const x32 = parts.find((part) => part.abi === 'x32');
  const fallback = graph.return(parts[0]!.fallback);
  const foreign = graph.return(RET_FOREIGN);
  const list = main === undefined ? [{ start: 0, node: foreign }] : callIntervals(graph, main, 0);
  if (x32 !== undefined) list.push(...callIntervals(graph, x32, X32_BIT));
  else if (main?.abi === 'x86_64') list.push({ start: X32_BIT, node: foreign });
  list.push({ start: NO_CALL, node: fallback });
  return list;
}

function callIntervals(graph: FilterGraph, part: AbiRules, from: number): Interval[] {
  const fallback = graph.return(part.fallback);
  const wide = part.abi !== 'x86' && part.abi !== 'arm';
  const list: Interval[] = [{ start: from, node: fallback }];
  for (const [number, rules] of [...part.calls].sort(([a], [b]) => a - b)) {
    if (list.at(-1)!.start === number) list.pop();
    list.push({ start: number, node: graph.decide(rules, { fallback, wide }) }, { start: number + 1, node: fallback });
  }
  if (part.last !== undefined) {
    if (list.at(-1)!.start === part.last + 1) list.pop();
    list.push({ start: part.last + 1, node: graph.return(RET_ENOSYS) });
  }
  return list;
}

/** An absent list means SPEC_ALLOW, as in runc: speculation mitigations are the host's choice, not every container's cost. */
function filterFlags(profile: OciSeccomp, listener: boolean): number {
  let flags = listener ? FLAG_NEW_LISTENER : 0;
  for (const [index, name] of (profile.flags ?? ['SECCOMP_FILTER_FLAG_SPEC_ALLOW']).entries()) {
    if (!Object.hasOwn(FLAGS, name)) {
      throw new NaruError('invalid', `${SECCOMP_POINTER}/flags/${index}: unknown flag ${JSON.stringify(name)}`, { hint: `One of ${Object.keys(FLAGS).join(', ')}.` });
    }
    // The kernel refuses TSYNC together with a listener; the one thread that loads the filter needs no synchronisation.
    if (listener && name === 'SECCOMP_FILTER_FLAG_TSYNC') continue;
    // WAIT_KILLABLE_RECV without a listener is EINVAL.
    if (!listener && name === 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV') continue;
    flags |= FLAGS[name]!;
  }
  return flags;
}
