import { OPS, PLAN_MAGIC, PLAN_MAX_BYTES, PLAN_TRACE, PLAN_VERSION, SECTIONS, SLOTS, type ArgKind, type OpDefinition } from './ops.ts';
import type { Plan, PlanOp } from './plan.ts';
import { NaruError } from '#spec/errors.ts';

const HEADER_BYTES = 16;
const OP_BYTES = 16;
/** Enough for most plans. */
const FIRST_BYTES = 24 * 1024;
const SECTION_CODES: Readonly<Record<string, number>> = Object.fromEntries(SECTIONS.map((name, code) => [name, code]));
const WORD = 4;
const FLAGS_AT = 6;

export interface EncodeOptions {
  /** Ask the helper for a TRACE message. */
  readonly trace?: boolean;
}

/** The bytes of a plan (native/README.md): little-endian, every operation aligned to 8. Throws `invalid` for a string that
 *  contains a NUL, a slot out of range, or a plan above PLAN_MAX_BYTES. */
export function encodePlan(plan: Plan, options: EncodeOptions = {}): Uint8Array {
  const flags = options.trace === true ? PLAN_TRACE : 0;
  if (plan.whole !== undefined) {
    new DataView(plan.whole.buffer, plan.whole.byteOffset).setUint16(FLAGS_AT, flags, true);
    return plan.whole;
  }
  const writer = new PlanWriter();
  const { encoded } = plan;
  if (encoded !== undefined) writer.encoded(encoded.bytes);
  for (let i = encoded?.count ?? 0; i < plan.ops.length; i++) writer.op(plan.ops[i]!);
  return writer.finish(plan.ops.length, flags);
}

/** A whole plan of `count` operations, some of which encodeOps wrote before; and where each part begins. */
export function joinOps(parts: readonly (Uint8Array | readonly PlanOp[])[], count: number): { bytes: Uint8Array; starts: number[] } {
  const writer = new PlanWriter();
  const starts = parts.map((part) => {
    const start = writer.position;
    if (part instanceof Uint8Array) writer.encoded(part);
    else for (const op of part) writer.op(op);
    return start;
  });
  return { bytes: writer.finish(count, 0), starts };
}

/** Operations alone: what `Plan.encoded` holds. They refer to nothing outside of themselves. Throws as encodePlan does. */
export function encodeOps(ops: readonly PlanOp[]): Uint8Array {
  const writer = new PlanWriter();
  for (const op of ops) writer.op(op);
  return writer.finish(ops.length, 0).slice(HEADER_BYTES);
}

/** Numbers are written as words of a typed array, which an interpreter does several times faster than calls of DataView; the machines
 *  that run this are little-endian, as the plan is. */
class PlanWriter {
  #bytes: Buffer;
  #words: Uint32Array;
  #at = HEADER_BYTES;

  constructor() {
    const memory = new ArrayBuffer(FIRST_BYTES);
    this.#bytes = Buffer.from(memory);
    this.#words = new Uint32Array(memory);
  }

  /** Room for so many bytes more. What was not written yet is zero. */
  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.byteLength) return;
    const memory = new ArrayBuffer((2 * (this.#at + more) + 7) & ~7);
    const bytes = Buffer.from(memory);
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
    this.#words = new Uint32Array(memory);
  }

  get position(): number {
    return this.#at;
  }

  encoded(ops: Uint8Array): void {
    this.#raw(ops);
  }

  op(op: PlanOp): void {
    const definition = OPS[op.name] as OpDefinition;
    const values = op.args as Readonly<Record<string, unknown>>;
    const start = this.#at;
    const count = definition.args.length;
    this.#reserve(OP_BYTES + 8 * count + 8);
    this.#at = start + OP_BYTES + 8 * count;
    for (let i = 0; i < count; i++) {
      const [name, kind] = definition.args[i]!;
      const value = values[name];
      if (value === undefined) throw invalid(op, `argument ${name} is missing`);
      this.#arg(op, start, start + OP_BYTES + 8 * i, name, kind, value);
    }
    this.#at = (this.#at + 7) & ~7;
    const words = this.#words;
    const word = start / WORD;
    words[word] = definition.code | (SECTION_CODES[op.section]! << 16) | (count << 24);
    words[word + 1] = this.#at - start;
    const { tolerate, skip } = op;
    if (tolerate !== undefined) words[word + 2] = (tolerate[0] ?? 0) | ((tolerate[1] ?? 0) << 16);
    if (skip !== undefined) words[word + 3] = skip;
  }

  finish(count: number, flags: number): Uint8Array {
    if (this.#at > PLAN_MAX_BYTES) {
      throw new NaruError('invalid', `the container's configuration is too large: ${this.#at} bytes, ${PLAN_MAX_BYTES} are possible`);
    }
    this.#words.set([PLAN_MAGIC, PLAN_VERSION | (flags << 16), this.#at, count]);
    return this.#bytes.subarray(0, this.#at);
  }

  /** `slot`: where the argument's eight bytes stand. */
  #arg(op: PlanOp, start: number, slot: number, name: string, kind: ArgKind, value: unknown): void {
    if (kind === 'int' || kind === 'slot') {
      const number = value as number | bigint;
      if (kind === 'slot' && (number < -1 || number >= SLOTS)) throw invalid(op, `${name} is not a slot: ${number}`);
      this.#u64(slot, number);
      return;
    }
    if (kind === 'ints') this.#at = (this.#at + 3) & ~3;
    const from = this.#at;
    if (kind === 'str' || kind === 'inroot') this.#string(op, value as string);
    else if (kind === 'list') for (const text of value as readonly string[]) this.#string(op, text);
    else if (kind === 'ints') for (const number of value as readonly number[]) this.#u32(number);
    else this.#raw(value as Uint8Array | string);
    const length = this.#at - from - (kind === 'str' || kind === 'inroot' ? 1 : 0);
    this.#words[slot / WORD] = from - start;
    this.#words[slot / WORD + 1] = length;
  }

  #u64(at: number, number: number | bigint): void {
    if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 0xffffffff) {
      this.#words[at / WORD] = number; // the high half is zero already
    } else {
      const wide = BigInt.asUintN(64, BigInt(number));
      this.#words[at / WORD] = Number(wide & 0xffff_ffffn);
      this.#words[at / WORD + 1] = Number(wide >> 32n);
    }
  }

  #u32(number: number): void {
    this.#reserve(8);
    this.#words[this.#at / WORD] = number;
    this.#at += WORD;
  }

  #raw(value: Uint8Array | string): void {
    if (typeof value === 'string') {
      this.#reserve(value.length * 3 + 8); // UTF-8 needs at most three bytes for each UTF-16 unit
      this.#at += this.#bytes.write(value, this.#at, 'utf8');
    } else {
      this.#reserve(value.byteLength + 8);
      this.#bytes.set(value, this.#at);
      this.#at += value.byteLength;
    }
  }

  #string(op: PlanOp, text: string): void {
    if (text.includes('\0')) throw invalid(op, `a string contains a NUL byte: ${JSON.stringify(text)}`);
    this.#raw(text);
    this.#at++;
  }
}

const invalid = (op: PlanOp, what: string): NaruError => new NaruError('invalid', `${op.name} (${op.why}): ${what}`);
