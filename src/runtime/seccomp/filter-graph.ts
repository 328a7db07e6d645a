import type { Condition, Rule } from './rule.ts';

export type JumpOp = 'eq' | 'gt' | 'ge';

/** A step of a filter: the accumulator is loaded, masked and compared; every path ends in a `return`. */
export type FilterNode =
  | { readonly kind: 'return'; readonly value: number }
  /** Load 32 bits of seccomp_data at this offset. */
  | { readonly kind: 'load'; readonly offset: number; readonly next: number }
  | { readonly kind: 'and'; readonly mask: number; readonly next: number }
  | { readonly kind: 'jump'; readonly op: JumpOp; readonly value: number; readonly yes: number; readonly no: number };

/** Offsets in struct seccomp_data; the machines here are little-endian. */
export const OFFSET_NR = 0;
export const OFFSET_ARCH = 4;
const OFFSET_ARGS = 16;

/** From this call number on, until the next interval's, `node` decides. */
export interface Interval {
  readonly start: number;
  readonly node: number;
}

/** A decision graph without cycles in which equal steps are one node, named by its index. */
export class FilterGraph {
  readonly nodes: FilterNode[] = [];
  private readonly known = new Map<string, number>();

  private intern(key: string, node: FilterNode): number {
    let id = this.known.get(key);
    if (id === undefined) {
      id = this.nodes.push(node) - 1;
      this.known.set(key, id);
    }
    return id;
  }

  return(value: number): number {
    return this.intern(`r${value}`, { kind: 'return', value });
  }

  load(offset: number, next: number): number {
    return this.nodes[next]!.kind === 'return' ? next : this.intern(`l${offset} ${next}`, { kind: 'load', offset, next });
  }

  jump(op: JumpOp, value: number, targets: { yes: number; no: number }): number {
    const { yes, no } = targets;
    return yes === no ? yes : this.intern(`${op}${value} ${yes} ${no}`, { kind: 'jump', op, value, yes, no });
  }

  private and(mask: number, next: number): number {
    return this.intern(`a${mask} ${next}`, { kind: 'and', mask, next });
  }

  /** The first rule whose conditions all hold gives the result, else `fallback`. `wide`: the ABI passes 64-bit arguments; in
   *  a 32-bit one the kernel ignores the upper half, whatever lies there, and so does the filter. */
  decide(rules: readonly Rule[], options: { fallback: number; wide: boolean }): number {
    return rules.reduceRight(
      (otherwise, rule) => rule.conditions.reduceRight(
        (then, condition) => this.condition(condition, { yes: then, no: otherwise }, options.wide),
        this.return(rule.result),
      ),
      options.fallback,
    );
  }

  private condition(condition: Condition, targets: { yes: number; no: number }, wide: boolean): number {
    const { yes, no } = targets;
    switch (condition.op) {
      case 'SCMP_CMP_EQ': return this.equal(condition, { yes, no }, wide);
      case 'SCMP_CMP_NE': return this.equal(condition, { yes: no, no: yes }, wide);
      case 'SCMP_CMP_GT': return this.greater('gt', condition, { yes, no }, wide);
      case 'SCMP_CMP_GE': return this.greater('ge', condition, { yes, no }, wide);
      case 'SCMP_CMP_LE': return this.greater('gt', condition, { yes: no, no: yes }, wide);
      case 'SCMP_CMP_LT': return this.greater('ge', condition, { yes: no, no: yes }, wide);
      case 'SCMP_CMP_MASKED_EQ': return this.masked(condition, { yes, no }, wide);
    }
  }

  private equal({ index, value }: Condition, targets: { yes: number; no: number }, wide: boolean): number {
    const lower = this.load(lowOf(index), this.jump('eq', low(value), targets));
    return wide ? this.load(highOf(index), this.jump('eq', high(value), { yes: lower, no: targets.no })) : lower;
  }

  private greater(op: 'gt' | 'ge', { index, value }: Condition, targets: { yes: number; no: number }, wide: boolean): number {
    const lower = this.load(lowOf(index), this.jump(op, low(value), targets));
    if (!wide) return lower;
    const sameUpper = this.jump('eq', high(value), { yes: lower, no: targets.no });
    return this.load(highOf(index), this.jump('gt', high(value), { yes: targets.yes, no: sameUpper }));
  }

  private masked({ index, value: mask, valueTwo: wanted }: Condition, targets: { yes: number; no: number }, wide: boolean): number {
    const part = (offset: number, bits: number, expected: number, yes: number): number => {
      if (bits === 0) return expected === 0 ? yes : targets.no;
      const test = this.jump('eq', expected, { yes, no: targets.no });
      if (test === targets.no) return test;
      return this.load(offset, bits === 0xffffffff ? test : this.and(bits, test));
    };
    const lower = part(lowOf(index), low(mask), low(wanted), targets.yes);
    return wide ? part(highOf(index), high(mask), high(wanted), lower) : lower;
  }

  /** A balanced decision over the call number in the accumulator. `intervals` is sorted and begins at 0. */
  select(intervals: readonly Interval[]): number {
    return this.balanced(this.withExceptions(joinEqual(intervals)));
  }

  /** An interval that is interrupted by single calls becomes one, with an equality test for each of (at most) two. */
  private withExceptions(intervals: readonly Interval[]): Interval[] {
    const joined: Interval[] = [];
    for (let at = 0; at < intervals.length;) {
      const { start, node } = intervals[at]!;
      let decision = node;
      for (let exceptions = 0; exceptions < 2; exceptions++) {
        const [single, after] = [intervals[at + 1], intervals[at + 2]];
        if (single === undefined || after === undefined || after.node !== node || after.start !== single.start + 1) break;
        decision = this.jump('eq', single.start, { yes: single.node, no: decision });
        at += 2;
      }
      joined.push({ start, node: decision });
      at++;
    }
    return joined;
  }

  private balanced(intervals: readonly Interval[]): number {
    if (intervals.length === 1) return intervals[0]!.node;
    const middle = intervals.length >> 1;
    return this.jump('ge', intervals[middle]!.start, { yes: this.balanced(intervals.slice(middle)), no: this.balanced(intervals.slice(0, middle)) });
  }
}

const joinEqual = (intervals: readonly Interval[]): Interval[] =>
  intervals.filter((interval, index) => index === 0 || intervals[index - 1]!.node !== interval.node);

const low = (value: bigint): number => Number(value & 0xffffffffn);
const high = (value: bigint): number => Number(value >> 32n);
const lowOf = (index: number): number => OFFSET_ARGS + 8 * index;
const highOf = (index: number): number => lowOf(index) + 4;
