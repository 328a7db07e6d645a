/** nf_tables over nfnetlink. Sources: include/uapi/linux/netfilter/{nfnetlink,nf_tables,nf_conntrack_common,nf_nat}.h. */
export const NFNL_SUBSYS_CTNETLINK = 1, NFNL_SUBSYS_NFTABLES = 10;
export const NFNL_MSG_BATCH_BEGIN = 0x10, NFNL_MSG_BATCH_END = 0x11;
export const NFPROTO_UNSPEC = 0, NFPROTO_INET = 1, NFPROTO_IPV4 = 2;
export const NF_INET_PRE_ROUTING = 0, NF_INET_LOCAL_IN = 1, NF_INET_FORWARD = 2, NF_INET_LOCAL_OUT = 3, NF_INET_POST_ROUTING = 4;
export const NF_DROP = 0, NF_ACCEPT = 1, NFT_JUMP = -3, NFT_GOTO = -4, NFT_RETURN = -5;

export const NFT_MSG_NEWTABLE = 0, NFT_MSG_GETTABLE = 1, NFT_MSG_DELTABLE = 2, NFT_MSG_NEWCHAIN = 3, NFT_MSG_GETCHAIN = 4, NFT_MSG_NEWRULE = 6,
  NFT_MSG_NEWSET = 9, NFT_MSG_NEWSETELEM = 12, NFT_MSG_GETSETELEM = 13, NFT_MSG_DELSETELEM = 14;

export const NFTA_LIST_ELEM = 1;
export const NFTA_TABLE_NAME = 1, NFTA_TABLE_FLAGS = 2, NFT_TABLE_F_OWNER = 2, NFT_TABLE_F_PERSIST = 4;
export const NFTA_CHAIN_TABLE = 1, NFTA_CHAIN_NAME = 3, NFTA_CHAIN_HOOK = 4, NFTA_CHAIN_POLICY = 5, NFTA_CHAIN_TYPE = 7;
export const NFTA_HOOK_HOOKNUM = 1, NFTA_HOOK_PRIORITY = 2;
export const NFTA_RULE_TABLE = 1, NFTA_RULE_CHAIN = 2, NFTA_RULE_EXPRESSIONS = 4, NFTA_RULE_USERDATA = 7;
export const NFTA_SET_TABLE = 1, NFTA_SET_NAME = 2, NFTA_SET_FLAGS = 3, NFTA_SET_KEY_TYPE = 4, NFTA_SET_KEY_LEN = 5,
  NFTA_SET_DATA_TYPE = 6, NFTA_SET_DATA_LEN = 7, NFTA_SET_DESC = 9, NFTA_SET_ID = 10;
export const NFTA_SET_DESC_SIZE = 1, NFTA_SET_DESC_CONCAT = 2, NFTA_SET_FIELD_LEN = 1;
export const NFT_SET_INTERVAL = 4, NFT_SET_MAP = 8, NFT_SET_CONCAT = 0x80;
export const NFTA_SET_ELEM_LIST_TABLE = 1, NFTA_SET_ELEM_LIST_SET = 2, NFTA_SET_ELEM_LIST_ELEMENTS = 3;
export const NFTA_SET_ELEM_KEY = 1, NFTA_SET_ELEM_DATA = 2, NFTA_SET_ELEM_KEY_END = 10;
export const NFTA_EXPR_NAME = 1, NFTA_EXPR_DATA = 2;
export const NFTA_DATA_VALUE = 1, NFTA_DATA_VERDICT = 2, NFTA_VERDICT_CODE = 1, NFTA_VERDICT_CHAIN = 2;

export const NFT_REG_VERDICT = 0;
/** The first of the sixteen 4-byte registers; the next ones follow by one. */
export const NFT_REG32 = 8;

export const NFTA_META_DREG = 1, NFTA_META_KEY = 2, NFT_META_IIFNAME = 6, NFT_META_OIFNAME = 7, NFT_META_NFPROTO = 15, NFT_META_L4PROTO = 16;
export const NFTA_CMP_SREG = 1, NFTA_CMP_OP = 2, NFTA_CMP_DATA = 3, NFT_CMP_EQ = 0, NFT_CMP_NEQ = 1;
export const NFTA_PAYLOAD_DREG = 1, NFTA_PAYLOAD_BASE = 2, NFTA_PAYLOAD_OFFSET = 3, NFTA_PAYLOAD_LEN = 4,
  NFTA_PAYLOAD_SREG = 5, NFTA_PAYLOAD_CSUM_TYPE = 6, NFTA_PAYLOAD_CSUM_OFFSET = 7, NFT_PAYLOAD_CSUM_INET = 1,
  NFT_PAYLOAD_NETWORK_HEADER = 1, NFT_PAYLOAD_TRANSPORT_HEADER = 2;
export const NFTA_BITWISE_SREG = 1, NFTA_BITWISE_DREG = 2, NFTA_BITWISE_LEN = 3, NFTA_BITWISE_MASK = 4, NFTA_BITWISE_XOR = 5;
export const NFTA_LOOKUP_SET = 1, NFTA_LOOKUP_SREG = 2, NFTA_LOOKUP_DREG = 3;
export const NFTA_IMMEDIATE_DREG = 1, NFTA_IMMEDIATE_DATA = 2;
export const NFTA_FIB_DREG = 1, NFTA_FIB_RESULT = 2, NFTA_FIB_FLAGS = 3, NFT_FIB_RESULT_ADDRTYPE = 3, NFTA_FIB_F_DADDR = 2;
export const NFTA_CT_DREG = 1, NFTA_CT_KEY = 2, NFT_CT_STATE = 0, NFT_CT_STATUS = 2;
export const NFTA_NAT_TYPE = 1, NFTA_NAT_FAMILY = 2, NFTA_NAT_REG_ADDR_MIN = 3, NFTA_NAT_REG_PROTO_MIN = 5,
  NFTA_NAT_REG_PROTO_MAX = 6, NFTA_NAT_FLAGS = 7, NFT_NAT_DNAT = 1;
/** conntrack state bits as nft sees them, and status bits. */
export const CT_STATE_ESTABLISHED = 2, CT_STATE_RELATED = 4, IPS_DST_NAT = 0x20;
/** nf_nat: shift the port by an offset into the range instead of choosing one of the range. */
export const NF_NAT_RANGE_PROTO_OFFSET = 0x20;

/** Types that `nft list` uses to print keys and data (libnftables' numbers, 6 bits each in a concatenation). */
export const TYPE_IPV4 = 7, TYPE_INET_PROTO = 12, TYPE_INET_SERVICE = 13;
export const concatenatedType = (...types: number[]): number => types.reduce((all, type) => all * 64 + type, 0);
