import type { MessageWriter } from './message-writer.ts';
import { NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM } from './nft-constants.ts';
import * as N from './nft-constants.ts';

/** One expression of a rule: it writes itself into the rule's list. */
export type Expression = (w: MessageWriter) => void;

const IFNAMSIZ = 16;
const encoder = new TextEncoder();

const expression = (name: string, data: (w: MessageWriter) => void): Expression => (w) => {
  w.nest(NFTA_LIST_ELEM, () => {
    w.string(NFTA_EXPR_NAME, name);
    w.nest(NFTA_EXPR_DATA, () => data(w));
  });
};

const value = (w: MessageWriter, type: number, bytes: Uint8Array): void => w.nest(type, () => w.attribute(N.NFTA_DATA_VALUE, bytes));

export const hostU32 = (number: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number, true);
  return bytes;
};

/** Load a property of the packet into a register. */
export const meta = (key: number, register: number = N.NFT_REG32): Expression =>
  expression('meta', (w) => {
    w.be32(N.NFTA_META_KEY, key);
    w.be32(N.NFTA_META_DREG, register);
  });

/** Write a register into the packet's mark. */
export const setMark = (register: number = N.NFT_REG32): Expression =>
  expression('meta', (w) => {
    w.be32(N.NFTA_META_KEY, N.NFT_META_MARK);
    w.be32(N.NFTA_META_SREG, register);
  });

export const payload = (base: number, offset: number, length: number, register: number = N.NFT_REG32): Expression =>
  expression('payload', (w) => {
    w.be32(N.NFTA_PAYLOAD_DREG, register);
    w.be32(N.NFTA_PAYLOAD_BASE, base);
    w.be32(N.NFTA_PAYLOAD_OFFSET, offset);
    w.be32(N.NFTA_PAYLOAD_LEN, length);
  });

/** Write a register into the packet; the Internet checksum at `checksum` (from the same base) follows. */
export const setPayload = (base: number, at: { offset: number; length: number; checksum: number }, register: number = N.NFT_REG32): Expression =>
  expression('payload', (w) => {
    w.be32(N.NFTA_PAYLOAD_SREG, register);
    w.be32(N.NFTA_PAYLOAD_BASE, base);
    w.be32(N.NFTA_PAYLOAD_OFFSET, at.offset);
    w.be32(N.NFTA_PAYLOAD_LEN, at.length);
    w.be32(N.NFTA_PAYLOAD_CSUM_TYPE, N.NFT_PAYLOAD_CSUM_INET);
    w.be32(N.NFTA_PAYLOAD_CSUM_OFFSET, at.checksum);
  });

/** Load a constant; with a label it is filled in at run time. */
export const immediate = (bytes: Uint8Array, register: number = N.NFT_REG32, label?: string): Expression =>
  expression('immediate', (w) => {
    w.be32(N.NFTA_IMMEDIATE_DREG, register);
    w.nest(N.NFTA_IMMEDIATE_DATA, () => {
      w.attribute(N.NFTA_DATA_VALUE, bytes);
      if (label !== undefined) w.labelBack(label, (bytes.byteLength + 3) & ~3);
    });
  });

/** Continue only when the register holds what is filled in at run time at the label. */
export const compareLabelled = (label: string, length: number, register: number = N.NFT_REG32): Expression =>
  expression('cmp', (w) => {
    w.be32(N.NFTA_CMP_SREG, register);
    w.be32(N.NFTA_CMP_OP, N.NFT_CMP_EQ);
    w.nest(N.NFTA_CMP_DATA, () => {
      w.attribute(N.NFTA_DATA_VALUE, new Uint8Array(length));
      w.labelBack(label, (length + 3) & ~3);
    });
  });

/** Connection tracking passes the packet by. */
export const notrack: Expression = expression('notrack', () => {});

export const compare = (bytes: Uint8Array, op: number = N.NFT_CMP_EQ, register: number = N.NFT_REG32): Expression =>
  expression('cmp', (w) => {
    w.be32(N.NFTA_CMP_SREG, register);
    w.be32(N.NFTA_CMP_OP, op);
    value(w, N.NFTA_CMP_DATA, bytes);
  });

/** register &= mask */
export const mask = (bytes: Uint8Array, register: number = N.NFT_REG32): Expression =>
  expression('bitwise', (w) => {
    w.be32(N.NFTA_BITWISE_SREG, register);
    w.be32(N.NFTA_BITWISE_DREG, register);
    w.be32(N.NFTA_BITWISE_LEN, bytes.byteLength);
    value(w, N.NFTA_BITWISE_MASK, bytes);
    value(w, N.NFTA_BITWISE_XOR, new Uint8Array(bytes.byteLength));
  });

/** Continue when the map has the key, with its data in register `to`. */
export const lookup = (map: string, from: number, to: number): Expression =>
  expression('lookup', (w) => {
    w.string(N.NFTA_LOOKUP_SET, map);
    w.be32(N.NFTA_LOOKUP_SREG, from);
    w.be32(N.NFTA_LOOKUP_DREG, to);
  });

/** Continue when the set has (or has not) the key that starts at register `from`. */
export const isIn = (set: string, from: number = N.NFT_REG32): Expression => membership(set, from, 0);
export const isNotIn = (set: string, from: number = N.NFT_REG32): Expression => membership(set, from, N.NFT_LOOKUP_F_INV);

const membership = (set: string, from: number, flags: number): Expression =>
  expression('lookup', (w) => {
    w.string(N.NFTA_LOOKUP_SET, set);
    w.be32(N.NFTA_LOOKUP_SREG, from);
    if (flags !== 0) w.be32(N.NFTA_LOOKUP_FLAGS, flags);
  });

export const verdict = (code: number, chain?: string): Expression =>
  expression('immediate', (w) => {
    w.be32(N.NFTA_IMMEDIATE_DREG, N.NFT_REG_VERDICT);
    w.nest(N.NFTA_IMMEDIATE_DATA, () => {
      w.nest(N.NFTA_DATA_VERDICT, () => {
        w.be32(N.NFTA_VERDICT_CODE, code);
        if (chain !== undefined) w.string(N.NFTA_VERDICT_CHAIN, chain);
      });
    });
  });

/** Continue only when the destination is (or, with NFT_CMP_NEQ, is not) of this RTN_* type: `fib daddr type local`. */
export const destinationType = (type: number, op: number = N.NFT_CMP_EQ): Expression => (w) => {
  expression('fib', (inner) => {
    inner.be32(N.NFTA_FIB_DREG, N.NFT_REG32);
    inner.be32(N.NFTA_FIB_RESULT, N.NFT_FIB_RESULT_ADDRTYPE);
    inner.be32(N.NFTA_FIB_FLAGS, N.NFTA_FIB_F_DADDR);
  })(w);
  compare(hostU32(type), op)(w);
};

/** Continue only when one of the bits of a conntrack key is set. */
const conntrackBits = (key: number, bits: number): Expression => (w) => {
  expression('ct', (inner) => {
    inner.be32(N.NFTA_CT_KEY, key);
    inner.be32(N.NFTA_CT_DREG, N.NFT_REG32);
  })(w);
  mask(hostU32(bits))(w);
  compare(hostU32(0), N.NFT_CMP_NEQ)(w);
};

export const conntrackState = (bits: number): Expression => conntrackBits(N.NFT_CT_STATE, bits);
export const conntrackStatus = (bits: number): Expression => conntrackBits(N.NFT_CT_STATUS, bits);

const interfaceName = (key: number, name: string, op: number): Expression => (w) => {
  const bytes = new Uint8Array(IFNAMSIZ);
  bytes.set(encoder.encode(name));
  meta(key)(w);
  compare(bytes, op)(w);
};

/** An interface's name as the key of a set holds it. */
export function interfaceKey(name: string): Uint8Array {
  const bytes = new Uint8Array(IFNAMSIZ);
  bytes.set(encoder.encode(name));
  return bytes;
}

/** Continue only with interfaces whose names begin so. */
export const inInterfacePrefix = (prefix: string): Expression => (w) => {
  meta(N.NFT_META_IIFNAME)(w);
  compare(encoder.encode(prefix))(w);
};

export const inInterface = (name: string, op: number = N.NFT_CMP_EQ): Expression => interfaceName(N.NFT_META_IIFNAME, name, op);
export const outInterface = (name: string, op: number = N.NFT_CMP_EQ): Expression => interfaceName(N.NFT_META_OIFNAME, name, op);

const ofFamily = (family: number, op: number): Expression => (w) => {
  meta(N.NFT_META_NFPROTO)(w);
  compare(new Uint8Array([family]), op)(w);
};

/** Continue only with IPv4 packets (or, with NFT_CMP_NEQ, with others). */
export const isIpv4 = (op: number = N.NFT_CMP_EQ): Expression => ofFamily(N.NFPROTO_IPV4, op);
export const isIpv6 = (op: number = N.NFT_CMP_EQ): Expression => ofFamily(N.NFPROTO_IPV6, op);

const ADDRESS_OFFSET = { source: 12, destination: 16 } as const;

/** Continue only when the IPv4 address is within network/prefixLength. */
export const within = (side: 'source' | 'destination', network: Uint8Array, prefixLength: number): Expression => (w) => {
  payload(N.NFT_PAYLOAD_NETWORK_HEADER, ADDRESS_OFFSET[side], 4)(w);
  const bits = new Uint8Array(4);
  new DataView(bits.buffer).setUint32(0, prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0, false);
  mask(bits)(w);
  compare(network)(w);
};

export const masquerade: Expression = expression('masq', () => {});

/** Send a copy of the packet to the neighbour whose address is in a register, out of the interface whose index is in another. */
export const duplicate = (registers: { address: number; device: number }): Expression =>
  expression('dup', (w) => {
    w.be32(N.NFTA_DUP_SREG_ADDR, registers.address);
    w.be32(N.NFTA_DUP_SREG_DEV, registers.device);
  });

/** Rewrite the source to the address in a register. */
export const sourceNat = (family: 4 | 6, address: number): Expression =>
  expression('nat', (w) => {
    w.be32(N.NFTA_NAT_TYPE, N.NFT_NAT_SNAT);
    w.be32(N.NFTA_NAT_FAMILY, family === 4 ? N.NFPROTO_IPV4 : N.NFPROTO_IPV6);
    w.be32(N.NFTA_NAT_REG_ADDR_MIN, address);
  });

/** Rewrite the destination to the address in a register, and the port to the one (or range) in registers. */
export const destinationNat = (family: 4 | 6, registers: { address: number; port?: number; portEnd?: number; flags?: number }): Expression =>
  expression('nat', (w) => {
    w.be32(N.NFTA_NAT_TYPE, N.NFT_NAT_DNAT);
    w.be32(N.NFTA_NAT_FAMILY, family === 4 ? N.NFPROTO_IPV4 : N.NFPROTO_IPV6);
    w.be32(N.NFTA_NAT_REG_ADDR_MIN, registers.address);
    if (registers.port !== undefined) w.be32(N.NFTA_NAT_REG_PROTO_MIN, registers.port);
    if (registers.portEnd !== undefined) w.be32(N.NFTA_NAT_REG_PROTO_MAX, registers.portEnd);
    if (registers.flags !== undefined) w.be32(N.NFTA_NAT_FLAGS, registers.flags);
  });
