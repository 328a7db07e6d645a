import type { Descriptor, Manifest } from '#spec/oci-image.ts';
import { SIGN_PREDICATE, SIGNATURE_ANNOTATION, SIGNATURE_LAYER, type SignatureClaim, type SignatureDocument, type UnreadableSignature } from './signature.ts';

/** Signatures of one document that are looked at. */
const MAX_SIGNATURES = 64;
const SIMPLE_TYPE = 'cosign container image signature';
/** Also written by containers/image. */
const SIMPLE_TYPES: readonly unknown[] = [SIMPLE_TYPE, 'atomic container signature'];
const STATEMENT = 'application/vnd.in-toto+json';
const STATEMENT_TYPES: readonly unknown[] = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];

type Json = Record<string, unknown>;
const object = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {});
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** What the signatures of a document claim. Nothing here is believed yet: verify-signature.ts. */
export function readSignatures(document: SignatureDocument): (SignatureClaim | UnreadableSignature)[] {
  const { form, digest } = document;
  const bad = (problem: string): UnreadableSignature => ({ form, document: digest, problem });
  let layers: Descriptor[];
  try {
    layers = (JSON.parse(Buffer.from(document.bytes).toString('utf8')) as Manifest).layers ?? [];
  } catch {
    return [bad('its manifest is not JSON')];
  }
  if (!Array.isArray(layers)) return [bad('its manifest has no layers')];
  return layers.slice(0, MAX_SIGNATURES).flatMap((layer): (SignatureClaim | UnreadableSignature)[] => {
    const blob = document.blobs.get(layer?.digest);
    if (blob === undefined) return [bad('its content is missing')];
    try {
      return form === 'bundle' ? [{ form, document: digest, ...readBundle(blob) }] : layer.mediaType === SIGNATURE_LAYER ? [{ form, document: digest, ...readSimple(blob, layer) }] : [];
    } catch (error) {
      return [bad((error as Error).message)];
    }
  });
}

type Read = Pick<SignatureClaim, 'digest' | 'name' | 'signed' | 'signature'>;

/** https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md: the payload is the blob, the signature an annotation. */
function readSimple(blob: Uint8Array, layer: Descriptor): Read {
  const signature = text(layer.annotations?.[SIGNATURE_ANNOTATION]);
  if (signature === undefined) throw new Error('it has no signature');
  const critical = object(object(parse(blob))['critical']);
  if (!SIMPLE_TYPES.includes(critical['type'])) throw new Error(`its payload is of type ${JSON.stringify(critical['type'])?.slice(0, 60)}`);
  const digest = text(object(critical['image'])['docker-manifest-digest']);
  if (digest === undefined) throw new Error('its payload names no digest');
  return { digest, name: text(object(critical['identity'])['docker-reference']), signed: blob, signature: Buffer.from(signature, 'base64') };
}

/** https://github.com/sigstore/protobuf-specs (Bundle) with a DSSE envelope of an in-toto statement, as cosign 3 writes it. */
function readBundle(blob: Uint8Array): Read {
  const envelope = object(object(parse(blob))['dsseEnvelope']);
  const payload = text(envelope['payload']);
  if (payload === undefined) throw new Error('its bundle has no DSSE envelope');
  if (envelope['payloadType'] !== STATEMENT) throw new Error(`its envelope holds a ${JSON.stringify(envelope['payloadType'])?.slice(0, 60)}`);
  const signatures = envelope['signatures'];
  const signature = Array.isArray(signatures) && signatures.length === 1 ? text(object(signatures[0])['sig']) : undefined;
  if (signature === undefined) throw new Error('its envelope does not have one signature');
  const body = Buffer.from(payload, 'base64');
  const statement = object(parse(body));
  if (!STATEMENT_TYPES.includes(statement['_type'])) throw new Error('its statement is of an unknown type');
  if (statement['predicateType'] !== SIGN_PREDICATE) throw new Error(`it is no signature but an attestation (${JSON.stringify(statement['predicateType'])?.slice(0, 100)})`);
  const subjects = statement['subject'];
  if (!Array.isArray(subjects) || subjects.length !== 1) throw new Error('its statement does not have one subject');
  const subject = object(subjects[0]);
  const hex = text(object(subject['digest'])['sha256']);
  if (hex === undefined) throw new Error('its statement names no digest');
  return { digest: `sha256:${hex}`, name: text(subject['name']), signed: preAuthEncoding(STATEMENT, body), signature: Buffer.from(signature, 'base64') };
}

/** https://github.com/secure-systems-lab/dsse/blob/master/protocol.md */
export const preAuthEncoding = (type: string, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.byteLength} `), body]);

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new Error('its payload is not JSON');
  }
}
