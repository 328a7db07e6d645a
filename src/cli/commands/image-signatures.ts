import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { fullName, parseImageReference, type ImageReference } from '../create/image-reference.ts';
import { renderTable } from '../format/table.ts';
import { readSecret } from '../prompt.ts';
import { registryAuth } from '../registry-auth.ts';
import type { Form } from '../signing/make-signature.ts';

async function authOf(context: CommandContext, reference: ImageReference): Promise<{ auth?: string }> {
  const auth = await registryAuth(context.config(), reference.domain);
  return auth === undefined ? {} : { auth };
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new NaruError('invalid', `${path} cannot be read: ${String((cause as NodeJS.ErrnoException).code)}`, { cause });
  }
}

/** COSIGN_PASSWORD as cosign, or a question. */
async function passwordOf({ env, io }: CommandContext, question: string): Promise<string> {
  const given = env['COSIGN_PASSWORD'];
  if (given !== undefined) return given;
  if (!io.isTerminal(0)) throw new NaruError('invalid', 'the private key needs a password', { hint: 'set COSIGN_PASSWORD, or run this on a terminal' });
  return await readSecret(io, question);
}

/** `image verify`. */
export const verify: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const reference = parseImageReference(args[0] as string);
  const keys = flags.list('key').map(readKeyFile);
  const answer = await context.client().images.verify({ Name: args[0] as string, Keys: keys, Local: flags.bool('local'), ...(flags.bool('any-name') ? { AnyName: true } : {}) }, await authOf(context, reference));
  const asked = flags.string('format');
  if (asked === 'json') io.out(`${JSON.stringify(answer)}\n`);
  else {
    for (const { Form: form, Document, KeyId, KeySource, Problem } of answer.Signatures) {
      const by = /^key (\d+)$/.exec(KeySource)?.[1];
      const key = by === undefined ? KeySource : flags.list('key')[Number(by) - 1];
      io.out(`${Document.slice(7, 19)} (${form}): ${Problem === '' ? `holds, by key ${KeyId} (${key})` : `does not count: ${Problem}`}\n`);
    }
  }
  if (!answer.Verified) throw new NaruError('forbidden', `${args[0]}: no signature that holds for ${answer.Digest || 'it'}`);
  if (asked !== 'json') io.out(`Verified: ${answer.Name}@${answer.Digest}\n`);
  return 0;
};

/** `image sign`: the key stays in this process; the daemon is given the signature. */
export const sign: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const reference = parseImageReference(args[0] as string);
  const form = flags.string('form');
  if (form !== 'tag' && form !== 'referrer' && form !== 'bundle') throw new NaruError('invalid', `--form ${form}: not one of tag, referrer, bundle`);
  if (!flags.changed('key')) throw new NaruError('invalid', 'no key to sign with', { hint: 'give --key FILE; naru image generate-keys makes one' });
  const path = flags.string('key');
  const [{ readPrivateKey }, { makeSignature }] = await Promise.all([import('../signing/cosign-key.ts'), import('../signing/make-signature.ts')]);
  const key = await readPrivateKey(readKeyFile(path), () => passwordOf(context, `Password of ${path}: `));
  const auth = await authOf(context, reference);
  const { images } = context.client();
  const digest = reference.digest ?? (await images.distribution(args[0] as string, auth)).Descriptor.digest;
  const { payload, signature, keyHint } = makeSignature(key, { form: form as Form, repository: fullName(reference), digest });
  const { Document } = await images.addSignature({ Name: args[0] as string, Digest: digest, Form: form, Payload: payload.toString('base64'), Signature: signature.toString('base64'), KeyHint: keyHint }, auth);
  io.out(`Signed: ${fullName(reference)}@${digest}\nSignature: ${Document}\n`);
  return 0;
};

/** `image generate-keys`. */
export const generateKeys: CommandRunner = async (context) => {
  const { flags, io } = context;
  const prefix = flags.string('output-key-prefix');
  for (const path of [`${prefix}.key`, `${prefix}.pub`]) if (existsSync(path)) throw new NaruError('conflict', `${path} is there already`, { hint: 'remove it, or give --output-key-prefix' });
  const password = await passwordOf(context, 'Password for the private key: ');
  const { makeKeyPair } = await import('../signing/cosign-key.ts');
  const { privatePem, publicPem } = makeKeyPair(password);
  writeFileSync(`${prefix}.key`, privatePem, { mode: 0o600, flag: 'wx' });
  writeFileSync(`${prefix}.pub`, publicPem, { flag: 'wx' });
  io.out(`Private key written to ${prefix}.key\nPublic key written to ${prefix}.pub\n`);
  return 0;
};

const HEADERS = { Digest: 'DIGEST', ArtifactType: 'ARTIFACT TYPE', Size: 'SIZE', MediaType: 'MEDIA TYPE', Subject: 'SUBJECT' };

/** `image referrers`. */
export const referrers: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const found = await context.client().images.referrers(args[0] as string, { local: flags.bool('local'), artifactType: flags.string('artifact-type'), ...(await authOf(context, parseImageReference(args[0] as string))) });
  const rows = found.map((one) => ({ ...one, ArtifactType: one.ArtifactType === '' ? '<none>' : one.ArtifactType, Size: String(one.Size) }));
  const asked = flags.string('format');
  const standard = flags.bool('quiet') ? '{{.Digest}}' : 'table {{.Digest}}\t{{.ArtifactType}}\t{{.Size}}';
  io.out(renderTable(rows, { format: asked === '' || asked === 'table' ? standard : asked, headers: HEADERS, goType: '*image.referrersContext' }));
  return 0;
};
