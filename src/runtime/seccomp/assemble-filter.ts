import { NaruError } from '#spec/errors.ts';
import type { FilterGraph, JumpOp } from './filter-graph.ts';

/** Classic BPF (https://www.kernel.org/doc/html/latest/networking/filter.html): code, jt, jf, k of struct sock_filter. */
const LOAD_ABSOLUTE = 0x20, AND = 0x54, RETURN = 0x06, JUMP = 0x05;
const JUMP_IF: Readonly<Record<JumpOp, number>> = { eq: 0x15, gt: 0x25, ge: 0x35 };
export const SOCK_FILTER_BYTES = 8;
/** BPF_MAXINSNS */
export const MAX_INSTRUCTIONS = 4096;
const MAX_CONDITIONAL = 255;

interface Instruction { readonly code: number; readonly yes: number; readonly no: number; readonly k: number }

/**
 * Lay the graph below `root` out as a program: an array of struct sock_filter. Written from the end to the beginning, so that
 * every target of a jump (all go forward) is known; a target further away than a conditional jump reaches gets a jump, or a
 * copy of the return, in between. Throws `too-large` above 4096 instructions.
 */
export function assembleFilter(graph: FilterGraph, root: number): Uint8Array<ArrayBuffer> {
  /** The last instruction first. */
  const backwards: Instruction[] = [];
  const placed = new Map<number, number>();
  const push = (instruction: Instruction): number => {
    if (backwards.length >= MAX_INSTRUCTIONS) {
      throw new NaruError('too-large', `/linux/seccomp: the profile needs more than ${MAX_INSTRUCTIONS} BPF instructions`, {
        hint: 'Merge rules of system calls that have the same conditions, or list fewer architectures.',
      });
    }
    return backwards.push(instruction) - 1;
  };
  const skip = (target: number): number => backwards.length - target - 1;

  const near = (node: number, target: number): number => {
    const step = graph.nodes[node]!;
    const bridge = step.kind === 'return' ? push({ code: RETURN, yes: 0, no: 0, k: step.value }) : push({ code: JUMP, yes: 0, no: 0, k: skip(target) });
    placed.set(node, bridge);
    return bridge;
  };
  const followedBy = (node: number): void => {
    const target = place(node);
    if (skip(target) !== 0) near(node, target);
  };
  const place = (node: number): number => {
    const done = placed.get(node);
    if (done !== undefined) return done;
    const step = graph.nodes[node]!;
    let at: number;
    if (step.kind === 'return') at = push({ code: RETURN, yes: 0, no: 0, k: step.value });
    else if (step.kind === 'load') {
      followedBy(step.next);
      at = push({ code: LOAD_ABSOLUTE, yes: 0, no: 0, k: step.offset });
    } else if (step.kind === 'and') {
      followedBy(step.next);
      at = push({ code: AND, yes: 0, no: 0, k: step.mask });
    } else {
      let yes = place(step.yes);
      let no = place(step.no);
      // One bridge can push the other target out of reach: look again.
      while (skip(yes) > MAX_CONDITIONAL || skip(no) > MAX_CONDITIONAL) {
        if (skip(yes) > MAX_CONDITIONAL) yes = near(step.yes, yes);
        else no = near(step.no, no);
      }
      at = push({ code: JUMP_IF[step.op], yes: skip(yes), no: skip(no), k: step.value });
    }
    placed.set(node, at);
    return at;
  };

  place(root);
  const program = new Uint8Array(backwards.length * SOCK_FILTER_BYTES);
  const view = new DataView(program.buffer);
  backwards.reverse().forEach(({ code, yes, no, k }, index) => {
    const offset = index * SOCK_FILTER_BYTES;
    view.setUint16(offset, code, true);
    view.setUint8(offset + 2, yes);
    view.setUint8(offset + 3, no);
    view.setUint32(offset + 4, k, true);
  });
  return program;
}
