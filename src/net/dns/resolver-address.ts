/** Where a container on a user-defined network finds its resolver, as under Docker. */
export const LOOPBACK_RESOLVER = '127.0.0.11';
export const RESOLVER_PORT = 53;
