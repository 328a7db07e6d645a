import { NaruError } from '#spec/errors.ts';
import { AddressPool } from './address-pool.ts';
import { AddressPool6 } from './address-pool6.ts';
import { type IpPrefix, formatIp, parsePrefix, tryParseIp } from './ip.ts';
import { formatIpv4, tryParseIpv4 } from './ipv4.ts';
import type { IpamPool } from './records.ts';

export interface Taken { readonly address: string; readonly prefixLength: number; readonly gateway: string }

interface Pool { readonly prefix: IpPrefix; gateway: string; readonly v4: AddressPool | undefined; readonly v6: AddressPool6 | undefined }

/** The addresses of one network: a pool for each of its subnets, gateways and auxiliary addresses taken. */
export class NetworkAddresses {
  readonly #pools: readonly Pool[];

  /** Throws invalid or forbidden for gateways and auxiliary addresses that cannot be had. */
  constructor(pools: readonly IpamPool[]) {
    this.#pools = pools.map((pool) => {
      const prefix = parsePrefix(pool.subnet);
      const range = pool.ipRange === '' ? prefix : parsePrefix(pool.ipRange);
      const number = ({ base, length }: IpPrefix): { base: number; prefixLength: number } => ({ base: Number(base), prefixLength: length });
      const made: Pool = {
        prefix, gateway: pool.gateway,
        v4: prefix.family === 4 ? new AddressPool(number(prefix), number(range)) : undefined,
        v6: prefix.family === 6 ? new AddressPool6(prefix, range) : undefined,
      };
      if (pool.gateway !== '') takeThis(made, pool.gateway);
      for (const [name, address] of Object.entries(pool.auxiliary)) takeAuxiliary(made, name, address);
      return made;
    });
  }

  /** An address for the network's own gateway. */
  takeGateway(index: number): string {
    const pool = this.#pools[index]!;
    pool.gateway = takeAny(pool);
    return pool.gateway;
  }

  /** `wanted` empty: any. Undefined when the network has no subnet of the family. */
  take(family: 4 | 6, wanted: string): Taken | undefined {
    const pools = this.#pools.filter((pool) => pool.prefix.family === family);
    if (pools.length === 0) {
      if (wanted === '') return undefined;
      throw new NaruError('invalid', `no configured subnet or ip-range contain the IP address ${wanted}`);
    }
    const ip = wanted === '' ? undefined : tryParseIp(wanted);
    if (wanted !== '') {
      const pool = ip === undefined ? undefined : pools.find((each) => contains(each, wanted));
      if (pool === undefined) throw new NaruError('invalid', `no configured subnet or ip-range contain the IP address ${wanted}`);
      const address = formatIp(ip!);
      takeThis(pool, address);
      return { address, prefixLength: pool.prefix.length, gateway: pool.gateway };
    }
    let failure: unknown;
    for (const pool of pools) {
      try {
        return { address: takeAny(pool), prefixLength: pool.prefix.length, gateway: pool.gateway };
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Undo of `take`: nobody has seen the address. */
  cancel(address: string): void {
    this.#give(address, true);
  }

  /** Given back; an IPv4 address rests for a while. */
  give(address: string): void {
    this.#give(address, false);
  }

  #give(address: string, unseen: boolean): void {
    const pool = address === '' ? undefined : this.#pools.find((each) => contains(each, address));
    if (pool?.v6 !== undefined) pool.v6.give(tryParseIp(address)!.value);
    else if (pool?.v4 !== undefined && unseen) pool.v4.cancel(tryParseIpv4(address)!);
    else pool?.v4?.give(tryParseIpv4(address)!);
  }
}

function takeAuxiliary(pool: Pool, name: string, address: string): void {
  try {
    takeThis(pool, address);
  } catch (error) {
    throw error instanceof NaruError ? new NaruError('internal', `failed to allocate secondary ip address (${name}:${address}): ${error.message}`, { cause: error }) : error;
  }
}

function takeThis(pool: Pool, address: string): void {
  const ip = tryParseIp(address)!;
  if (pool.v4 !== undefined) pool.v4.takeThis(Number(ip.value));
  else pool.v6!.takeThis(ip.value);
}

const takeAny = (pool: Pool): string => (pool.v4 !== undefined ? formatIpv4(pool.v4.take()) : formatIp({ family: 6, value: pool.v6!.take() }));

function contains({ prefix }: Pool, address: string): boolean {
  const ip = tryParseIp(address);
  return ip !== undefined && ip.family === prefix.family && ip.value >> BigInt((ip.family === 4 ? 32 : 128) - prefix.length) === prefix.base >> BigInt((ip.family === 4 ? 32 : 128) - prefix.length);
}
