import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Manifest } from '#spec/oci-image.ts';
import { digestOf } from '../protocol/digest.ts';
import { OCI_EMPTY, OCI_MANIFEST } from '../protocol/media-types.ts';
import { BUNDLE, SIGN_PREDICATE, SIGNATURE_ANNOTATION, SIGNATURE_ARTIFACT, SIGNATURE_LAYER, type SignatureForm } from './signature.ts';

export interface MadeSignature { readonly form: SignatureForm; readonly subject: Descriptor; /** What was signed: the simple payload, or the in-toto statement. */ readonly payload: Uint8Array; readonly signature: Uint8Array; /** To name the key in bundles. */ readonly keyHint: string }

export interface ComposedSignature { readonly manifest: Uint8Array; readonly digest: Digest; readonly artifactType: string | undefined; readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[] }

const EMPTY = Buffer.from('{}');
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';

/** The manifest and blobs that carry a signature. `before`: the manifest that stands behind cosign's tag already; it keeps its signatures. */
export function composeSignature(made: MadeSignature, before?: Manifest): ComposedSignature {
  const blob = (mediaType: string, bytes: Uint8Array): { descriptor: Descriptor; bytes: Uint8Array } => ({ descriptor: { mediaType, digest: digestOf(bytes), size: bytes.byteLength }, bytes });
  const signature = Buffer.from(made.signature).toString('base64');
  if (made.form === 'bundle') {
    const bundle = {
      mediaType: BUNDLE, verificationMaterial: { publicKey: { hint: made.keyHint } },
      dsseEnvelope: { payload: Buffer.from(made.payload).toString('base64'), payloadType: 'application/vnd.in-toto+json', signatures: [{ sig: signature }] },
    };
    const config = blob(OCI_EMPTY, EMPTY);
    const layer = blob(BUNDLE, Buffer.from(JSON.stringify(bundle)));
    return finish({
      schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: BUNDLE, config: config.descriptor, layers: [layer.descriptor], subject: bare(made.subject),
      annotations: { 'dev.sigstore.bundle.content': 'dsse-envelope', 'dev.sigstore.bundle.predicateType': SIGN_PREDICATE },
    }, [config, layer]);
  }
  const payload = blob(SIGNATURE_LAYER, made.payload);
  const layer = { ...payload.descriptor, annotations: { [SIGNATURE_ANNOTATION]: signature } };
  if (made.form === 'referrer') {
    const config = blob(SIGNATURE_ARTIFACT, EMPTY);
    return finish({ schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: SIGNATURE_ARTIFACT, config: config.descriptor, layers: [layer], subject: bare(made.subject) }, [config, payload]);
  }
  const layers = [...(before?.layers ?? []).filter(({ annotations }) => annotations?.[SIGNATURE_ANNOTATION] !== signature), layer];
  const config = blob(OCI_CONFIG, Buffer.from(JSON.stringify({ architecture: '', created: '0001-01-01T00:00:00Z', history: layers.map(() => ({ created: '0001-01-01T00:00:00Z' })), os: '', rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) }, config: {} })));
  return finish({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: config.descriptor, layers }, [config, payload]);
}

const bare = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

function finish(document: Manifest, blobs: ComposedSignature['blobs']): ComposedSignature {
  const manifest = Buffer.from(JSON.stringify(document));
  return { manifest, digest: digestOf(manifest), artifactType: document.artifactType, blobs };
}
