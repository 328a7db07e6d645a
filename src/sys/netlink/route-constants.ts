/** rtnetlink(7). Sources: include/uapi/linux/{rtnetlink,if_link,if_addr,if_bridge,veth}.h. */
export const RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_GETADDR = 22,
  RTM_NEWROUTE = 24, RTM_DELROUTE = 25, RTM_GETROUTE = 26, RTM_SETLINK = 19;
export const IFF_UP = 1, IFF_NOARP = 0x80;
export const IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_LINK = 5, IFLA_MASTER = 10, IFLA_LINKINFO = 18, IFLA_IFALIAS = 20, IFLA_AF_SPEC = 26,
  IFLA_NET_NS_FD = 28, IFLA_NUM_TX_QUEUES = 31, IFLA_NUM_RX_QUEUES = 32;
export const IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2, IFLA_INFO_SLAVE_KIND = 4, IFLA_INFO_SLAVE_DATA = 5;
export const VETH_INFO_PEER = 1;
export const IFLA_BR_FORWARD_DELAY = 1, IFLA_BR_STP_STATE = 5, IFLA_BR_MCAST_SNOOPING = 23;
export const IFLA_BRPORT_STATE = 1, IFLA_BRPORT_MODE = 4; // hairpin
export const IFLA_INET6_ADDR_GEN_MODE = 8, IN6_ADDR_GEN_MODE_NONE = 1;
export const IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_BROADCAST = 4;
export const RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_PRIORITY = 6, RTA_TABLE = 15;
export const RT_TABLE_MAIN = 254, RT_TABLE_LOCAL = 255, RTPROT_BOOT = 3, RT_SCOPE_UNIVERSE = 0, RT_SCOPE_LINK = 253, RTN_UNICAST = 1, RTN_LOCAL = 2;
export const IFA_F_NODAD = 2;
export const IFLA_BRPORT_ISOLATED = 33, IFLA_MACVLAN_MODE = 1, IFLA_INET_CONF = 1, IPV4_DEVCONF_ARP_NOTIFY = 22;
/** if_link.h's enum macvlan_mode. */
export const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
/** if_link.h's enum ipvlan_mode, and flags. */
export const IFLA_IPVLAN_MODE = 1, IFLA_IPVLAN_FLAGS = 2, IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const, IPVLAN_FLAGS = { bridge: 0, private: 1, vepa: 2 } as const;
