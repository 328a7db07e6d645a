import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NftBatch, type MapElement, writeGetTable } from '#sys/netlink/nft-batch.ts';
import { NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST } from '#sys/netlink/nft-constants.ts';
import type { Ipv4Network } from './ipv4.ts';
import { addNatTable } from './nat-table.ts';
import type { PortElements, PortMap } from './published-ports.ts';

const EPERM = 1, ENOENT = 2, EEXIST = 17, EINVAL = 22, EOPNOTSUPP = 95;

export interface NatOptions {
  readonly table: string;
  readonly bridge: string;
  readonly subnet: Ipv4Network;
  /** Keep others from changing the table, if the kernel can. */
  readonly own: boolean;
}

const hasErrno = (error: unknown, ...errnos: number[]): boolean =>
  error instanceof NaruError && error.errno !== undefined && errnos.includes(error.errno);

export function tableExists(socket: NetlinkSocket, table: string): boolean {
  const w = new MessageWriter();
  writeGetTable(w, table);
  try {
    socket.request(w, () => `look up nftables table ${table}`);
    return true;
  } catch (error) {
    if (hasErrno(error, ENOENT)) return false;
    throw error;
  }
}

/**
 * naru's table in the kernel. Where the kernel can (6.9), the table belongs to the daemon's socket and outlives it: then nobody
 * else's `nft flush ruleset` touches it while the daemon runs.
 */
export class NatState {
  readonly #socket: NetlinkSocket;
  readonly #options: NatOptions;
  #flags: number;

  constructor(socket: NetlinkSocket, options: NatOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#flags = options.own ? NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST : 0;
  }

  /** Nobody else can take the table away while this socket is open. */
  get isOwned(): boolean {
    return this.#flags !== 0;
  }

  exists(): boolean {
    return tableExists(this.#socket, this.#options.table);
  }

  /** Replace the table, whatever it holds, in one transaction: there is no moment without rules, and flows under way go on. */
  rebuild(endpoints: Iterable<PortElements>): void {
    const merged = new Map<PortMap, MapElement[]>();
    for (const elements of endpoints) {
      for (const [map, list] of elements) {
        const all = merged.get(map);
        if (all === undefined) merged.set(map, [...list]);
        else for (const element of list) all.push(element);
      }
    }
    for (let attempt = 1; ; attempt++) {
      const batch = new NftBatch(this.#options.table);
      if (this.exists()) batch.deleteTable();
      addNatTable(batch, { bridge: this.#options.bridge, subnet: this.#options.subnet, flags: this.#flags });
      for (const [map, list] of merged) batch.addElements(map, list);
      try {
        this.#commit(batch);
        return;
      } catch (error) {
        if (hasErrno(error, EPERM)) {
          throw new NaruError('conflict', `nftables table ${this.#options.table} belongs to another running program`, {
            cause: error, errno: EPERM, hint: 'daemons side by side need a bridge and a table name each',
          });
        }
        if (attempt >= 3) throw error;
        if (this.#flags !== 0 && hasErrno(error, EOPNOTSUPP, EINVAL)) this.#flags = 0;
        else if (!hasErrno(error, ENOENT, EEXIST)) throw error; // somebody deleted or made it just now: look again
      }
    }
  }

  /** Add elements in one transaction. Throws not-found when the table is gone. */
  add(elements: PortElements): void {
    const batch = new NftBatch(this.#options.table);
    for (const [map, list] of elements) batch.addElements(map, list);
    this.#commit(batch);
  }

  /** Delete elements; those that are not there do not matter. */
  remove(elements: PortElements): void {
    const all = [...elements].map(([map, list]) => [map, list.map(({ key, keyEnd }) => (keyEnd === undefined ? { key } : { key, keyEnd }))] as const);
    try {
      const batch = new NftBatch(this.#options.table);
      for (const [map, list] of all) batch.deleteElements(map, list);
      this.#commit(batch);
    } catch (error) {
      if (!hasErrno(error, ENOENT)) throw error;
      for (const [map, list] of all) for (const element of list) this.#removeOne(map, element);
    }
  }

  #removeOne(map: PortMap, element: MapElement): void {
    const batch = new NftBatch(this.#options.table);
    batch.deleteElements(map, [element]);
    try {
      this.#commit(batch);
    } catch (error) {
      if (!hasErrno(error, ENOENT)) throw error;
    }
  }

  #commit(batch: NftBatch): void {
    if (batch.empty) return;
    batch.end();
    this.#socket.request(batch.writer, batch.describe);
  }
}
