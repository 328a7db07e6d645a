import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NftBatch, type MapElement, writeGetTable } from '#sys/netlink/nft-batch.ts';
import { NFPROTO_INET, NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST } from '#sys/netlink/nft-constants.ts';
import { type LoopRules, addNatTable } from './nat-table.ts';
import type { WrittenTable } from './rule-watch.ts';
import { type ElementKey, type Elements, mergeElements } from './nft-elements.ts';

const EPERM = 1, ENOENT = 2, EEXIST = 17, EINVAL = 22, EOPNOTSUPP = 95;

const hasErrno = (error: unknown, ...errnos: number[]): boolean =>
  error instanceof NaruError && error.errno !== undefined && errnos.includes(error.errno);

export function tableExists(socket: NetlinkSocket, table: string, family: number = NFPROTO_INET): boolean {
  const w = new MessageWriter();
  writeGetTable(w, table, family);
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
  readonly #table: string;
  /** Kept from others, if the kernel can. */
  #flags: number = NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST;
  #rules = 0;

  constructor(socket: NetlinkSocket, table: string) {
    this.#socket = socket;
    this.#table = table;
  }

  /** Nobody else can take the table away while this socket is open. */
  get isOwned(): boolean {
    return this.#flags !== 0;
  }

  /** NFT_TABLE_F_*, as this kernel takes them. */
  get flags(): number {
    return this.#flags;
  }

  /** As it was made last; none before that. */
  get written(): WrittenTable[] {
    return this.#rules === 0 ? [] : [{ family: NFPROTO_INET, table: this.#table, rules: this.#rules }];
  }

  exists(): boolean {
    return tableExists(this.#socket, this.#table);
  }

  /** Replace the table, whatever it holds, in one transaction: there is no moment without rules, and flows under way go on. */
  rebuild(parts: Iterable<Elements>, loop?: LoopRules): void {
    const merged = mergeElements(parts);
    for (let attempt = 1; ; attempt++) {
      const batch = new NftBatch(this.#table);
      if (this.exists()) batch.deleteTable();
      addNatTable(batch, this.#flags, loop);
      for (const [map, list] of merged) batch.addElements(map, list);
      try {
        this.#commit(batch);
        this.#rules = batch.rules;
        return;
      } catch (error) {
        if (hasErrno(error, EPERM)) {
          throw new NaruError('conflict', `nftables table ${this.#table} belongs to another running program`, {
            cause: error, errno: EPERM, hint: 'daemons side by side need a bridge and a table name each',
          });
        }
        if (attempt >= 3) throw error;
        if (this.#flags !== 0 && hasErrno(error, EOPNOTSUPP, EINVAL)) this.#flags = 0;
        else if (!hasErrno(error, ENOENT, EEXIST)) throw error; // somebody deleted or made it just now: look again
      }
    }
  }

  /** Delete and add elements in one transaction. Throws not-found when the table or one to delete is gone, conflict when one to add is there. */
  change({ remove = new Map(), add = new Map() }: { remove?: Elements; add?: Elements }): void {
    const batch = new NftBatch(this.#table);
    for (const [map, list] of remove) batch.deleteElements(map, list.map(keyOnly));
    for (const [map, list] of add) batch.addElements(map, list);
    this.#commit(batch);
  }

  /** Delete elements; those that are not there do not matter. */
  remove(elements: Elements): void {
    const all = [...elements].map(([map, list]) => [map, list.map(keyOnly)] as const);
    try {
      const batch = new NftBatch(this.#table);
      for (const [map, list] of all) batch.deleteElements(map, list);
      this.#commit(batch);
    } catch (error) {
      if (!hasErrno(error, ENOENT)) throw error;
      for (const [map, list] of all) for (const element of list) this.#removeOne(map, element);
    }
  }

  #removeOne(map: ElementKey, element: MapElement): void {
    const batch = new NftBatch(this.#table);
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

const keyOnly = ({ key, keyEnd }: MapElement): MapElement => (keyEnd === undefined ? { key } : { key, keyEnd });
