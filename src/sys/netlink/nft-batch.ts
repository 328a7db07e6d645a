import { type NetlinkMessage, parseAttributes, viewOf } from './message-parser.ts';
import { MessageWriter } from './message-writer.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from './netlink-constants.ts';
import type { Expression } from './nft-expressions.ts';
import * as N from './nft-constants.ts';

export interface MapElement {
  readonly key: Uint8Array;
  /** Upper end, in a map of intervals. */
  readonly keyEnd?: Uint8Array;
  /** Not needed to delete. */
  readonly data?: Uint8Array;
}

export interface MapOptions {
  readonly name: string;
  readonly keyType: number;
  /** Bytes of each field of the key; each is padded to 4 bytes in the key itself. */
  readonly keyFields: readonly number[];
  /** A set has no data: both 0. */
  readonly dataType: number;
  readonly dataBytes: number;
  readonly intervals: boolean;
}

export interface BaseChainOptions {
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: number;
  readonly priority: number;
}

/** An element takes at most this many bytes in a message; a list attribute holds 64 KiB. */
const ELEMENTS_PER_MESSAGE = 300;
const NFGENMSG_BYTES = 4;
const encoder = new TextEncoder();

const nfgenmsg = (family: number, resource = 0): Uint8Array => new Uint8Array([family, 0, resource >> 8, resource & 0xff]);

/**
 * One atomic change of one nf_tables table (of family inet, unless another NFPROTO_* is given): all of it happens, or nothing. Give `writer` to
 * `NetlinkSocket.request` after `end()`, with `describe` for the errors.
 */
export class NftBatch {
  readonly writer = new MessageWriter();
  readonly #table: string;
  readonly #family: number;
  readonly #what: string[] = [];
  #rules = 0;
  #setId = 0;

  constructor(table: string, family: number = N.NFPROTO_INET) {
    this.#table = table;
    this.#family = family;
    this.#what.push(`nftables table ${table}: commit`);
    this.writer.message(N.NFNL_MSG_BATCH_BEGIN, 0, () => this.writer.raw(nfgenmsg(0, N.NFNL_SUBSYS_NFTABLES)));
  }

  readonly describe = (index: number): string => this.#what[index] ?? `nftables table ${this.#table}`;

  end(): this {
    this.writer.acknowledgeLast();
    this.writer.message(N.NFNL_MSG_BATCH_END, 0, () => this.writer.raw(nfgenmsg(0, N.NFNL_SUBSYS_NFTABLES)));
    return this;
  }

  /** How many rules were added. */
  get rules(): number {
    return this.#rules;
  }

  get empty(): boolean {
    return this.writer.count <= 1;
  }

  /** flags: NFT_TABLE_F_*. Fails with EEXIST, unless it may be there. */
  addTable(flags: number, { mayExist }: { mayExist: boolean } = { mayExist: false }): void {
    this.#message(N.NFT_MSG_NEWTABLE, mayExist ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_EXCL, 'add the table', (w) => {
      w.string(N.NFTA_TABLE_NAME, this.#table);
      w.be32(N.NFTA_TABLE_FLAGS, flags);
    });
  }

  deleteTable(): void {
    this.#message(N.NFT_MSG_DELTABLE, 0, 'delete the table', (w) => w.string(N.NFTA_TABLE_NAME, this.#table));
  }

  addBaseChain(options: BaseChainOptions): void {
    this.#message(N.NFT_MSG_NEWCHAIN, NLM_F_CREATE, `add chain ${options.name}`, (w) => {
      w.string(N.NFTA_CHAIN_TABLE, this.#table);
      w.string(N.NFTA_CHAIN_NAME, options.name);
      w.nest(N.NFTA_CHAIN_HOOK, () => {
        w.be32(N.NFTA_HOOK_HOOKNUM, options.hook);
        w.be32(N.NFTA_HOOK_PRIORITY, options.priority >>> 0);
      });
      w.be32(N.NFTA_CHAIN_POLICY, N.NF_ACCEPT);
      w.string(N.NFTA_CHAIN_TYPE, options.type);
    });
  }

  addChain(name: string): void {
    this.#message(N.NFT_MSG_NEWCHAIN, NLM_F_CREATE, `add chain ${name}`, (w) => {
      w.string(N.NFTA_CHAIN_TABLE, this.#table);
      w.string(N.NFTA_CHAIN_NAME, name);
    });
  }

  /** Append a rule. The comment is what `nft list` shows (at most 127 bytes). */
  addRule(chain: string, comment: string, expressions: readonly Expression[]): void {
    this.#rules++;
    this.#message(N.NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, `add rule to ${chain} (${comment})`, (w) => {
      w.string(N.NFTA_RULE_TABLE, this.#table);
      w.string(N.NFTA_RULE_CHAIN, chain);
      w.nest(N.NFTA_RULE_EXPRESSIONS, () => {
        for (const each of expressions) each(w);
      });
      w.attribute(N.NFTA_RULE_USERDATA, ruleComment(comment));
    });
  }

  addMap(options: MapOptions): void {
    const concatenated = options.keyFields.length > 1;
    this.#setId += 1;
    this.#message(N.NFT_MSG_NEWSET, NLM_F_CREATE, `add map ${options.name}`, (w) => {
      w.string(N.NFTA_SET_TABLE, this.#table);
      w.string(N.NFTA_SET_NAME, options.name);
      w.be32(N.NFTA_SET_FLAGS, (options.dataBytes > 0 ? N.NFT_SET_MAP : 0) | (options.intervals ? N.NFT_SET_INTERVAL : 0) | (options.intervals && concatenated ? N.NFT_SET_CONCAT : 0));
      w.be32(N.NFTA_SET_KEY_TYPE, options.keyType);
      w.be32(N.NFTA_SET_KEY_LEN, concatenated ? options.keyFields.reduce((sum, bytes) => sum + ((bytes + 3) & ~3), 0) : options.keyFields[0]!);
      if (options.dataBytes > 0) {
        w.be32(N.NFTA_SET_DATA_TYPE, options.dataType);
        w.be32(N.NFTA_SET_DATA_LEN, options.dataBytes);
      }
      w.be32(N.NFTA_SET_ID, this.#setId);
      if (!options.intervals || !concatenated) return;
      w.nest(N.NFTA_SET_DESC, () => {
        w.nest(N.NFTA_SET_DESC_CONCAT, () => {
          for (const bytes of options.keyFields) w.nest(N.NFTA_LIST_ELEM, () => w.be32(N.NFTA_SET_FIELD_LEN, bytes));
        });
      });
    });
  }

  addElements(map: string, elements: readonly MapElement[]): void {
    // EXCL: a key that is there with other data is an error, never silently kept
    this.#elements(N.NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, { map, elements, verb: 'add to' });
  }

  deleteElements(map: string, elements: readonly MapElement[]): void {
    this.#elements(N.NFT_MSG_DELSETELEM, 0, { map, elements, verb: 'delete from' });
  }

  #elements(type: number, flags: number, change: { map: string; elements: readonly MapElement[]; verb: string }): void {
    for (let first = 0; first < change.elements.length; first += ELEMENTS_PER_MESSAGE) {
      const part = change.elements.slice(first, first + ELEMENTS_PER_MESSAGE);
      this.#message(type, flags, `${change.verb} map ${change.map}`, (w) => {
        w.string(N.NFTA_SET_ELEM_LIST_TABLE, this.#table);
        w.string(N.NFTA_SET_ELEM_LIST_SET, change.map);
        w.nest(N.NFTA_SET_ELEM_LIST_ELEMENTS, () => {
          for (const element of part) writeElement(w, element);
        });
      });
    }
  }

  #message(type: number, flags: number, what: string, body: (w: MessageWriter) => void): void {
    this.#what.push(`nftables table ${this.#table}: ${what}`);
    this.writer.message((N.NFNL_SUBSYS_NFTABLES << 8) | type, flags, () => {
      this.writer.raw(nfgenmsg(this.#family));
      body(this.writer);
    });
  }
}

function writeElement(w: MessageWriter, element: MapElement): void {
  const field = (type: number, bytes: Uint8Array): void => w.nest(type, () => w.attribute(N.NFTA_DATA_VALUE, bytes));
  w.nest(N.NFTA_LIST_ELEM, () => {
    field(N.NFTA_SET_ELEM_KEY, element.key);
    if (element.keyEnd !== undefined) field(N.NFTA_SET_ELEM_KEY_END, element.keyEnd);
    if (element.data !== undefined) field(N.NFTA_SET_ELEM_DATA, element.data);
  });
}

/** libnftnl's user data: type 0 is the comment. */
function ruleComment(comment: string): Uint8Array {
  const text = encoder.encode(`${comment.slice(0, 126)}\0`);
  const bytes = new Uint8Array(2 + text.byteLength);
  bytes.set([0, text.byteLength]);
  bytes.set(text, 2);
  return bytes;
}

/** Ask for a table; the answer is an error ENOENT when it is not there. */
export function writeGetTable(w: MessageWriter, table: string, family: number = N.NFPROTO_INET): void {
  w.message((N.NFNL_SUBSYS_NFTABLES << 8) | N.NFT_MSG_GETTABLE, 0, () => {
    w.raw(nfgenmsg(family));
    w.string(N.NFTA_TABLE_NAME, table);
  });
}

/** Ask for the rules of one table: none when it is not there. */
export function writeDumpRules(w: MessageWriter, table: string, family: number): void {
  w.message((N.NFNL_SUBSYS_NFTABLES << 8) | N.NFT_MSG_GETRULE, NLM_F_DUMP, () => {
    w.raw(nfgenmsg(family));
    w.string(N.NFTA_RULE_TABLE, table);
  });
}

/** Ask for the number of the ruleset, which every transaction of anybody makes another one. */
export function writeGetGeneration(w: MessageWriter): void {
  w.message((N.NFNL_SUBSYS_NFTABLES << 8) | N.NFT_MSG_GETGEN, 0, () => w.raw(nfgenmsg(N.NFPROTO_UNSPEC)));
}

export function parseGeneration(message: NetlinkMessage): number | undefined {
  const id = parseAttributes(message.payload, NFGENMSG_BYTES).get(N.NFTA_GEN_ID);
  return id === undefined || id.byteLength < 4 ? undefined : viewOf(id).getUint32(0, false);
}
