/** Brands for values that must not be mixed; made only by the parsers named beside them. */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** `sha256:<64 hex>` (core/content/digest.ts). */
export type Digest = Branded<string, 'Digest'>;
/** Digest over the chain of diffIds (image-spec, "Layer ChainID"). */
export type ChainId = Branded<string, 'ChainId'>;
/** 64 hex digits. */
export type ContainerId = Branded<string, 'ContainerId'>;
