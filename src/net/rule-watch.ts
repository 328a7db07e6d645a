import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { parseGeneration, writeDumpRules, writeGetGeneration } from '#sys/netlink/nft-batch.ts';
import { NFPROTO_BRIDGE, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '#sys/netlink/nft-constants.ts';

/** A table of ours, and how many rules it was given. */
export interface WrittenTable { readonly family: number; readonly table: string; readonly rules: number }

const FAMILY_NAMES: Readonly<Record<number, string>> = { [NFPROTO_INET]: 'inet', [NFPROTO_IPV4]: 'ip', [NFPROTO_IPV6]: 'ip6', [NFPROTO_BRIDGE]: 'bridge' };

/** Finds out whether somebody deleted or emptied tables of ours. While nobody changes any table, a look costs one short question. */
export class RuleWatch {
  readonly #socket: NetlinkSocket;
  #generation: number | undefined;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Those that are not as they were written, as `nft` names them: `inet naru`. */
  disturbed(tables: readonly WrittenTable[]): string[] {
    const generation = this.#currentGeneration();
    if (generation !== undefined && generation === this.#generation) return [];
    const found = tables.filter((each) => this.#rulesOf(each) !== each.rules).map(({ family, table }) => `${FAMILY_NAMES[family]} ${table}`);
    // What is about to be mended is looked at once more
    this.#generation = found.length === 0 ? generation : undefined;
    return found;
  }

  #rulesOf({ family, table }: WrittenTable): number {
    const w = new MessageWriter();
    writeDumpRules(w, table, family);
    return this.#socket.dump(w, `list the rules of nftables table ${table}`).length;
  }

  #currentGeneration(): number | undefined {
    const w = new MessageWriter();
    writeGetGeneration(w);
    const [answer] = this.#socket.request(w, () => 'ask for the number of the nftables ruleset');
    return answer === undefined ? undefined : parseGeneration(answer);
  }
}
