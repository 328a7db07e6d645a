import { Networks } from './networks.ts';
import type { NetworkOptions } from './network-options.ts';
import type { NetworkService } from './port.ts';

/** The default bridge: opens two netlink sockets and decides the subnet. Nothing is changed before `reconcile`. Throws conflict
 *  when an interface of the bridge's name is something else, or every subnet is in use. */
export const createNetworkService = (options: NetworkOptions = {}): NetworkService => new Networks(options);
