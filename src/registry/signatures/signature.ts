import type { Digest } from '#spec/ids.ts';

/** How a signature lies in a registry: cosign's tag `sha256-<hex>.sig`, an OCI 1.1 referrer of the same content, or a sigstore bundle. */
export type SignatureForm = 'tag' | 'referrer' | 'bundle';

/** A manifest that carries signatures, with its small blobs. */
export interface SignatureDocument {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | undefined;
  readonly bytes: Uint8Array;
  readonly form: SignatureForm;
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
}

/** What a signature says, before anybody checked it. */
export interface SignatureClaim {
  readonly form: SignatureForm;
  readonly document: Digest;
  /** The manifest that was signed. */
  readonly digest: string;
  /** Under which name, when it says so: `registry.example/team/app`. */
  readonly name: string | undefined;
  /** The bytes that the signature is over. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** A signature that cannot be read. */
export interface UnreadableSignature { readonly form: SignatureForm; readonly document: Digest; readonly problem: string }

export const SIGNATURE_LAYER = 'application/vnd.dev.cosign.simplesigning.v1+json';
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';
export const SIGNATURE_ARTIFACT = 'application/vnd.dev.cosign.artifact.sig.v1+json';
export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
/** cosign's predicate of "I sign this image", unlike those of attestations. */
export const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

export const isSignatureType = (artifactType: string | undefined): boolean =>
  artifactType !== undefined && (artifactType === SIGNATURE_ARTIFACT || /^application\/vnd\.dev\.sigstore\.bundle(\.v0\.[0-9]+)?\+json(;version=0\.[0-9]+)?$/.test(artifactType));

/** cosign's tag of the signatures of a digest. */
export const signatureTag = (digest: Digest): string => `${digest.replace(':', '-')}.sig`;
