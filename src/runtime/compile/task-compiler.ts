import type { TaskRequest } from '#core/tasks/port.ts';
import { encodeOps, encodePlan, joinOps } from '#runtime/plan/encode.ts';
import type { Plan, PlanOp } from '#runtime/plan/plan.ts';
import type { OciSeccomp } from '#spec/oci-runtime.ts';
import type { CompileHost } from './compile-host.ts';
import { addContainerNetwork, addHostNetwork } from './compile-network.ts';
import { compileTask, type NetworkPlaces, type RuntimeOptions } from './compile-task.ts';
import { planBuilder } from './plan-builder.ts';

/** How many kinds of containers are remembered. A template is some 25 KB. */
const KEPT = 4;
/** What takes more to compare, an environment of megabytes, is not. */
const MAX_KEY = 64 * 1024;
/** An id as the engine gives them; names in paths and the hostname are the beginning of it, of these lengths. */
const ID = /^[0-9a-f]{64}$/;
const LENGTHS = [64, 24, 12] as const;

interface Place { readonly part: number; readonly at: number; readonly length: number }
/** The encoded operations before, between and after those of the network; their number; where the id, or its beginning, stands in them. */
interface Template { readonly parts: readonly Uint8Array[]; readonly count: number; readonly places: readonly Place[] }

/**
 * compileTask for many containers. Those that differ in their ids and their addresses alone (the replicas of a service, the same command
 * again and again) have the same plan but for these: it is compiled and encoded twice, then only the operations of the network are, and
 * the id is written where the other one was. Such a plan's `ops` are compiled when somebody asks for them: for an error, or a trace.
 */
export function taskCompiler(host: CompileHost, options: RuntimeOptions): (request: TaskRequest) => Plan {
  /** By what a plan is made of; undefined: seen once. The latest last. */
  const templates = new Map<string, Template | undefined>();
  const seccomps = new WeakMap<OciSeccomp, number>();
  let profiles = 0;

  const remember = (key: string, template: Template | undefined): void => {
    templates.delete(key);
    templates.set(key, template);
    for (const oldest of templates.keys()) {
      if (templates.size <= KEPT) return;
      templates.delete(oldest);
    }
  };

  /** Everything that a plan is made of, the id taken out. The filter, thousands of words, by which one it is. */
  const keyOf = ({ sources: _, network: _network, spec, ...rest }: TaskRequest): string => {
    const { seccomp, ...linux } = spec.linux ?? {};
    if (seccomp !== undefined && !seccomps.has(seccomp)) seccomps.set(seccomp, ++profiles);
    let key = JSON.stringify([rest, { ...spec, linux }, seccomp === undefined ? 0 : seccomps.get(seccomp)]);
    // JSON has no such characters in it.
    for (const length of LENGTHS) key = key.replaceAll(rest.id.slice(0, length), `\u0001${length}\u0001`);
    return key;
  };

  return (request) => {
    const compile = (more: RuntimeOptions = {}): Plan => compileTask(request, host, { ...options, ...more });
    if (!ID.test(request.id)) return compile();
    const key = keyOf(request);
    if (key.length > MAX_KEY) return compile();
    const known = templates.get(key);
    const seen = known !== undefined || templates.has(key);
    if (known !== undefined) {
      remember(key, known);
      return new TemplatePlan(fill(known, request), compile);
    }
    const networkAt: NetworkPlaces = { parent: [0, 0], child: [0, 0] };
    const plan = compile({ networkAt });
    const template = seen ? templateOf(plan.ops, request.id, networkAt) : undefined;
    // Each is tried with what it was made of.
    if (template === undefined || Buffer.compare(fill(template, request), encodePlan(plan)) === 0) remember(key, template);
    return plan;
  };
}

class TemplatePlan implements Plan {
  readonly whole: Uint8Array;
  readonly #compile: () => Plan;
  #ops: readonly PlanOp[] | undefined;

  constructor(whole: Uint8Array, compile: () => Plan) {
    this.whole = whole;
    this.#compile = compile;
  }

  get ops(): readonly PlanOp[] {
    return this.#ops ??= this.#compile().ops;
  }
}

function templateOf(ops: readonly PlanOp[], id: string, networkAt: NetworkPlaces): Template {
  const first = (section: string): number => ops.findIndex((op) => op.section === section);
  const [parent, child] = [first('parent'), first('child')];
  const [parentFrom, parentTo] = networkAt.parent.map((at) => Math.max(parent, 0) + at) as [number, number];
  const [childFrom, childTo] = networkAt.child.map((at) => child + at) as [number, number];
  const before = parent < 0 ? child : parentFrom;
  const parts = [ops.slice(0, before), ops.slice(parent < 0 ? child : parentTo, childFrom), ops.slice(childTo)];
  const encoded = parts.map(encodeOps);
  return { parts: encoded, count: parts.reduce((sum, part) => sum + part.length, 0), places: encoded.flatMap((bytes, part) => placesIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), part, id)) };
}

/** The longest beginning of the id at each place, as in the key. */
function placesIn(bytes: Buffer, part: number, id: string): Place[] {
  const places: Place[] = [];
  const shortest = LENGTHS[LENGTHS.length - 1]!;
  for (let at = bytes.indexOf(id.slice(0, shortest), 0, 'latin1'); at >= 0;) {
    const length = LENGTHS.find((each) => bytes.toString('latin1', at, at + each) === id.slice(0, each))!;
    places.push({ part, at, length });
    at = bytes.indexOf(id.slice(0, shortest), at + length, 'latin1');
  }
  return places;
}

function fill({ parts, count, places }: Template, { id, network }: TaskRequest): Uint8Array {
  const builder = planBuilder(undefined);
  addHostNetwork(builder, network);
  addContainerNetwork(builder, network);
  const ops = builder.build();
  const between = builder.count('parent');
  const { bytes, starts } = joinOps([parts[0]!, ops.slice(0, between), parts[1]!, ops.slice(between), parts[2]!], count + ops.length);
  const target = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const { part, at, length } of places) target.write(id.slice(0, length), starts[2 * part]! + at, 'latin1');
  return bytes;
}
