import { ACCESS_ALL, type NormalRule } from './device-rules.ts';

/** eBPF (https://docs.kernel.org/bpf/standardization/instruction-set.html): an instruction is 8 bytes. */
const BPF_INSTRUCTION_BYTES = 8;
const LDX_W = 0x61, MOV64_REG = 0xbf, MOV64_IMM = 0xb7, AND32_IMM = 0x54, AND64_IMM = 0x57, RSH32_IMM = 0x74, EXIT = 0x95, JNE_IMM = 0x55,
  JEQ_IMM = 0x15, MOV32_REG = 0xbc, JNE32_IMM = 0x56;
const R0 = 0, R1 = 1, TYPE = 2, WANTED = 3, MAJOR = 4, MINOR = 5, PART = 6;
/** BPF_DEVCG_DEV_* */
const DEVICE_TYPES = { b: 1, c: 2 } as const;
/** Offsets in struct bpf_cgroup_dev_ctx. */
const CONTEXT = { accessType: 0, major: 4, minor: 8 } as const;

interface Instruction { readonly code: number; readonly dst?: number; readonly src?: number; offset?: number; readonly immediate?: number }

/**
 * A BPF_PROG_TYPE_CGROUP_DEVICE program for an ordered rule list: for each kind of access that is wanted (mknod, read,
 * write), the last rule that matches the device decides; without one the access is denied. It returns 1 to allow.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html#device-controller
 */
export function assembleDeviceProgram(rules: readonly NormalRule[]): Uint8Array<ArrayBuffer> {
  const program: Instruction[] = [
    { code: LDX_W, dst: TYPE, src: R1, offset: CONTEXT.accessType },
    { code: MOV32_REG, dst: WANTED, src: TYPE },
    { code: AND32_IMM, dst: TYPE, immediate: 0xffff },
    { code: RSH32_IMM, dst: WANTED, immediate: 16 },
    { code: LDX_W, dst: MAJOR, src: R1, offset: CONTEXT.major },
    { code: LDX_W, dst: MINOR, src: R1, offset: CONTEXT.minor },
  ];
  // From the last rule to the first: what a rule allows need not be asked any more, what it denies ends the matter.
  for (const rule of lastFirst(rules)) program.push(...ruleInstructions(rule));
  program.push(...result(0));
  return encode(program);
}

/** Rules before a pair that covers everything can decide nothing. */
function lastFirst(rules: readonly NormalRule[]): NormalRule[] {
  const reversed: NormalRule[] = [];
  const settled = new Set<string>();
  for (const rule of rules.toReversed()) {
    if (settled.has(rule.type)) continue;
    reversed.push(rule);
    if (rule.major === undefined && rule.minor === undefined && rule.access === ACCESS_ALL) settled.add(rule.type);
  }
  return reversed;
}

function ruleInstructions(rule: NormalRule): Instruction[] {
  const tests: Instruction[] = [{ code: JNE_IMM, dst: TYPE, immediate: DEVICE_TYPES[rule.type] }];
  if (rule.major !== undefined) tests.push({ code: JNE32_IMM, dst: MAJOR, immediate: rule.major });
  if (rule.minor !== undefined) tests.push({ code: JNE32_IMM, dst: MINOR, immediate: rule.minor });
  const verdict: Instruction[] = rule.allow
    ? [{ code: AND64_IMM, dst: WANTED, immediate: ~rule.access }, { code: JNE_IMM, dst: WANTED, immediate: 0, offset: 2 }, ...result(1)]
    : rule.access === ACCESS_ALL
      ? result(0)
      : [
        { code: MOV64_REG, dst: PART, src: WANTED }, { code: AND64_IMM, dst: PART, immediate: rule.access },
        { code: JEQ_IMM, dst: PART, immediate: 0, offset: 2 }, ...result(0),
      ];
  tests.forEach((test, index) => {
    test.offset = tests.length - index - 1 + verdict.length;
  });
  return [...tests, ...verdict];
}

const result = (value: 0 | 1): Instruction[] => [{ code: MOV64_IMM, dst: R0, immediate: value }, { code: EXIT }];

function encode(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * BPF_INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, dst = 0, src = 0, offset = 0, immediate = 0 }, index) => {
    const at = index * BPF_INSTRUCTION_BYTES;
    view.setUint8(at, code);
    view.setUint8(at + 1, (src << 4) | dst);
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, immediate | 0, true);
  });
  return bytes;
}
