// node sigstore.mjs BUNDLE.json KEY.pub: sigstore's own verifier on a bundle. Prints the statement that was signed.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const bundle = bundleFromJSON(JSON.parse(readFileSync(process.argv[2], 'utf8')));
const publicKey = createPublicKey(readFileSync(process.argv[3]));
const trust = toTrustMaterial({ mediaType: '', tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] }, () => ({ publicKey, validFor: () => true }));
new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 }).verify(toSignedEntity(bundle));
process.stdout.write(bundle.content.dsseEnvelope.payload);
